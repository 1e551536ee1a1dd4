"""From what the user typed to a study on disk: its space, its dataset, its partition."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pandas as pd

from orchestrator.results.decided import Decided
from orchestrator.results.names import counted
from orchestrator.results.near_duplicates import pairs_csv, pairs_of, warning, with_kinds
from orchestrator.results.notes import notes_json
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.place import Where
from orchestrator.store.schema import StudyRecord
from orchestrator.study.data_root import root_of, where_else
from orchestrator.study.rule_of_reading import check_needed, reading_before, typed_reading
from orchestrator.study.studies import Study, find_study, new_study, now, versions
from search_spaces.classes import settle_classes
from search_spaces.loader import bundled, default_space, is_path, load_space
from search_spaces.schema import Space
from search_spaces.synthetic import SYNTHETIC
from search_spaces.tables import first_of
from trainables.data.checks import SPLITS, check_classes, check_splits
from trainables.data.dataset import (
    Dataset,
    DatasetOptions,
    Divided,
    fingerprint,
    load_dataset,
    manifest_bytes,
    refused_csv,
    verify_unchanged,
)
from trainables.data.equal_images import kept_note
from trainables.data.folds import fold_partitions, has_folds
from trainables.data.manifest import read_manifest, reading_of
from trainables.data.partition import Partition, splits
from trainables.data.partitioning import make_partition
from trainables.data.rotation import rotate
from trainables.data.synthetic.making import Kind, make_synthetic
from trainables.data.unpacking.opened import Opened, opened_data

Precision = Literal["fp32", "bf16"]

REFUSED_SHOWN = 5
"""How many of the files that are not used are named on the screen."""
MANY_IMAGES = 5000
"""From here on comparing all with all takes some seconds, and is told."""


@dataclass(frozen=True)
class DataRequest:
    """What the user said about the images and their division; source None: those the study has, else synthetic ones."""

    source: Path | None = None
    options: DatasetOptions = field(default_factory=DatasetOptions)
    partitions: int | None = None
    """On how many partitions is searched, the study's own among them; None: every fold of the data, else one."""

    def typed(self) -> str:
        """The options of the command line that say the same, for advice."""
        given: dict[str, object] = {"--data": self.source, "--group-by": self.options.group_by}
        columns = ("file_column", "label_column", "group_column", "split_column", "fold_column")
        given |= {f"--{name.replace('_', '-')}": getattr(self.options, name) for name in ("sheet", *columns, "layout")}
        words = ",".join(f"{split}={word}" for word, split in self.options.split_words)
        given |= {"--split-words": words or None, "--test-fold": self.options.test_fold}
        given |= {"--duplicates": self.options.duplicates}
        given |= {"--data-root": self.options.data_root, **typed_reading(self.options.reading)}
        given |= {"--intensity": self.options.percentiles or given["--intensity"]}
        typed = [f"{option} {shlex.quote(str(value))}" for option, value in given.items() if value is not None]
        flags = {"--join-groups": self.options.join_groups, "--valid-from-train": self.options.valid_from_train}
        return " ".join([*typed, *(flag for flag, is_given in flags.items() if is_given)])


@dataclass(frozen=True)
class Prepared:
    """A study and where its images lie on this machine."""

    study: Study
    data_root: Path


