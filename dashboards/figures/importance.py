"""How much each setting of a search off a grid matters: by fANOVA and by permutation, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.markup import METRIC_NAMES
from dashboards.figures.palette import INK, MUTED, TRAIN, VALID, Spec, axis, layout
from dashboards.figures.search_settings import CONTROL, NAMES, search_data, searched, settings_of, stopped_sentence
from orchestrator.results.narrowed import chosen_by_results
from orchestrator.statistics.setting_importance import coded, importances

Floats = NDArray[np.float64]
LEAST_CONFIGURATIONS = 10
"""With a result, before anything is said of a setting."""
LITTLE = 0.1
"""Where the forest predicts no more than this share of what it has not seen, its bars say little."""
_WITHIN = 1.96
"""Standard deviations on either side of an estimate."""
KINDS = {"fanova": "share of the variance alone (fANOVA)", "permutation": "error added when shuffled (permutation)"}
COLUMNS = [
    "setting", "configurations",
    *(f"{kind}{end}" for kind in KINDS for end in ("", "_low", "_high")),
    "predicted",
]  # fmt: skip


def importance_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Settings by their share of the variance, largest first; COLUMNS, as in `orchestrator.statistics.importances`.

    low, high: the estimate ± 1.96 standard deviations over forests of repeats drawn anew (NaN with one repeat each).
    predicted: share of the variance of ranks that the forest predicts of configurations which it has not seen.
    """
    data = search_data(source, choice)
    values = {one.id: score.values for one in source.members(choice) if (score := one.score(choice.score, "valid"))}
    return importance_of(data, [values[name] for name in data["id"]], source.summary.study.seed)


def importance_of(data: pd.DataFrame, scores: Sequence[Floats], seed: int) -> pd.DataFrame:
    """The same of rows as in `search_data`, with the scores of each one's repeats.

    A setting is judged among the configurations in which it matters, beside the settings that matter in all of these;
    there is no row below LEAST_CONFIGURATIONS of them.
    """
    names = settings_of(data)
    there = {name: data[name].notna().to_numpy() for name in names}
    rows = []
    for mask in {one.tobytes(): one for one in there.values()}.values():
        part = data[mask]
        if len(part) < LEAST_CONFIGURATIONS:
            continue
        beside = [name for name in names if there[name][mask].all() and part[name].nunique() > 1]
        codes = [coded(part[name].tolist(), pd.api.types.is_numeric_dtype(part[name])) for name in beside]
        if not beside:
            continue
        judged = importances(np.stack(codes, axis=1), [scores[place] for place in np.flatnonzero(mask).tolist()], seed)
        alone, shuffled = judged.alone, judged.shuffled
        ends = alone - _WITHIN * judged.alone_error, alone + _WITHIN * judged.alone_error
        around = shuffled - _WITHIN * judged.shuffled_error, shuffled + _WITHIN * judged.shuffled_error
        estimates = np.stack([alone, *np.clip(ends, 0, 1), shuffled, *around], axis=1).tolist()
        rows += [
            (NAMES[name], len(part), *own, judged.predicted)
            for name, own in zip(beside, estimates, strict=True)
            if np.array_equal(there[name], mask)
        ]
    rows.sort(key=lambda row: -row[2])
    return pd.DataFrame(rows, columns=COLUMNS)


