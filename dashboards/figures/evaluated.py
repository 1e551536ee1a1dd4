"""What evaluations of the test split found: confusion, curves over thresholds, reliability; no file or group names."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.dataset import read_table
from dashboards.figures.markup import METRIC_NAMES, deviations, plot_text
from dashboards.figures.palette import HEAT, INK, MUTED, SERIES, VALID, Spec, axis, layout, legend, series_style
from orchestrator.evaluation.record import EvaluationRecord, Level, read_evaluations
from orchestrator.store.schema import Metric

_AGAINST: tuple[Metric, ...] = ("accuracy", "balanced_accuracy", "macro_f1")
GRID = np.linspace(0, 1, 101)
BINS = 10


def evaluations(source: Source, choice: Choice) -> list[EvaluationRecord]:
    """Those on the chosen partition, the first look first."""
    found = read_evaluations(source.storage)
    return [record for record in found if choice.partition in ("", record.partition)]


def newest(source: Source, choice: Choice) -> EvaluationRecord | None:
    """The one that figures show: of the last look at the study's own test split, else at other images."""
    found = sorted(evaluations(source, choice), key=lambda record: (not record.external, record.number, record.created))
    return found[-1] if found else None


def confusion_data(source: Source, choice: Choice, unit: str) -> pd.DataFrame:
    """One row per truth and prediction of the primary estimate, `unit` "image" or "group".

    Columns: truth, predicted, count (mean over repeats), share (of the truth's units), repeats.
    """
    columns = ["truth", "predicted", "count", "share", "repeats"]
    record = newest(source, choice)
    level: Level | None = None
    if record is not None:
        level = record.primary.image if unit == "image" else record.primary.group
    if record is None or level is None or not level.confusion:
        return pd.DataFrame(columns=columns)
    counts = np.array(level.confusion, dtype=float)
    mean = counts.mean(axis=0)
    total = mean.sum(axis=1, keepdims=True)
    share = np.divide(mean, total, out=np.full_like(mean, np.nan), where=total > 0)
    rows = [
        (truth, predicted, mean[i, j], share[i, j], len(counts))
        for i, truth in enumerate(record.classes)
        for j, predicted in enumerate(record.classes)
    ]
    return pd.DataFrame(rows, columns=columns)


def confusion_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Truth down, prediction across; coloured by the share of the truth, with mean counts."""
    from dashboards.figures.heat_maps import text_colours

    names = list(dict.fromkeys(data["truth"]))
    size = len(names)
    share = data["share"].to_numpy(dtype=float).reshape(size, size)
    count = data["count"].to_numpy(dtype=float).reshape(size, size)
    shown = [
        f"{share[i, j]:.0%}<br>{count[i, j]:.3g}" if count[i].sum() else "" for i in range(size) for j in range(size)
    ]
    heat = {
        "type": "heatmap",
        "z": share,
        "x": list(range(size)),
        "y": list(range(size)),
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[place / (len(HEAT) - 1), colour] for place, colour in enumerate(HEAT)],
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "customdata": count,
        "hovertemplate": "%{z:.1%}, %{customdata:.2f} on average<extra></extra>",
    }
    words = {
        "type": "scatter",
        "mode": "text",
        "x": [j for _ in names for j in range(size)],
        "y": [i for i in range(size) for _ in names],
        "text": shown,
        "textfont": {"size": 11, "color": text_colours(share, (0.0, 1.0), HEAT)},
        "hoverinfo": "skip",
        "meta": "on heat map",
    }
    ticks = {"tickvals": list(range(size)), "ticktext": [plot_text(name) for name in names], "showgrid": False}
    spec = layout(
        110 + 46 * size,
        xaxis=axis(title={"text": "predicted"}, fixedrange=True, **ticks),
        yaxis=axis(title={"text": "truth"}, autorange="reversed", fixedrange=True, **ticks),
    )
    return {"data": [heat, words], "layout": spec}


def _chances(source: Source, record: EvaluationRecord) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(probabilities [rows, K], truth [rows], repeat [rows]) of view 0 of every test image; None without them."""
    names = [f"probability {name}" for name in record.classes]
    table = read_table(source.storage, record.predictions, ["label", "repeat", "view", *names])
    if table is None:
        return None
    kept = table["view"].to_numpy() == 0
    index = {name: place for place, name in enumerate(record.classes)}
    truth = np.array([index.get(label, -1) for label in table["label"].to_pylist()])
    chances = np.stack([table[name].to_numpy() for name in names], axis=1)
    return chances[kept], truth[kept], table["repeat"].to_numpy()[kept]


