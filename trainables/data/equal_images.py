"""What becomes of images with equal pixels: they stop a study, one of each is kept, or all are."""

from __future__ import annotations

import pandas as pd

_FIRST = {"test": 0, "valid": 1, "train": 2}
"""Of equal images in several given splits the test split keeps its own: its published scores stay comparable."""


def equal_sets(manifest: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each two images or more with equal pixels, sorted by file; sets in order of their first file."""
    repeated = manifest[manifest["content"].duplicated(keep=False)].sort_values("file")
    return [rows for _, rows in repeated.groupby("content", sort=False)]


def left_out(manifest: pd.DataFrame) -> dict[str, str]:
    """File → why it is not used, where one of each set of equal images is kept, the first by split and name. Of a set
    with several labels none is kept, since nobody can know which of them holds."""
    reasons: dict[str, str] = {}
    for rows in equal_sets(manifest):
        several = sorted(set(rows["label"]))
        if len(several) > 1:
            reason = f"equal pixels with the labels {', '.join(several)}"
            reasons |= dict.fromkeys(rows["file"], reason)
            continue
        places = sorted((_FIRST.get(split, 3), file) for split, file in zip(rows["split"], rows["file"], strict=True))
        kept = places[0][1]
        reasons |= {file: f"equal pixels to {kept}, which is kept" for _, file in places[1:]}
    return reasons


def left_out_note(reasons: dict[str, str]) -> str:
    """A sentence for those who read the study, without names."""
    several = sum("with the labels" in reason for reason in reasons.values())
    told = (
        [f"{_counted(len(reasons) - several)} left out because an equal one is kept"] if len(reasons) > several else []
    )
    told += [f"{_counted(several)} left out because an equal one has another label"] if several else []
    return f"{', '.join(told)}."


def kept_note(manifest: pd.DataFrame) -> str:
    """What a study says of itself that keeps all, by its final splits; "" where no split or label has another's."""
    sets = equal_sets(manifest)
    across = [rows for rows in sets if rows["split"].nunique() > 1]
    labels = [rows for rows in sets if rows["label"].nunique() > 1]
    told = []
    if across:
        told.append(
            f"{_counted(sum(map(len, across)))} kept on purpose although an equal one is in another split: "
            "validation and test scores are too good."
        )
    if labels:
        told.append(f"{_counted(sum(map(len, labels)))} kept on purpose although an equal one has another label.")
    return " ".join(told)


def _counted(number: int) -> str:
    return "1 image was" if number == 1 else f"{number} images were"
