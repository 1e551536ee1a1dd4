"""Choices that a reader can make on the page, and blocks that are shown only while they have certain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboards.figures.declaration import Key
from dashboards.figures.markup import text

ANY = "!"


def select(label: str, sets: str, options: Mapping[str, str] | Sequence[str], hidden: bool = False) -> str:
    """A labelled choice that sets the page's control `sets`; values are the page's own words or numbers, never names.

    options: value → text; of a sequence the places are the values. A choice of one is hidden with `hidden`.
    """
    known = options if isinstance(options, Mapping) else {str(place): name for place, name in enumerate(options)}
    shown = "".join(f'<option value="{key}">{text(name)}</option>' for key, name in known.items())
    return f'<label{" hidden" if hidden else ""}>{label} <select data-sets="{sets}">{shown}</select></label>'


def controls(*choices: str) -> str:
    return f'<div class="controls">{"".join(choices)}</div>'


def when(content: str, **choices: object) -> str:
    """A block that is shown only while the controls have these values; ANY stands for every value but the empty one."""
    condition = " ".join(f"{name}={value}" for name, value in choices.items())
    return f'<div data-when="{condition}">{content}</div>'


def reading(caption: str, how: str = "") -> str:
    """A caption of at most two sentences, and how to read what it is of, folded away."""
    shown = f'<p class="reading">{_unbroken(caption)}</p>' if caption else ""
    if not how.strip():
        return shown
    return f'{shown}<details class="how"><summary>How to read this</summary><p>{_unbroken(how.strip())}</p></details>'


def _unbroken(sentences: str) -> str:
    return text(sentences).replace("n − 1", "n&nbsp;−&nbsp;1")


def key(one: Key) -> str:
    """A legend in a row above figures."""
    items = "".join(f'<li><i class="{mark}"></i> {text(words)}</li>' for mark, words in one.marks)
    return f'<ul class="key">{items}</ul>'


def nothing(sentence: str) -> str:
    return f'<p class="note">{text(sentence)}</p>'