def threshold_data(source: Source, choice: Choice, curve: str) -> pd.DataFrame:
    """Curves over all thresholds of each class against the rest, averaged over repeats at 101 places.

    curve: "roc" (x is 1 − specificity, y sensitivity) or "pr" (x is recall, y precision). Columns: class, x, y, std
    (over repeats), repeats, and kind: "curve", or "point" for an operating point that was chosen on validation. Of a
    binary task only the positive class.
    """
    columns = ["class", "kind", "x", "y", "std", "repeats"]
    record = newest(source, choice)
    found = _chances(source, record) if record is not None else None
    if record is None or found is None:
        return pd.DataFrame(columns=columns)
    chances, truth, repeat = found
    blocks = []
    for place, name in enumerate(record.classes):
        if len(record.classes) == 2 and place == 0:
            continue
        lines = []
        for number in np.unique(repeat):
            here = repeat == number
            line = _line(chances[here, place], truth[here] == place, curve)
            if line is not None:
                lines.append(line)
        if lines:
            std = np.std(lines, axis=0, ddof=1) if len(lines) > 1 else np.full(len(GRID), np.nan)
            block = {"class": name, "kind": "curve", "x": GRID, "y": np.mean(lines, axis=0), "std": std}
            blocks.append(pd.DataFrame({**block, "repeats": len(lines)}))
    for point in record.operating_points:
        sensitivity, other = (
            point.scores.get("sensitivity"),
            point.scores.get("specificity" if curve == "roc" else "ppv"),
        )
        if sensitivity and other and sensitivity.value is not None and other.value is not None:
            x, y = (1 - other.value, sensitivity.value) if curve == "roc" else (sensitivity.value, other.value)
            row = {
                "class": point.name,
                "kind": "point",
                "x": [x],
                "y": [y],
                "std": np.nan,
                "repeats": sensitivity.repeats,
            }
            blocks.append(pd.DataFrame(row))
    return pd.concat(blocks, ignore_index=True)[columns] if blocks else pd.DataFrame(columns=columns)


def _line(score: np.ndarray, positive: np.ndarray, curve: str) -> np.ndarray | None:
    """One repeat's curve on GRID; equal scores are one step."""
    if positive.all() or not positive.any():
        return None
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], positive[order].astype(float)
    last = np.append(ranked[1:] != ranked[:-1], True)
    true, false = np.cumsum(hits)[last], np.cumsum(1 - hits)[last]
    recall = true / true[-1]
    if curve == "roc":
        along: np.ndarray = np.interp(GRID, np.append(0.0, false / false[-1]), np.append(0.0, recall))
        return along
    precision = true / (true + false)
    # the precision at a recall is the best at that recall or more
    best = np.maximum.accumulate(precision[::-1])[::-1]
    found: np.ndarray = best[np.minimum(np.searchsorted(recall, GRID - 1e-12), len(best) - 1)]
    return found


def threshold_figure(data: pd.DataFrame, choice: Choice, curve: str) -> Spec:
    """A line per class; rings are operating points."""
    traces: list[Spec] = []
    if curve == "roc":
        chance = {"type": "scatter", "mode": "lines", "name": "chance", "x": [0, 1], "y": [0, 1], "hoverinfo": "skip"}
        traces.append({**chance, "line": {"color": MUTED, "width": 1, "dash": "dash"}})
    for place, (name, part) in enumerate(data[data["kind"] == "curve"].groupby("class", sort=False)):
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": plot_text(name),
                "x": part["x"].to_numpy(),
                "y": part["y"].to_numpy(),
                "customdata": deviations(part["std"], 3),
                "line": {"width": 1.9, **series_style(place)},
                "hovertemplate": f"{plot_text(name)}<br>%{{x:.2f}}, %{{y:.3f}}%{{customdata}}<extra></extra>",
            }
        )
    points = data[data["kind"] == "point"]
    if len(points):
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "operating point",
                "x": points["x"].to_numpy(dtype=float),
                "y": points["y"].to_numpy(dtype=float),
                "text": [plot_text(name) for name in points["class"]],
                "marker": {"size": 12, "symbol": "circle-open", "color": INK, "line": {"width": 2}},
                "hovertemplate": "operating point, %{text}<br>%{x:.3f}, %{y:.3f}<extra></extra>",
            }
        )
    across, up = ("1 − specificity", "sensitivity") if curve == "roc" else ("recall", "precision")
    spec = layout(
        380,
        xaxis=axis(title={"text": across}, range=[-0.02, 1.02], nticks=6),
        yaxis=axis(title={"text": up}, range=[-0.02, 1.04], nticks=6),
        showlegend=True,
        legend=legend(),
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 12, "t": 56, "b": 44}}}