def importance_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A bar per setting in each of two panels, the most important on top, each with its interval."""
    traces = [_bars(data, kind, *look) for kind, look in zip(KINDS, (("x", TRAIN), ("x2", VALID)), strict=True)]
    domains = ("xaxis", "fanova", [0.0, 0.47]), ("xaxis2", "permutation", [0.53, 1.0])
    across = {
        name: axis(
            title={"text": KINDS[kind]}, domain=domain, range=_range(data, kind), tickformat=".0%", nticks=5, anchor="y"
        )
        for name, kind, domain in domains
    }
    down = axis(
        tickvals=list(range(len(data))), ticktext=_names(data), showgrid=False, range=[len(data) - 0.4, -0.6], color=INK
    )
    spec = layout(110 + 30 * len(data), **across, yaxis=down, bargap=0.4, annotations=[_learnt(data)])
    spec["xaxis2"] |= {"zeroline": True, "zerolinecolor": MUTED, "zerolinewidth": 1}
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 16, "t": 34, "b": 44}}}


def _range(data: pd.DataFrame, kind: str) -> list[float]:
    reached = data[[kind, f"{kind}_low", f"{kind}_high"]].to_numpy(dtype=float)
    return [1.12 * min(0.0, float(np.nanmin(reached))), 1.12 * max(0.1, float(np.nanmax(reached)))]


def _bars(data: pd.DataFrame, kind: str, across: str, colour: str) -> Spec:
    estimate, low, high = (data[f"{kind}{end}"].to_numpy(dtype=float) for end in ("", "_low", "_high"))
    words = [
        f"{one:.1%}{f', {least:.1%} to {most:.1%}' if np.isfinite(least) else ''}"
        for one, least, most in zip(estimate, low, high, strict=True)
    ]
    return {
        "type": "bar",
        "orientation": "h",
        "name": kind,
        "showlegend": False,
        "x": estimate,
        "y": list(range(len(data))),
        "xaxis": across,
        "yaxis": "y",
        "marker": {"color": colour, "opacity": 0.75},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": np.nan_to_num(high - estimate),
            "arrayminus": np.nan_to_num(estimate - low),
            "color": INK,
            "thickness": 1.4,
            "width": 4,
        },
        "text": words,
        "textposition": "none",
        "customdata": data["configurations"].tolist(),
        "hovertemplate": f"{kind} %{{text}}<br>among %{{customdata}} configurations<extra></extra>",
    }


def _names(data: pd.DataFrame) -> list[str]:
    """Of settings; of one that does not matter everywhere also among how many configurations it does."""
    most = data["configurations"].max()
    pairs = zip(data["setting"], data["configurations"], strict=True)
    return [name if among == most else f"{name} (in {among})" for name, among in pairs]


def _learnt(data: pd.DataFrame) -> Spec:
    """What the forest of all configurations is worth, above the panels."""
    return {
        "text": _learnt_words(data),
        "x": 0,
        "y": 1,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "bottom",
        "yshift": 8,
        "showarrow": False,
        "font": {"size": 12, "color": MUTED},
    }


def _learnt_words(data: pd.DataFrame) -> str:
    predicted = float(data["predicted"].to_numpy()[data["configurations"].to_numpy().argmax()])
    if predicted <= LITTLE:
        return f"The forest predicts {max(0.0, predicted):.0%} of what it has not seen, so its bars say little."
    return f"The forest predicts {predicted:.0%} of the variance between configurations it has not seen."


def _how(source: Source, choice: Choice) -> str:
    """What holds here alone: which settings are left out, what was stopped, and that results chose what was tried."""
    data = search_data(source, choice)
    few = [NAMES[name] for name in settings_of(data) if data[name].notna().sum() < LEAST_CONFIGURATIONS]
    fewer = f"they matter in fewer than {LEAST_CONFIGURATIONS} configurations"
    told = f" Left out, because {fewer}: {', '.join(few)}." if few else ""
    if chosen_by_results(searched(source, choice)):
        told += (
            " Results decided what was trained, so values near good results have more configurations, repeats or "
            "epochs behind them than others."
        )
    return told + stopped_sentence(source, choice)


def _absent(source: Source, choice: Choice) -> str:
    has_results = any(len(search_data(source, replace(choice, score=str(score)))) for score in METRIC_NAMES)
    return f"Importance needs {LEAST_CONFIGURATIONS} configurations with a result." if has_results else ""


FIGURE = Figure(
    name="importance",
    section="search",
    title="Importance of settings",
    reading="How much of the variation in validation scores each setting explains, alone (left, fANOVA) and with its "
    "interactions (right, permutation). Lines are ± 1.96 standard deviations over forests of the n repeats drawn "
    "anew.",
    how="A forest of regression trees learns the ranks of the mean validation scores. Left: the share of the forest’s "
    "variance that one setting makes alone, which is a little above 0 by chance too. Right: how much the squared "
    "error on configurations not seen grows when the setting’s values are shuffled among them, in variances of the "
    "ranks; without an effect it is around 0. Each setting is judged among the configurations tried in which it "
    "matters.",
    data=importance_data,
    draw=importance_figure,
    label=lambda data, choice: (
        f"Importance of {len(data)} settings by fANOVA and by permutation, with intervals. {_learnt_words(data)}"
    ),
    per=Per.BACKBONE,
    scores=tuple(METRIC_NAMES),
    page=OnPage(controls=(CONTROL,), min_width=640, absent=_absent, how=_how),
)
