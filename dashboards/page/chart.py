"""A chart in the page: its variants, its data as a table, and the compressed form in which they travel."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dashboards.figures.markup import plot_text, text
from dashboards.figures.palette import Spec
from dashboards.page.packing import encode, packed_text
from search_spaces.configuration import by_column

_COMPRESSORS = 2


@dataclass(frozen=True)
class Variant:
    """One state of a chart: the figure, what a screen reader says, and the data, a list or array for each column.

    Without `values` the page's script takes them, and the bands, from the figure's lines: curves are half of the page.
    """

    spec: Spec
    label: str
    columns: list[str]
    values: list[Any] | None

    @classmethod
    def of(cls, spec: Spec, label: str, data: pd.DataFrame) -> Variant:
        """With a DataFrame as its data; columns of tuples are for drawing only and stay out.

        Settings stay as they are: packed with those of others, a learning rate of 1.2e-5 beside 0.1 would be 1e-5.
        """
        columns = {
            str(name): values.to_numpy() if values.dtype.kind == "f" and name not in by_column() else values.tolist()
            for name, values in data.items()
        }
        shown = {name: values for name, values in columns.items() if not (len(values) and isinstance(values[0], tuple))}
        return cls(spec, label, list(shown), list(shown.values()))


class Charts:
    """Collects the charts of one page; ids are counted, so no name from a file ends up in one.

    Data are compressed in other threads, beside the drawing of what follows.
    """

    def __init__(self, study: str) -> None:
        self._study = study
        self._payloads: list[Future[str]] = []
        self._frames = 0
        self._compressors = ThreadPoolExecutor(_COMPRESSORS)

    def add(self, variants: Mapping[str, Variant], control: str = "", min_width: int = 0, title: str = "") -> str:
        """A chart with data of its own: its HTML, see `frame`."""
        return self.frame(self.payload(variants), next(iter(variants.values())), control, min_width, title)

    def table(self, content: Mapping[str, Any]) -> int:
        """The number of data that no chart has, for the page's script."""
        return self._packed(content)

    def payload(self, variants: Mapping[str, Variant]) -> int:
        """The number of the data that one chart has, or several have in common."""
        return self._packed({key: variant.__dict__ for key, variant in variants.items()})

    def frame(self, payload: int, first: Variant, control: str, min_width: int = 0, title: str = "") -> str:
        """The HTML of a chart that shows `first` until it is drawn.

        `control` names the page's controls, apart by blanks, whose values joined by "|" pick the variant; the first one
        stands for what is missing. `title` goes, after the study's name, into a figure that is saved. `min_width` in
        pixels: on a narrower screen the chart scrolls sideways instead of shrinking.
        """
        return self._frame(payload, first.label, int(first.spec["layout"]["height"]), control, min_width, title)

    def add_singles(self, content: Mapping[str, Any], control: str, title: str) -> str:
        """A chart drawn once `control` picks a configuration; content: see `single_repeats.singles_payload`."""
        height = int(content["template"]["layout"]["height"])
        label = "Single repeats of the chosen configuration."
        return self._frame(self._packed(content), label, height, control, 0, title, "yes")

    def _packed(self, content: object) -> int:
        self._payloads.append(self._compressors.submit(packed_text, encode(content)))
        return len(self._payloads) - 1

    def _frame(
        self, payload: int, label: str, height: int, control: str, min_width: int, title: str, singles: str = ""
    ) -> str:
        number, self._frames = self._frames, self._frames + 1
        chart = f"chart-{number}"
        return (
            f'<div class="frame"><div class="scroll" tabindex="0" role="group" aria-label="Chart">'
            f'<div class="chart" id="{chart}" role="img" aria-label="{text(label)}" '
            f'data-payload="payload-{payload}" data-control="{text(control)}" data-name="figure-{number + 1}" '
            f'data-title="{text(f"{plot_text(self._study)}<br>{plot_text(title)}")}" data-singles="{singles}" '
            f'style="height:{height}px;min-width:{min_width}px"></div></div>'
            f'<div class="actions"><details class="data" data-chart="{chart}"><summary>Data</summary></details>'
            f'<button type="button" data-save="svg" data-of="{chart}">SVG</button>'
            f'<button type="button" data-save="png" data-of="{chart}">PNG</button>'
            f'<button type="button" data-save="csv" data-of="{chart}">CSV</button></div></div>'
        )

    def payloads(self) -> str:
        """The script elements that hold the data. No "<" is in it, so nothing in them can end the element."""
        return "\n".join(
            f'<script type="application/gzip" id="payload-{number}">{payload.result()}</script>'
            for number, payload in enumerate(self._payloads)
        )
