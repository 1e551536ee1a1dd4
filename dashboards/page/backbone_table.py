"""All backbones of a study as a table: the best configuration of each."""

from __future__ import annotations

import pandas as pd

from dashboards.figures.backbone_names import family_of
from dashboards.figures.choice import Choice, Source, best_of_each
from dashboards.figures.markup import backbone_text, number, plus_minus, whole_name
from search_spaces.settings.data import TASKS
from search_spaces.settings.selection import METRICS


def backbone_table_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per backbone as shown: its best configuration, parameters, best epoch, hours; text columns."""
    members = source.members(choice)
    seconds: dict[str, float] = {}
    repeats: dict[str, int] = {}
    for member in members:
        name = member.configuration.network.backbone
        seconds[name] = seconds.get(name, 0.0) + member.seconds
        repeats[name] = repeats.get(name, 0) + member.n
    rows = []
    for member in best_of_each(members, "backbone"):
        name = member.configuration.network.backbone
        rows.append(
            {
                "Backbone": backbone_text(name),
                "Family": family_of(name),
                "Parameters": _millions(member.total_parameters),
                "Trained parameters": _millions(member.trainable_parameters),
                "Best configuration": whole_name(member),
                **{
                    f"Valid {METRICS.variants[metric].label}": plus_minus(member.score(metric, "valid"))
                    for metric in TASKS.variants[source.summary.study.task].metrics[:2]
                },
                "Best epoch": plus_minus(member.selected_epochs, 1),
                "n": str(member.n),
                "Hours": number(seconds[name] / 3600, 2),
                "Repeats": str(repeats[name]),
            }
        )
    return pd.DataFrame(rows)


def _millions(count: int | None) -> str:
    if count is None:
        return "–"
    return f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count:,}"
