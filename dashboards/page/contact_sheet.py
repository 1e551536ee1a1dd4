"""A page of `orch data views`: each image, and beside it what each epoch made of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dashboards.figures.markup import text
from dashboards.page.chart import Charts
from dashboards.page.page import document
from dashboards.page.sample_images import thumbnail


def contact_sheet_page(
    title: str,
    names: Sequence[str],
    settings: Sequence[str],
    labels: Sequence[str],
    original: NDArray[np.uint8],
    drawn: NDArray[np.uint8],
) -> str:
    """A self-contained page. settings: in words. original: uint8 [N, S, S, 3]. drawn: uint8 [N, M, S, S, 3]."""
    rows = "".join(
        f"<h4>image {place + 1}, {text(label)}</h4>{_strip([original[place], *drawn[place]], place + 1)}"
        for place, label in enumerate(labels)
    )
    said = (
        f"{len(labels)} images of the training split with {', '.join(names)}: as they are, and as repeat 0 sees them "
        f"in {drawn.shape[1]} epochs. Scores are computed on images as they are."
    )
    strengths = f'<p class="note">{text(", ".join(settings))}</p>' if settings else ""
    body = (
        f'<header class="masthead"><h1>{text(title)}</h1><p>{text(said)}</p>{strengths}</header>'
        f'<main id="main"><section><h2>Augmented images</h2>{rows}</section></main>'
    )
    return document(f"{title}: augmented images", body, Charts(title))


def _strip(images: Sequence[NDArray[np.uint8]], number: int) -> str:
    cases = []
    for epoch, image in enumerate(images):
        name = f"epoch {epoch}" if epoch else "as it is"
        cases.append(f'<li><img src="{thumbnail(image)}" alt="image {number}, {name}"><span>{name}</span></li>')
    return f'<ul class="strip">{"".join(cases)}</ul>'
