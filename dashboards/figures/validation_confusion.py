"""Confusion of the best configuration on validation: what it mistakes for what, and the recall of each class."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.confusion import LETTERS, confusion_figure
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.markup import backbone_text, depth_text, deviations, point_text
from dashboards.figures.palette import INK, MUTED, Spec
from orchestrator.results.names import counted
from trainables.learning.tasks.confusion import images_of_classes, recall

COLUMNS = ["configuration", "truth", "predicted", "count", "share", "recall", "recall_std", "n"]
_LETTER, _COLUMN, _RECALL = 6, 52, 104
"""Pixels of a letter, of a column at least, and of the recalls."""


def validation_confusion_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per truth and prediction of the best-ranked configuration, at each repeat's selected epoch; COLUMNS.

    count: images, mean over the n repeats. share: of the truth's images. recall and recall_std: of the truth's class,
    mean and standard deviation (n − 1) over the repeats, the same in all its rows. NaN where a class has no image.
    """
    best = next((member for member in source.members(choice) if member.rank is not None), None)
    if best is None:
        return pd.DataFrame(columns=COLUMNS)
    counts = source.histories.selected_counts(best).astype(float)
    images = images_of_classes(counts)[..., None]
    shares = np.divide(counts, images, out=np.full_like(counts, np.nan), where=images > 0)
    recalls = recall(counts)
    std = recalls.std(axis=0, ddof=1) if len(recalls) > 1 else np.full(recalls.shape[1], np.nan)
    count, share, mean = counts.mean(axis=0), shares.mean(axis=0), recalls.mean(axis=0)
    settings = best.configuration
    where = f"{depth_text(best.depth)} on {backbone_text(settings.network.backbone)}, {point_text(best)}"
    classes = source.summary.study.classes
    rows = [
        (where, truth, predicted, count[i, j], share[i, j], mean[i], std[i], best.n)
        for i, truth in enumerate(classes)
        for j, predicted in enumerate(classes)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def validation_confusion_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Truth down, prediction across, coloured by the share of the truth; beside each row the recall of its class."""
    spec = confusion_figure(data, choice)
    rows = data.drop_duplicates("truth")
    words = [
        f"{mean:.3f}{std}" if np.isfinite(mean) else "–"
        for mean, std in zip(rows["recall"], deviations(rows["recall_std"], 3), strict=True)
    ]
    beside = {"x": 1, "xref": "paper", "xanchor": "left", "xshift": 8, "showarrow": False}
    notes = [
        {**beside, "y": row, "yanchor": "middle", "text": said, "font": {"size": 12, "color": INK}}
        for row, said in enumerate(words)
    ]
    head = {**beside, "y": 1, "yref": "paper", "yanchor": "bottom", "text": "recall"}
    notes.append({**head, "font": {"size": 11, "color": MUTED}})
    layout = spec["layout"]
    layout["xaxis"]["title"]["text"] = f"predicted, {_repeats(data)}"
    return {
        "data": spec["data"],
        "layout": {**layout, "annotations": notes, "margin": {"l": 56, "r": _RECALL, "t": 22, "b": 44}},
    }


def _repeats(data: pd.DataFrame) -> str:
    return f"n = {counted(int(data['n'].iloc[0]), 'repeat')}"


def _width(data: pd.DataFrame) -> int:
    """Pixels in which no name runs into the next: columns, names of the rows on the left, recalls on the right."""
    names = data["truth"].unique()
    below, beside = (_LETTER * min(most, max(map(len, names))) for most in LETTERS)
    return max(_COLUMN, below + 8) * len(names) + beside + 32 + _RECALL


def _label(data: pd.DataFrame, choice: Choice) -> str:
    rows = data.drop_duplicates("truth")
    recalls = ", ".join(f"{name} {mean:.3f}" for name, mean in zip(rows["truth"], rows["recall"], strict=True))
    return f"Confusion matrix of the best configuration on validation. Recall: {recalls}."


FIGURE = Figure(
    name="validation-confusion",
    section="answer",
    title="What the best configuration confuses",
    reading="Rows are the true class, columns the predicted one: the share of the true class’s validation images at "
    "each repeat’s selected epoch, and below it their mean number over n repeats. Validation scores were used for "
    "selection, so they are optimistic.",
    how="Beside each row stands the recall of its class, mean ± standard deviation (n − 1) over the n repeats.",
    data=validation_confusion_data,
    draw=validation_confusion_figure,
    label=_label,
    per=Per.PARTITION,
    by_class=True,
    page=OnPage(
        min_width=_width,
        sentence=lambda data, choice: f"{data['configuration'].iloc[0]}: {_repeats(data)}.",
    ),
)
