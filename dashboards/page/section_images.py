"""Where images and names stand on a page that was asked for them: samples, refused files, mistakes on test images."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.dataset import refused_kind
from dashboards.figures.evaluations import evaluations
from dashboards.figures.markup import table, text
from dashboards.page import mistakes
from dashboards.page.controls import nothing, reading
from dashboards.page.sample_images import SIDE, Album, drawn, sample_data, strip
from orchestrator.evaluation.record import EvaluationRecord
from orchestrator.results.stored_data import read_refused
from orchestrator.store.storage import Storage

REFUSED = 200
"""Refused files listed at most, and of them shown:"""
REFUSED_SHOWN = 24
STRIP = 16
WORST = 12
MISSED = 24
_ABSENT = (
    "The images are not shown, because their folder is not on this machine. Write the page on the machine that has it, "
    "or say where the images are now: orch dashboard STUDY --with-images --data-root DIR"
)


def samples(source: Source, partition: str, album: Album, most: int) -> str:
    """Sample images per class: of train and valid, and of test only those that an evaluation has opened."""
    if not album.shown.images:
        return ""
    title = "<h3>Sample images</h3>"
    if not album.is_here:
        return title + nothing(_ABSENT)
    opened = opened_files(source, partition)
    seed = source.summary.study.seed
    data = sample_data(source.storage, partition, album.manifest, opened, seed, most)
    if data.empty:
        return title + nothing("No image of this partition is listed.")
    test = "" if opened else "; test images are closed, so none are shown"
    parts = [
        title,
        reading(
            f"A fixed random draw, from different groups where there are enough{test}. "
            f"The thumbnails, of at most {SIDE} pixels, show what the classes look like, not what the network sees."
        ),
    ]
    order = {name: place for place, name in enumerate(source.summary.study.classes)}
    for name, part in sorted(data.groupby("class", sort=False), key=lambda item: order.get(str(item[0]), len(order))):
        parts.append(f'<h4>{text(name)}</h4><div class="samples">')
        for split, here in part.groupby("split", sort=False):
            rows = [
                (file, f"{split} image of class {name}", _called(album, file, group))
                for file, group in zip(here["file"], here["group"], strict=True)
            ]
            parts.append(f'<div><p class="of">{text(split)}</p>{strip(album, rows)}</div>')
        parts.append("</div>")
    return "".join(parts)


def opened_files(source: Source, partition: str) -> set[str]:
    """Test images that an evaluation has opened; other ones are on no page."""
    own = [record for record in evaluations(source, Choice(partition)) if not record.external]
    return {str(file) for record in own for file in mistakes.prediction_data(source, record)["file"]}


def refused_data(storage: Storage) -> pd.DataFrame:
    """The files that are not used, columns file and reason, both str; no rows where the study holds no such list."""
    return pd.DataFrame(read_refused(storage), columns=["file", "reason"], dtype=str)


def refused(source: Source, album: Album) -> str:
    """The refused files: with names as they are listed, else numbered with the kind of reason; some as pictures."""
    data = refused_data(source.storage)
    if data.empty or not album.shown.something:
        return ""
    files = list(data["file"])
    if album.shown.names or album.shown.numbers is None:
        called = dict(zip(files, files, strict=True)) if album.shown.names else dict.fromkeys(files, "file")
    else:
        called = album.shown.numbers(files, "file", source.summary.study.seed)
    rows = [
        (called[file], reason if album.shown.names else refused_kind(reason))
        for file, reason in data[["file", "reason"]].itertuples(index=False)
    ]
    more = f" The first {REFUSED} of {len(rows):,}." if len(rows) > REFUSED else ""
    listed = table(["File", "Reason"], rows[:REFUSED], "Refused files", "cards")
    pictures = ""
    if album.shown.images and album.is_here:
        shown = [(file, album.source(file)) for file in files[:REFUSED]]
        readable = [file for file, thumbnail in shown if thumbnail][:REFUSED_SHOWN]
        pictures = strip(album, [(file, "refused image", [called[file]]) for file in readable])
    sentence = f"These files are in no split and are not counted anywhere else on this page.{more}"
    return f"<h3>Refused files</h3>{reading(sentence)}{pictures if pictures.count('<li>') else ''}{listed}"


def test_images(source: Source, album: Album, records: Sequence[EvaluationRecord]) -> str:
    """A strip with truth and prediction, the worst mistakes, and the images that every evaluated model misses."""
    own = [record for record in records if not record.external]
    if not album.shown.something or not own:
        return ""
    title = "<h3>Test images</h3>"
    read = [(record, mistakes.prediction_data(source, record)) for record in own]
    with_rows = [(record, data) for record, data in read if not data.empty]
    if not with_rows:
        return title + nothing("The predictions of the test images are not in this study, so none can be shown.")
    record, data = with_rows[-1]
    absent = nothing(_ABSENT) if album.shown.images and not album.is_here else ""
    worst = mistakes.worst(data)
    missed = mistakes.missed([one for _, one in with_rows])
    models = sum(len(one.repeats) for one, _ in with_rows)
    wrong = f"Predicted as another class by most repeats: {len(worst):,} of {len(data):,} test images"
    blocks = [
        f"<h3>Test images</h3>{reading(_how(record))}{absent}",
        "<h4>Truth and prediction, drawn at random</h4>" + _images(album, _drawn(data, source.summary.study.seed)),
        f"<h4>The worst mistakes</h4>{reading(_first(wrong, len(worst), WORST))}{_images(album, worst.head(WORST))}",
    ]
    every = f"Predicted wrong by all {models} evaluated models: {len(missed):,} of {len(data):,} test images"
    pictures = _images(album, missed.head(MISSED))
    blocks.append(f"<h4>Wrong in every model</h4>{reading(_first(every, len(missed), MISSED))}{pictures}")
    return "".join(blocks)


def _how(record: EvaluationRecord) -> str:
    return (
        f"Look {record.number}, {record.name}: single models, one prediction per image and repeat. The count is of "
        f"repeats that predict the true class; P is its mean probability over {len(record.repeats)} repeats."
    )


def _first(sentence: str, count: int, most: int) -> str:
    if not count:
        return f"{sentence}."
    shown = (
        f"shown are the {most} whose true class was least probable"
        if count > most
        else "those whose true class was least probable come first"
    )
    return f"{sentence}; {shown}."


def _drawn(data: pd.DataFrame, seed: int) -> pd.DataFrame:
    """STRIP images, as many of each class as there can be, of different groups where possible."""
    mixed = drawn(data, ["truth"], seed)
    turn = mixed.groupby("truth").cumcount()
    return mixed.assign(turn=turn).sort_values(["turn", "truth"], kind="stable").head(STRIP).sort_values("truth")


def _images(album: Album, data: pd.DataFrame) -> str:
    """Pictures with captions; without images a table."""
    if data.empty:
        return ""
    files, groups = [str(name) for name in data["file"]], [str(name) for name in data["group"]]
    scores = data[["truth", "predicted", "right", "repeats", "probability"]].to_dict("records")
    rows = list(zip(files, groups, scores, strict=True))
    if album.shown.images and album.is_here:
        pictures = []
        for file, group, row in rows:
            truth, predicted = str(row["truth"]), str(row["predicted"])
            verdict = f"✓ {truth}" if predicted == truth else f"✗ {truth} → {predicted}"
            count = f"{row['right']} of {row['repeats']}, P {row['probability']:.2f}"
            alt = f"test image of class {truth}, called {predicted}"
            pictures.append((file, alt, [verdict, count, *_called(album, file, group)]))
        return strip(album, pictures)
    listed = [
        [
            album.name("image", file),
            album.name("group", group),
            row["truth"],
            row["predicted"],
            f"{row['right']} of {row['repeats']}",
            f"{row['probability']:.3f}",
        ]
        for file, group, row in rows
    ]
    return table(["Image", "Group", "Truth", "Called", "Right", "P"], listed, "Test images", "cards")


def _called(album: Album, file: str, group: str) -> list[str]:
    return [album.name("image", file), album.name("group", group)]
