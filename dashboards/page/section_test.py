"""The section of the sealed test split: what evaluations found, and how often anybody looked."""

from __future__ import annotations

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Per
from dashboards.figures.evaluations import evaluations, newest
from dashboards.figures.markup import table, text
from dashboards.page.chart import Charts
from dashboards.page.controls import nothing, reading
from dashboards.page.nested_part import closed, nested_evaluations
from dashboards.page.points_and_parts import operating_points, subgroups
from dashboards.page.sample_images import Album
from dashboards.page.score_cells import NAMES, Cells, secondary
from dashboards.page.section_figures import section_figures
from dashboards.page.section_images import test_images
from dashboards.page.together import ensembles_tested
from orchestrator.evaluation.nested_record import read_nested
from orchestrator.evaluation.record import EvaluationRecord, Level, absent_kinds
from orchestrator.results.grouped import images_in
from orchestrator.results.names import counted


def test_section(source: Source, partition: str, charts: Charts, album: Album) -> str:
    """Closed until `orch evaluate` has opened it; then scores with intervals, per class, figures, subgroups, looks."""
    evaluated = evaluations(source, Choice(partition))
    records = read_nested(source.storage)
    nested = nested_evaluations(records, partition)
    if not evaluated:
        return closed(records) + nested
    parts = [_looks(evaluated)]
    parts += [_record(record, album) for record in evaluated[::-1][:3]]
    figures = section_figures("test", source, Choice(partition), charts, Per.PARTITION)
    drawn = newest(source, Choice(partition)) if len(evaluated) > 1 else None
    which = f"<h3>Figures of look {drawn.number}: {text(_title(drawn))}</h3>" if drawn else ""
    parts.append(ensembles_tested(source, partition, album))
    return "".join(parts) + nested + which + figures + test_images(source, album, evaluated)


def _looks(records: list[EvaluationRecord]) -> str:
    """One sentence per set of test images, then all looks as a table."""
    newest = {record.test_set: record for record in sorted(records, key=lambda record: record.looks)}
    lines = []
    for last in newest.values():
        what = "external image" if last.external else "test image"
        there = images_in(last.images, last.groups, last.group_meaning, what)
        told = last.looked_at
        sentence = f"{told[0].upper()}{told[1:]}: {there}{f', {last.external}' if last.external else ''}."
        note = " Only the scores of the first look are those of an unseen test set." if last.looks > 1 else ""
        lines.append(f"<p><strong>{text(sentence)}</strong>{text(note)}</p>")
    rows = [
        [
            r.number,
            r.created[:16].replace("T", " "),
            _title(r),
            r.chosen,
            len(r.repeats),
            f"{r.images:,}",
            f"{r.groups:,}",
        ]
        for r in records
    ]
    columns = ["Look", "When", "Configuration", "Chosen", "Repeats", "Images", "Groups"]
    return "".join(lines) + table(columns, rows, "Looks at the test set", "cards")


def _title(record: EvaluationRecord) -> str:
    return f"{record.name}, external images" if record.external else record.name


def _record(record: EvaluationRecord, album: Album) -> str:
    parts = [f"<h3>Look {record.number}: {text(_title(record))}</h3>"]
    parts.append(
        reading(
            f"Mean ± standard deviation over {counted(len(record.repeats), 'repeat')}, single models, one prediction "
            f"per image; 95 % intervals over groups are in brackets. {absent_kinds(record.groups)}".rstrip(),
            "The intervals describe other groups of the same kind.",
        )
    )
    primary, cells = record.primary, Cells()
    levels = [level for level in (primary.image, primary.even, primary.group) if level is not None]
    names = list(dict.fromkeys(name for level in levels for name in level.overall if name in NAMES))
    rows = [[NAMES[name], *(cells.of(level.overall.get(name)) for level in levels)] for name in names]
    heads = [_head(level) for level in levels]
    parts.append(table(["Primary estimate", *heads], rows, "Test scores", "cards"))
    if primary.group is None and primary.no_group:
        parts.append(nothing(f"No scores with groups as the unit: {primary.no_group.rstrip('.')}."))
    parts.append(_classes(primary.image, cells))
    parts.append(secondary(record.estimates, cells))
    parts.append(operating_points([("", point) for point in record.operating_points], cells))
    parts.append(subgroups([("", part) for part in record.subgroups], cells, album))
    parts.append(cells.notes())
    if record.notes:
        notes = [note if album.shown.names else _without_example(note) for note in record.notes]
        parts.append('<ul class="notes">' + "".join(f"<li>{text(note)}</li>" for note in notes) + "</ul>")
    return "".join(parts)


def _head(level: Level) -> str:
    if level.unit == "group":
        return f"{level.count:,} groups, a prediction each"
    return f"{level.count:,} images, mean over {level.mean_over}"


def _without_example(note: str) -> str:
    """A note without the file that it gives as an example."""
    kept, example, _ = note.partition(", for instance ")
    return f"{kept}." if example else note


def _classes(level: Level, cells: Cells) -> str:
    names = ("recall", "specificity", "precision", "npv", "f1", "roc_auc")
    rows = [
        [one.name, f"{one.images:,}", f"{one.groups:,}", *(cells.of(one.scores.get(name)) for name in names)]
        for one in level.classes
    ]
    columns = ["Class", "Images", "Groups", *(NAMES[name] for name in names)]
    return table(columns, rows, "Each class against the rest, mean over images", "cards")
