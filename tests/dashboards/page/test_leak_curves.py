"""The curves of the leak experiment: their data, their figure, their page."""

from __future__ import annotations

from typing import Any

import pytest

from dashboards.page.leak_curves import leak_data, leak_figure, leak_page

SPLITS = ("train", "valid", "held_back")


def answer(repeats: int = 2) -> dict[str, Any]:
    """Three experiments of two epochs."""
    std = [0.1, 0.2, 0.3] if repeats > 1 else [None] * 3
    return {
        "sentence": "A random split would have shown 0.93 instead of 0.42 <b>.",
        "experiments": [
            {
                "experiment": e,
                "name": f"name {e}",
                "repeats": repeats,
                "mean_loss": {split: [2.0, 1.0 + place, 0.5 + e] for place, split in enumerate(SPLITS)},
                "std_loss": dict.fromkeys(SPLITS, std),
            }
            for e in range(3)
        ],
    }


def test_every_epoch_of_every_split_is_a_row() -> None:
    data = leak_data(answer())
    assert len(data) == 3 * 3 * 3
    row = data.query("experiment == 1 and split == 'held_back' and epoch == 1").iloc[0]
    assert (row["loss"], row["std"], row["n"]) == (3.0, 0.2, 2)


def test_panels_share_their_scale_and_the_untrained_loss() -> None:
    spec = leak_figure(leak_data(answer()))
    axes = [spec["layout"][f"yaxis{n}"]["range"] for n in ("", "2", "3")]
    assert axes[0] == axes[1] == axes[2]
    assert axes[0][1] == pytest.approx(3.2 * 1.05)
    rules = [trace for trace in spec["data"] if trace.get("name") == "untrained"]
    assert [trace["y"] for trace in rules] == [[2.0, 2.0]] * 3
    assert sum(bool(trace.get("fill")) for trace in spec["data"]) == 9


def test_one_repeat_has_no_band() -> None:
    spec = leak_figure(leak_data(answer(1)))
    assert not [trace for trace in spec["data"] if trace.get("fill")]


def test_the_page_is_escaped_and_says_what_the_band_is() -> None:
    page = leak_page("slides <x>", answer())
    assert "slides &lt;x&gt;" in page
    assert "0.42 &lt;b&gt;" in page
    assert "n = 2 repeats with bands of ± one standard deviation (n&nbsp;−&nbsp;1)" in page
