"""One page of several studies side by side: their best configurations, losses, and what keeps them from comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd

from dashboards.figures.choice import Choice, Source, best_of_each
from dashboards.figures.declaration import Compared, Figure
from dashboards.figures.markup import study_title, table, text
from dashboards.figures.registry import FIGURES
from dashboards.page.best_table import best_table, best_table_data
from dashboards.page.chart import Charts, Variant
from dashboards.page.controls import nothing, reading
from dashboards.page.failing import drawn_or_why_not
from dashboards.page.page import document, left_out_html
from orchestrator.results.comparing import selected_by
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.summary import Summary, summarise
from orchestrator.statistics.partitions import partitions_of
from orchestrator.store.damage import LeftOut, collecting
from orchestrator.store.schema import Metric
from orchestrator.store.storage import Storage


def render_comparison(storages: Sequence[Storage], *, now: str) -> str:
    """The page of several studies, in the order given; `now` as for `dashboards.page.page.render`.

    Raises what `orchestrator.results.summary.summarise` raises for any of them.
    """
    with collecting() as left_out:
        return _page([Source(summarise(storage, now), storage) for storage in storages], now, left_out)


def _page(sources: Sequence[Source], now: str, left_out: LeftOut) -> str:
    titles = [study_title(source.summary.study) for source in sources]
    charts = Charts(", ".join(titles))
    head = (
        f'<header class="masthead"><p class="eyebrow">Comparison, {text(now[:16].replace("T", " "))} UTC</p>'
        f"<h1>{text(' and '.join(titles))}</h1></header>"
    )
    sections = [
        ("answer", "Side by side", _best(sources) + _figures(sources, charts)),
        ("data", "Can they be compared?", _differences(sources)),
    ]
    body = "".join(f'<section id="{name}"><h2>{title}</h2>{content}</section>' for name, title, content in sections)
    bar = (
        '<div class="bar"><div><nav aria-label="Sections">'
        + "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in sections)
        + '</nav><button type="button" id="theme">Light or dark</button></div></div>'
    )
    foot = f"<footer>Written {text(now)}. No images, file names or group names are in this page.</footer>"
    return document(
        " and ".join(titles), f'{head}{bar}{left_out_html(left_out.all)}<main id="main">{body}</main>{foot}', charts
    )


def _best(sources: Sequence[Source]) -> str:
    best: list[tuple[str, list[ConfigurationSummary]]] = []
    for source in sources:
        names, study = partitions_of(source.summary), source.summary.study.name
        for partition in names:
            members = best_of_each(Choice(partition).members(source.summary), "strategy", "backbone")
            best.append((f"{study}, {partition}" if len(names) > 1 else study, members))
    selections: set[Metric] = {member.configuration.selection.metric for _, members in best for member in members}
    frames = []
    for where, members in best:
        frame = best_table_data(members, selections)
        if len(frame):
            frame.insert(0, "Study", where)
            frames.append(frame)
    if not frames:
        return nothing("None of these studies has a ranked configuration yet.")
    note = (
        "Mean ± standard deviation (n − 1) over n repeats, each at its selected epoch, ranked within each study. "
        "Validation scores were used for selection and are optimistic."
    )
    return best_table(pd.concat(frames, ignore_index=True), selections, "several") + reading(note)


def _figures(sources: Sequence[Source], charts: Charts) -> str:
    storages = [source.storage for source in sources]
    return "".join(
        drawn_or_why_not(figure.compared.title, partial(_figure, figure, figure.compared, sources, charts), *storages)
        for figure in FIGURES.values()
        if figure.compared
    )


def _figure(figure: Figure, compared: Compared, sources: Sequence[Source], charts: Charts) -> str:
    data = _together([source for source in sources if figure.is_of(source.summary)], figure.data)
    if data.empty:
        return ""
    label = f"{compared.title} of {len(sources)} studies."
    chart = charts.add(
        {"only": Variant.of(figure.draw(data, Choice()), label, data)},
        min_width=figure.page.width(data),
        title=compared.title,
    )
    return f"<h3>{compared.title}</h3>{reading(compared.reading)}{chart}"


def _together(sources: Sequence[Source], data_of: Callable[[Source, Choice], pd.DataFrame]) -> pd.DataFrame:
    """The data of one figure of every study, rows named by study; lines part studies, not families."""
    frames = []
    for source in sources:
        frame = data_of(source, Choice(next(iter(partitions_of(source.summary)), "")))
        if len(frame):
            study = source.summary.study.name
            frame = frame.assign(name=[f"{study}, {name}" for name in frame["name"]])
            frames.append(frame.assign(family=study) if "family" in frame else frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _differences(sources: Sequence[Source]) -> str:
    """What has to agree for two numbers to be comparable, and whether it does."""
    studies = [source.summary.study for source in sources]
    rows: list[list[object]] = [
        ["Train and valid images", *(study.data_fingerprint[:12] for study in studies)],
        ["Test images", *(study.test_fingerprint[:12] for study in studies)],
        ["Classes", *(", ".join(study.classes) for study in studies)],
        ["Partitions", *(", ".join(partitions_of(source.summary)) or "–" for source in sources)],
        ["Selection metric", *(study.selection for study in studies)],
        ["Selection rule", *(_rule(source.summary) for source in sources)],
        ["Precision", *(study.precision for study in studies)],
        ["Seed", *(study.seed for study in studies)],
        ["Groups", *(study.group_meaning for study in studies)],
    ]
    rows = [[*row, "same" if len(set(map(str, row[1:]))) == 1 else "differs"] for row in rows]
    apart = [str(row[0]).lower() for row in rows[:6] if row[-1] == "differs"]
    sentence = (
        f"These studies differ in {', '.join(apart)}: a difference between their scores may come from that alone."
        if apart
        else "Same images, classes, partition and selection: repeats of equal number can be compared in pairs, "
        "as orch compare does."
    )
    columns = ["What", *(study.name for study in studies), ""]
    return f"<p>{text(sentence)}</p>" + table(columns, rows, "What the studies share", "cards")


def _rule(summary: Summary) -> str:
    """By what the epochs of those that select by the study's metric are selected."""
    members = [m for m in summary.configurations if m.configuration.selection.metric == summary.study.selection]
    return selected_by(members) or "–"