def reliability_data(source: Source, choice: Choice) -> pd.DataFrame:
    """How often predictions of a given confidence are right, all repeats together, in BINS equal bins; none is empty.

    Columns: low, high, confidence (mean), accuracy, predictions.
    """
    columns = ["low", "high", "confidence", "accuracy", "predictions"]
    record = newest(source, choice)
    found = _chances(source, record) if record is not None else None
    if found is None:
        return pd.DataFrame(columns=columns)
    chances, truth, _ = found
    sure, right = chances.max(axis=1), chances.argmax(axis=1) == truth
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    rows = [
        (
            b / BINS,
            (b + 1) / BINS,
            float(sure[place == b].mean()),
            float(right[place == b].mean()),
            int((place == b).sum()),
        )
        for b in range(BINS)
        if (place == b).any()
    ]
    return pd.DataFrame(rows, columns=columns)


def reliability_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """On the dashed line a confidence is what it says; marks grow with the number of predictions."""
    most = float(data["predictions"].max())
    dots = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "predictions",
        "x": data["confidence"].to_numpy(dtype=float),
        "y": data["accuracy"].to_numpy(dtype=float),
        "customdata": data["predictions"].tolist(),
        "line": {"color": VALID, "width": 1.4},
        "marker": {"color": VALID, "size": [6 + 14 * (n / most) ** 0.5 for n in data["predictions"]]},
        "hovertemplate": "confidence %{x:.3f}, right %{y:.3f}<br>%{customdata} predictions<extra></extra>",
    }
    ideal = {"type": "scatter", "mode": "lines", "name": "calibrated", "x": [0, 1], "y": [0, 1], "hoverinfo": "skip"}
    low = max(0.0, float(data["low"].min()) - 0.05)
    spec = layout(
        380,
        xaxis=axis(title={"text": "confidence"}, range=[low, 1.02], nticks=6),
        yaxis=axis(title={"text": "share right"}, range=[-0.02, 1.04], nticks=6),
        showlegend=True,
        legend=legend(),
    )
    spec |= {"margin": {"l": 56, "r": 12, "t": 56, "b": 44}}
    return {"data": [{**ideal, "line": {"color": MUTED, "width": 1, "dash": "dash"}}, dots], "layout": spec}


def against_validation_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Validation and test of every evaluated configuration, mean and std over repeats.

    Columns: configuration, score, split, mean, std, low, high (95 % interval over groups, test only), repeats.
    """
    rows = []
    members = {(member.partition, member.id): member for member in source.summary.configurations}
    for record in evaluations(source, choice):
        member = members.get((record.partition, record.configuration))
        for score in _AGAINST:
            valid = member.score(score, "valid") if member else None
            if valid:
                rows.append((record.name, score, "valid", valid.mean, valid.std, np.nan, np.nan, valid.n))
            test = record.primary.image.overall.get(score)
            if test and test.value is not None:
                ends = (test.interval.low, test.interval.high) if test.interval else (np.nan, np.nan)
                std = np.nan if test.std is None else test.std
                rows.append((record.name, score, "test", test.value, std, *ends, test.repeats))
    return pd.DataFrame(rows, columns=["configuration", "score", "split", "mean", "std", "low", "high", "repeats"])


def against_validation_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A row per configuration, named where there are several, and score: validation with ± std, test with its interval
    over groups."""
    rows = list(dict.fromkeys(zip(data["configuration"], data["score"], strict=True)))
    traces: list[Spec] = []
    for split, colour, symbol, shift in (("valid", VALID, "circle", -0.14), ("test", SERIES[4], "diamond", 0.14)):
        part = data[data["split"] == split].to_dict("records")
        if not part:
            continue
        high = [row["high"] - row["mean"] if row["high"] == row["high"] else row["std"] for row in part]
        low = [row["mean"] - row["low"] if row["low"] == row["low"] else row["std"] for row in part]
        bars = {"type": "data", "symmetric": False, "array": _known(high), "arrayminus": _known(low), "width": 4}
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": split,
                "x": [row["mean"] for row in part],
                "y": [rows.index((row["configuration"], row["score"])) + shift for row in part],
                "error_x": {**bars, "thickness": 1.4},
                "marker": {"size": 10, "symbol": symbol, "color": colour},
                "hovertemplate": f"{split} %{{x:.4f}}<extra></extra>",
            }
        )
    several = data["configuration"].nunique() > 1
    # a long name takes the room of the figure: its backbone has a line of its own
    heads = ["".join(f"{plot_text(part)}<br>" for part in name.split(" ", 1)) if several else "" for name, _ in rows]
    names = [f"{head}{METRIC_NAMES[score]}" for head, (_, score) in zip(heads, rows, strict=True)]
    y = axis(tickvals=list(range(len(rows))), ticktext=names, range=[len(rows) - 0.4, -0.6], showgrid=False)
    spec = layout(
        90 + (54 if several else 42) * len(rows),
        xaxis=axis(nticks=4, tickangle=0),
        yaxis={**y, "color": INK},
        showlegend=True,
        legend=legend(),
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 14, "t": 34, "b": 30}}}


def _known(values: list[float]) -> list[float]:
    return [value if value == value else 0.0 for value in values]
