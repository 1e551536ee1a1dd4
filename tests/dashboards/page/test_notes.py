"""What was told of the data when a study was made stands on its page."""

from __future__ import annotations

from pathlib import Path

from dashboards.page.page import render
from orchestrator.results.notes import notes_json
from orchestrator.store import layout
from tests.dashboards.page.test_images import with_files
from tests.support.generated_study import NOW


def test_notes_of_the_data_stand_below_the_flow_of_files(tmp_path: Path) -> None:
    storage = with_files(tmp_path)
    assert "magnifications" not in render(storage, now=NOW)
    storage.replace(layout.NOTES, notes_json(["Warning: the 4 groups are magnifications by <their> names."]))
    page = render(storage, now=NOW)
    start = page.index("<h3>From files to splits</h3>")
    assert (
        "Warning: the 4 groups are magnifications by &lt;their&gt; names."
        in page[start : page.index("<h3>", start + 1)]
    )
