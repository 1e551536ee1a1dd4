"""The data behind a study: flow from files to splits, classes, the partition, samples, duplicates."""

from __future__ import annotations

from dashboards.figures import dataset
from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Per
from dashboards.figures.markup import table, text
from dashboards.page.chart import Charts
from dashboards.page.controls import nothing, reading
from dashboards.page.duplicates import duplicates
from dashboards.page.sample_images import Album
from dashboards.page.section_figures import section_figures
from dashboards.page.section_images import opened_files, refused, samples
from orchestrator.results.grouped import images_in, of_groups
from orchestrator.results.notes import read_notes
from orchestrator.results.policies import how_divided
from orchestrator.results.reference_mode import reference_note


def section_data(source: Source, partition: str, charts: Charts, album: Album, most: int) -> str:
    """Flow from files to splits, classes by split before and after balancing, groups per split; `most` samples."""
    counts = dataset.flow(source, partition)
    if counts is None:
        return nothing("This study holds no list of its images.")
    group = source.summary.study.group_meaning
    steps = []
    unused = sum(counts.refused.values())
    if unused:
        why = "; ".join(f"{reason}: {count}" for reason, count in counts.refused.items())
        steps.append(("Files", f"{counts.images + unused:,} listed"))
        steps.append(("Refused", f"{unused:,} ({why})"))
    steps.append(("Images", images_in(counts.images, counts.groups, group, "used image")))
    if said := reference_note(entry.configuration for entry in source.summary.configurations):
        steps.append(("Normalised", said))
    steps += [(name.capitalize(), of_groups(images, groups)) for name, (groups, images) in counts.by_split.items()]
    flow = "".join(f"<li><b>{text(name)}</b> {text(words)}</li>" for name, words in steps)
    parts = [f'<h3>From files to splits</h3><ol class="flow">{flow}</ol>']
    if counts.cut_off is not None:  # of area, so no step in which images go
        parts.append(nothing(f"{counts.cut_off}."))
    parts += [nothing(told) for told in read_notes(source.storage)]
    parts.append(section_figures("data", source, Choice(partition), charts, Per.PARTITION))
    opened = opened_files(source, partition) if album.shown.images else set()
    parts += [
        _partition(source, partition, charts),
        duplicates(source, partition, album, opened),
        samples(source, partition, album, most),
        refused(source, album),
    ]
    return "".join(parts)


def _partition(source: Source, partition: str, charts: Charts) -> str:
    """How near the partition came to its targets, where its file says so."""
    made = dataset.partition_details(source.storage, partition)
    details = made.get("details")
    classes = details.get("classes") if isinstance(details, dict) else None
    if not isinstance(details, dict) or not isinstance(classes, dict):
        return ""
    rows = []
    for name, values in classes.items():
        if isinstance(values, dict) and isinstance(values.get("shares"), list):
            shares = " / ".join(f"{share:.1%}" for share in values["shares"])
            extra = [values.get(key) for key in ("distance", "mu", "epsilon")]
            rows.append([name, shares, *("–" if value is None else f"{value:.4g}" for value in extra)])
    if not rows:
        return ""
    is_filled = any(row[3:] != ["–", "–"] for row in rows)
    sentence = (
        f"{how_divided(str(made.get('policy', '–')), made.get('seed', '–'))}. Shares are of "
        f"{details.get('unit', 'images')}, train / valid / test."
    )
    how = "Distance is how far shares and numbers of groups are from their targets; 0 is exact."
    if is_filled:
        how += " μ and ε are those that iterative filling chose, where it was used."
    maps = section_figures("partition", source, Choice(partition), charts, Per.PARTITION)
    columns = ["Class", "Shares", "Distance", *(("μ", "ε") if is_filled else ())]
    content = table(columns, [row[: len(columns)] for row in rows], "How the partition came out", "cards")
    return f"<h3>The partition</h3>{reading(sentence, how)}{content}{maps}"
