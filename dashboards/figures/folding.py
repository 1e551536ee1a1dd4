"""A figure of many panels in short: what its lines and its axes have in common is said once."""

from __future__ import annotations

from typing import Any

from dashboards.figures.palette import Spec


def unfolded(spec: Spec) -> Spec:
    """The figure that plotly draws; the page's script does the same.

    `like` of a trace is the place among `alike` of what it shares with others, `axes` has by letter what all axes of
    that letter share; what stands in a trace or an axis is its own, and counts where both say something.
    """
    traces = [
        _merged(spec["alike"][trace["like"]], {k: v for k, v in trace.items() if k != "like"}) for trace in spec["data"]
    ]
    layout = {
        name: _merged(spec["axes"][name[0]], own) if name[1:5] == "axis" else own
        for name, own in spec["layout"].items()
    }
    return {"data": traces, "layout": layout}


def _merged(common: Spec, own: Spec) -> Spec:
    folded: dict[str, Any] = common | own
    for name in common.keys() & own.keys():
        if isinstance(common[name], dict):
            folded[name] = _merged(common[name], own[name])
    return folded