def prepare(
    name: str,
    space: Space,
    studies: Where,
    cache: Path,
    data: DataRequest,
    seed: int,
    precision: Precision | None,
    show: Callable[[str], None],
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Open the study that `name` means, or make it in memory. `show` is told in words what was found.

    name: a bundled study, the path of a TOML file, or the name of a study of the user's own. Raises InputError.
    """
    prepared = _prepared(name, space, studies, cache, data, seed, precision, show, progress)
    return _divided(prepared, data.partitions, show)


def _prepared(
    name: str,
    space: Space,
    studies: Where,
    cache: Path,
    data: DataRequest,
    seed: int,
    precision: Precision | None,
    show: Callable[[str], None],
    progress: Callable[[int, int], None] | None,
) -> Prepared:
    study_name = layout.checked_name(space.name if is_path(name) else name)
    if data.source is None:
        stored = find_study(studies, study_name) or find_study(studies, f"{study_name}-demo")
        if stored is not None:
            return reopen(stored, None, cache, show)
        return _new_demo(space, study_name, studies, cache, seed, precision, show)
    stored = find_study(studies, study_name)
    named = space.class_names if stored is None else stored.record.class_names
    options = replace(data.options, class_names=tuple(named.items()))
    if stored is not None:
        options = replace(
            options,
            reading=reading_before(stored, options.reading),
            duplicates=options.duplicates or stored.record.duplicates,
        )
    source, options = opened_data(data.source, options, cache, show)
    with source.blamed():
        dataset = load_dataset(source.path, options, progress, divided=divider(space, seed))
    _tell_refused(dataset, show)
    for note in (*dataset.notes, *(f"Note: {note}" for note in dataset.odd)):
        show(note)
    check_rule(dataset, data)
    if stored is None:
        return _made(space, study_name, studies, dataset, seed, precision, data, show, source)
    _check_same_data(stored, dataset, data.typed())
    return Prepared(stored, dataset.root)


def check_rule(dataset: Dataset, data: DataRequest) -> None:
    """Raise InputError where the request says how to read what no image has: a range of values, a page, a channel."""
    subject, used = f"dataset {data.source}", reading_of(dataset.manifest)
    check_needed(subject, data.options.reading, data.options.percentiles, used)


def describe_partition(manifest: pd.DataFrame, split: pd.Series[str]) -> pd.DataFrame:
    """One row per class: images in all and per split, for the table that is printed first; and groups, where they are
    more than single images."""
    frame = manifest.assign(split=split.to_numpy())
    are_single = manifest["group"].is_unique
    rows = []
    for label, part in frame.groupby("label", sort=True):
        row: dict[str, object] = {"class": label, "images": len(part)}
        row |= {} if are_single else {"groups": part["group"].nunique()}
        for name in ("train", "valid", "test"):
            inside = part[part["split"] == name]
            row[name] = str(len(inside)) if are_single else f"{len(inside)} in {inside['group'].nunique()}"
        rows.append(row)
    return pd.DataFrame(rows)


def find_space(name: str, studies: Where, data: DataRequest) -> Space:
    """The bundled space or the file's; the default one for a study of the user's own, with data now or on disk."""
    if is_path(name) or name in bundled():
        return load_space(name)
    is_own = data.source is not None or find_study(studies, layout.checked_name(name)) is not None
    return default_space(name) if is_own else load_space(name)


def reopen(study: Study, data_root: Path | None, cache: Path, show: Callable[[str], None] | None = None) -> Prepared:
    """A study without --data: its own images, at `data_root` or wherever they lay when it was made.

    A root that is not on this machine is no fault, other machines may see it or its features be stored already; `show`
    is told how to name another. Raises InputError where images changed.
    """
    root = root_of(study, data_root, cache, show or (lambda _: None))
    if study.record.synthetic_kind:
        root = _made_up(SYNTHETIC.load(study.record.synthetic_kind), cache, study.record.seed)
    if root.is_dir():
        faults = verify_unchanged(root, read_manifest(study.storage.read(layout.MANIFEST)))
        if faults:
            raise InputError(
                f"the images of study {study.name!r} changed since it was made: {'; '.join(faults[:3])}",
                "Put them back, or make another study from the changed images: orch search NEW_NAME … --data DIR",
            )
    elif show is not None:
        show(
            f"Note: the images of study {study.name!r} are not here: expected a folder {root}, found none. "
            + where_else(study, data_root)
        )
    return Prepared(study, root)


def _made_up(kind: Kind, cache: Path, seed: int) -> Path:
    return make_synthetic(cache / "synthetic" / f"{kind.name}-{seed}", kind, seed)


def _new_demo(
    space: Space,
    name: str,
    studies: Where,
    cache: Path,
    seed: int,
    precision: Precision | None,
    show: Callable[[str], None],
) -> Prepared:
    kind: Kind = SYNTHETIC.load(space.synthetic)
    if space.classes is not None and set(space.classes) != set(kind.classes):
        raise InputError(
            f"study {name!r} needs images: expected --data DIR or --data labels.csv (the synthetic images of the kind "
            f"{kind.name} have the classes {', '.join(kind.classes)})",
            f"orch search {name} BACKBONE --data DIR --group-by parent",
        )
    show("No --data given: making a small synthetic dataset. Its results say nothing about real images.")
    dataset = load_dataset(_made_up(kind, cache, seed), DatasetOptions())
    return _made(space, f"{name}-demo", studies, dataset, seed, precision, DataRequest(), show, kind=kind.name)


def _made(
    space: Space,
    name: str,
    studies: Where,
    dataset: Dataset,
    seed: int,
    precision: Precision | None,
    data: DataRequest,
    show: Callable[[str], None],
    source: Opened | None = None,
    kind: str = "",
) -> Prepared:
    advice = f"For these classes make a study of your own: orch search my_{name} BACKBONE {data.typed()}"
    task, classes = settle_classes(space, dataset.manifest["label"], advice)
    partition = divide(space, dataset.manifest, seed)
    split = splits(dataset.manifest, partition)
    manifest = dataset.manifest.assign(split=split)
    # a given partition may lack a test split, or classes in it: nothing but the final test needs them
    duplicates = data.options.duplicates or "refuse"
    needed = SPLITS[:2] if partition.policy in ("given", "valid_from_train") else SPLITS
    check_splits(manifest, needed, keeps_equal=duplicates == "keep-all")
    kept = kept_note(manifest) if duplicates == "keep-all" else ""
    if kept:
        show(f"Warning: {kept}")
    seen = manifest["split"].isin(["train", "valid"])
    record = StudyRecord(
        name=name,
        task=task,
        classes=classes,
        class_names=space.class_names,
        seed=seed,
        precision=precision or "fp32",
        selection=first_of(space, "selection.metric"),
        synthetic=dataset.synthetic,
        synthetic_kind=kind,
        group_meaning=dataset.group_meaning,
        data_fingerprint=fingerprint(manifest[seen]),
        test_fingerprint=fingerprint(manifest[~seen]),
        duplicates=duplicates,
        partition=partition.id,
        data_source=str(dataset.root.resolve()),
        data_packed=str(source.packed) if source is not None and source.packed is not None else "",
        data_sha256=source.digest if source is not None else "",
        space=space.name,
        title=space.title,
        input_size="images",
        created=now(),
        versions=versions(),
    )
    if len(manifest) > MANY_IMAGES:
        show(f"Looking for near-duplicates among {len(manifest):,} images.")
    alike = pairs_of(dataset.manifest["file"].tolist(), dataset.pictures)
    lists = f"orch data duplicates {name}"
    if data.source is not None:  # with --plan there is no study to ask
        lists = f"orch data check {data.typed().removeprefix('--data ')} --every"
    told = warning(with_kinds(alike, manifest, partition.groups), lists)
    if told:
        show(told)
    files = {
        layout.MANIFEST: manifest_bytes(dataset.manifest),
        layout.REFUSED: refused_csv(dataset.refused),
        layout.NEAR_DUPLICATES: pairs_csv(alike),
        layout.NOTES: notes_json(
            [*dataset.warnings, *filter(None, [kept]), *(f"{note.nameless}." for note in dataset.odd)]
        ),
        layout.partition(partition.id): partition.to_bytes(),
    }
    return Prepared(new_study(studies, record, files), dataset.root)


def _divided(prepared: Prepared, asked: int | None, show: Callable[[str], None]) -> Prepared:
    """Add the partitions that are asked for beside the study's own: those of earlier searches first, then new ones."""
    study = prepared.study
    manifest = read_manifest(study.storage.read(layout.MANIFEST))
    count = asked or (len(fold_partitions(manifest)) if has_folds(manifest) else 1)
    if count == 1:
        return prepared
    own = study.record.partition
    searched = [search.partitions for search in Decided.of(study.storage).searches.values()]
    known = max((partitions for partitions in searched if partitions[:1] == (own,)), key=len, default=())
    there = [
        Partition.from_bytes(study.storage.read(layout.partition(name)), layout.partition(name))
        for name in known or (own,)
    ]
    made = rotate(manifest, there, count, study.record.seed)
    for partition in made[len(there) :]:
        split = splits(manifest, partition)
        check_splits(manifest.assign(split=split), SPLITS[:2], keeps_equal=study.record.duplicates == "keep-all")
    changing = sum(split != "test" for split in made[0].groups.values())
    show(f"{count} partitions: {changing} groups take turns in train and valid, the test split is the same in all.")
    files = {partition.id: partition.to_bytes() for partition in made[1:]}
    return replace(prepared, study=replace(study, partitions=files))


def divide(space: Space, manifest: pd.DataFrame, seed: int) -> Partition:
    """The partition that a search makes: the user's own split where the data has one, else by the space's policy.

    Raises InputError."""
    if has_folds(manifest):
        return fold_partitions(manifest)[0]
    if (manifest["split"] != "").all():
        return make_partition(manifest, "given", seed=seed)
    chosen = space.partition
    drawn = seed if chosen.seed is None else chosen.seed
    if (manifest["split"] == "test").any():
        return make_partition(manifest, "valid_from_train", seed=drawn, targets=chosen.targets)
    check_classes(manifest)
    return make_partition(manifest, chosen.policy, seed=drawn, targets=chosen.targets)


def divider(space: Space, seed: int) -> Divided:
    """The same for whoever reads images by percentiles of those that will be trained on."""
    return lambda manifest: splits(manifest, divide(space, manifest, seed))


def _tell_refused(dataset: Dataset, show: Callable[[str], None]) -> None:
    """No file is dropped in silence."""
    refused = dataset.refused
    if len(refused):
        count = f"{len(refused)} files are" if len(refused) > 1 else "1 file is"
        shown = [f"  {row.file}: {row.reason}" for row in refused.head(REFUSED_SHOWN).itertuples()]
        more = [f"  … and {len(refused) - REFUSED_SHOWN} more"] if len(refused) > REFUSED_SHOWN else []
        show("\n".join([f"{count} not used ({layout.REFUSED} of the study lists all):", *shown, *more]))


def _compared(manifest: pd.DataFrame) -> pd.DataFrame:
    """What makes images those of a study, in an order of its own."""
    columns = ["content", "label", "group", "split", *(["fold"] if has_folds(manifest) else [])]
    return manifest[columns].sort_values(columns).reset_index(drop=True)


def _check_same_data(study: Study, dataset: Dataset, typed: str) -> None:
    """The study's images and groups must be those of the data given now."""
    stored = read_manifest(study.storage.read(layout.MANIFEST))
    left, right = (_compared(manifest) for manifest in (stored, dataset.manifest))
    if left.equals(right) and stored["file"].tolist() == dataset.manifest["file"].tolist():
        return
    missing = sorted(set(stored["file"]) - set(dataset.manifest["file"]))
    added = sorted(set(dataset.manifest["file"]) - set(stored["file"]))
    changed = "the pixels, labels, groups, given splits, folds or names of some images differ"
    if missing or added:
        changed = f"{counted(len(missing), 'image')} missing, {len(added)} new"
    raise InputError(
        f"study {study.name!r} was made from other data: {changed}",
        f"Go on without --data, or make another study: orch search {study.name}_2 BACKBONE {typed}",
    )
