"""Takes the names of a study's files and groups out of sentences that others wrote, such as the causes of failures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from dashboards.page.sample_images import image_list
from orchestrator.store.storage import Storage

_SHORT_NUMBER = re.compile(r"\d{1,3}")


def without_names_of(storage: Storage, sentences: Iterable[str]) -> Callable[[str], str]:
    """A function that replaces files by "[image]" and groups by "[group]"; their list is read if there are sentences.

    A file is found by its path and by its last part; a group as a whole word, and not where its name is a number of up
    to three digits, which any sentence may hold.
    """
    if not any(sentences):
        return lambda sentence: sentence
    images = image_list(storage)
    files = {str(name) for name in images["file"]}
    files |= {name.replace("\\", "/").rsplit("/", 1)[-1] for name in files}
    groups = {str(name) for name in images["group"] if not _SHORT_NUMBER.fullmatch(str(name))} - {""}
    by_length = sorted(files - {""}, key=len, reverse=True), sorted(groups, key=len, reverse=True)

    def replaced(sentence: str) -> str:
        for name in by_length[0]:
            if name in sentence:
                sentence = sentence.replace(name, "[image]")
        for name in by_length[1]:
            if name in sentence:
                sentence = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "[group]", sentence)
        return sentence

    return replaced
