"""Which configurations may be the best, and how far the others are from it: paired over repeat numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source, is_loss
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.markup import METRIC_NAMES, backbone_text, depth_text, plot_text, rates_text
from dashboards.figures.palette import INK, MUTED, RULE, TRAIN, VALID, Spec, axis, layout
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.narrowed import first_counting
from orchestrator.statistics.score_table import set_of
from orchestrator.statistics.set_words import notes, p_words, set_words, standing_words

SHOWN = 24
"""Configurations drawn; the table of the data has them all."""
COLUMNS = [
    "rank", "strategy", "non_linearities", "unfrozen", "backbone", "rates", "others", "score", "mean",
    "difference", "low", "high", "n", "p", "standing", "notes",
]  # fmt: skip


def difference_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per ranked configuration of a partition, best first; COLUMNS.

    score: the metric that ranks, its mean at the selected epochs, of what ranks (`ConfigurationSummary.by_valid`).
    difference: mean over common repeats to the best, negative is worse whatever the metric; low and high bound it at
    95 % (Student's t), over repeats that diverged in neither. standing (in, out, – where not compared), p:
    of `orchestrator.statistics.confidence_set`. notes: what diverged, and tails. attrs["said"]: the set in sentences.
    """
    ranked = [member for member in source.members(choice) if member.rank is not None and member.selection]
    ranked = [m for m in ranked if m.partition == ranked[0].partition and np.isfinite(_values(m)).any()]
    ranked = [m for m in ranked if m.configuration.selection.metric == ranked[0].configuration.selection.metric]
    first = first_counting(ranked)
    ranked = [m for m in ranked if max(m.with_result) >= first]
    if not ranked:
        return pd.DataFrame(columns=COLUMNS)
    width = max(max(member.with_result) + 1 for member in ranked)
    scores, diverged = np.full((len(ranked), width), np.nan), np.zeros((len(ranked), width), dtype=bool)
    for row, member in enumerate(ranked):
        own = list(member.with_result)
        scores[row, own], diverged[row, own] = _values(member), member.did_diverge
    metric = ranked[0].configuration.selection.metric
    compared = set_of(ranked, scores, not is_loss(metric), diverged)
    rows = []
    for place, member in enumerate(ranked):
        settings = member.configuration
        rows.append(
            (member.rank, *member.depth, settings.network.backbone, rates_text(settings), member.others, metric,
             compared.mean[place], compared.difference[place], compared.low[place], compared.high[place],
             int(compared.n[place]), compared.p[place], standing_words(compared, place), notes(compared, place))
        )  # fmt: skip
    data = pd.DataFrame(rows, columns=COLUMNS)
    data.attrs["said"] = set_words(compared, ranked)
    return data


def _values(member: ConfigurationSummary) -> np.ndarray:
    """What ranks, per repeat; NaN where it is not finite, and where there is no result."""
    values = member.selection.values if member.selection else np.zeros(0)
    return np.where(np.isfinite(values), values, np.nan)


def difference_names(data: pd.DataFrame) -> list[str]:
    """What each row is called in the drawing, escaped for it; what not every study varies is on a second line."""
    several = data["backbone"].nunique() > 1
    names = []
    for row in data.to_dict("records"):
        depth = depth_text((row["strategy"], row["non_linearities"], row["unfrozen"]))
        name = plot_text(f"{depth}, {row['rates']}")
        below = ", ".join(filter(None, [backbone_text(row["backbone"]) if several else "", row["others"]]))
        names.append(f"{name}<br><span style='color:{MUTED}'>{plot_text(below)}</span>" if below else name)
    return names


def difference_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Dots with intervals; filled where the configuration may be the best, open where it is excluded."""
    part = data.head(SHOWN)
    place = np.arange(len(part))
    names = difference_names(data)[: len(part)]
    traces: list[Spec] = []
    for standing, colour, symbol, label in (
        ("in", TRAIN, "circle", "may be the best"),
        ("out", VALID, "circle-open", "excluded"),
        ("–", MUTED, "x-thin", "not compared"),
    ):
        rows = (part["standing"] == standing).to_numpy()
        if not rows.any():
            continue
        kept = part[rows]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": label,
                "x": kept["difference"].to_numpy(),
                "y": place[rows],
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": (kept["high"] - kept["difference"]).fillna(0).to_numpy(),
                    "arrayminus": (kept["difference"] - kept["low"]).fillna(0).to_numpy(),
                    "thickness": 1.4,
                    "width": 4,
                    "color": colour,
                },
                "marker": {"size": 9, "color": colour, "symbol": symbol, "line": {"width": 1.6, "color": colour}},
                "customdata": [
                    (mean, n, p_words(p), f"<br>{plot_text(note)}" if note else "")
                    for mean, n, p, note in kept[["mean", "n", "p", "notes"]].itertuples(index=False)
                ],
                "text": [name for name, is_in in zip(names, rows, strict=True) if is_in],
                "hovertemplate": "%{text}<br>difference %{x:.4f}, mean %{customdata[0]:.4f}<br>"
                "n = %{customdata[1]} pairs, p %{customdata[2]}%{customdata[3]}<extra></extra>",
            }
        )
    metric = METRIC_NAMES[data["score"].iloc[0]]
    y = axis(tickvals=place, ticktext=names, range=[len(part) - 0.5, -0.5], showgrid=False)
    y["color"] = INK
    zero = {"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": MUTED, "width": 1}}
    title = {"text": f"{metric} against the best<br>(left is worse)"}
    x = axis(title=title, tickangle=0, gridcolor=RULE)
    legend = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 12}}
    return {
        "data": traces,
        "layout": layout(
            118 + (34 if any("<br>" in name for name in names) else 25) * len(part),
            xaxis=x,
            yaxis=y,
            shapes=[{**zero, "layer": "below"}],
            showlegend=True,
            legend=legend,
            margin={"l": 56, "r": 14, "t": 34, "b": 58},
        ),
    }


def set_sentence(data: pd.DataFrame) -> str:
    """What the confidence set says, in the words of `orch best`."""
    return " ".join(data.attrs.get("said", ()))


def _sentence(data: pd.DataFrame, choice: Choice) -> str:
    more = f" The figure shows the first {SHOWN}; the data table has all of them." if len(data) > SHOWN else ""
    return set_sentence(data) + more


FIGURE = Figure(
    name="differences",
    section="answer",
    title="Differences to the best configuration",
    reading="Each mark is a configuration’s mean paired difference to the best one, with its 95 % interval; further "
    "left is worse. Filled marks may be the best (95 % confidence set), open ones are excluded.",
    how="A difference is the mean over all repeats that both configurations have and that diverged in neither; its "
    "interval is Student’s t over these n pairs. The confidence set flips the signs of whole repeats, and tests at "
    "fixed numbers of repeats. Intervals describe retraining on this partition, not new patients.",
    data=difference_data,
    draw=difference_figure,
    label=lambda data, choice: f"Forest plot. {set_sentence(data)}",
    per=Per.PARTITION,
    scores=(),
    page=OnPage(
        min_width=340,
        least_rows=2,
        heading=lambda data, choice: "Which may be the best",
        sentence=_sentence,
    ),
)
