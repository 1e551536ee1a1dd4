"""Reading data for a check: with the code of a search, but going on behind what would stop one, as far as it can."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import pandas as pd

from orchestrator.checking.features import plain_features
from orchestrator.checking.file_facts import facts_of
from orchestrator.checking.looks import Looks
from orchestrator.checking.material import Features, Material
from orchestrator.results.near_duplicates import COLUMNS, pairs_of, with_kinds
from orchestrator.store.errors import Faults, InputError
from orchestrator.study.preparation import MANY_IMAGES, DataRequest, check_rule, divide, divider
from search_spaces.classes import settle_classes
from search_spaces.schema import Space
from trainables.data.checks import SPLITS, check_splits
from trainables.data.contents import COLUMN as CONTENT
from trainables.data.dataset import Dataset, Divided, check_refused, load_dataset
from trainables.data.folds import has_folds
from trainables.data.groups import with_groups
from trainables.data.labels import check_labels
from trainables.data.levels import CLASS, FOLD, GROUP, NOTHING, SPLIT
from trainables.data.listing import Listing
from trainables.data.options import DatasetOptions
from trainables.data.partition import Partition
from trainables.data.source import list_source
from trainables.data.split_words import split_of
from trainables.machine.allocation import cpus

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]
Featured = Callable[[Dataset], Features]


@dataclass(frozen=True)
class CheckRequest:
    """data: what is read, as for a search. typed: what the user gave, which may be packed. space: whose study it is,
    which says how images are divided. features: what outliers are told by; None: colour, brightness and texture."""

    data: DataRequest
    typed: DataRequest
    space: Space
    seed: int = 0
    features: Featured | None = None


@dataclass(frozen=True)
class Reading:
    """stops: every error that a search would end with, in its order. listing and material: None where an error leaves
    nothing to go on with. unusable: whether it is the input as it was typed that cannot be read."""

    stops: tuple[InputError, ...]
    unusable: bool
    listing: Listing | None = None
    material: Material | None = None

    @property
    def how(self) -> tuple[tuple[str, str], ...]:
        """(what, how it was read) for the user."""
        if self.listing is None:
            return ()
        listing, rows = self.listing, [("root", str(self.listing.root))]
        if listing.columns:
            beside = [name for name in listing.entries[0].extra if name != CONTENT] if listing.entries else []
            used = [name for name in listing.columns if name not in beside]
            rows.append(("columns", ", ".join(used) + (f"; not used: {', '.join(beside)}" if beside else "")))
        else:
            rows.append(("layout", _layout(listing)))
        if self.material is not None:
            rows.append(("group", self.material.dataset.group_meaning if self.material.groups_said else "not stated"))
            rows.append(("splits", self._splits(self.material)))
        return tuple(rows)

    def _splits(self, material: Material) -> str:
        if material.is_given:
            return "folds of the data" if has_folds(material.manifest) else "given with the data"
        if material.partition is None:
            return "none can be made"
        return f"none given: a search makes them, policy {material.partition.policy}, seed {material.partition.seed}"


def read(request: CheckRequest, say: Say, progress: Progress) -> Reading:
    """Everything about the data of a request; `progress(what, done, total)`. Never raises InputError: it is kept."""
    stops = list[InputError]()
    source = request.data.source
    assert source is not None
    options = replace(request.data.options, class_names=tuple(request.space.class_names.items()))
    try:
        listing = list_source(source, options)
        if not listing.entries:
            check_refused(listing, listing.refused, options.max_refused_share)
    except InputError as error:
        return Reading((error,), True)
    asked = options
    try:
        check_labels(pd.Series([entry.label for entry in listing.entries], dtype="str"), listing.subject, None)
    except InputError as error:
        stops.append(error)
    try:
        faults = Faults(listing.subject)
        with faults.collecting():
            with_groups(listing, options.group_by, options.join_groups)
        faults.raise_if_any()
    except InputError as error:
        stops.append(error)
        asked = _each_by_itself(options)
    unusable = bool(stops)
    looks, divided = Looks(), divider(request.space, request.seed)
    try:
        dataset = load_dataset(
            source,
            replace(asked, max_refused_share=1.0),
            lambda done, total: progress("images read", done, total),
            looks,
            divided,
        )
    except InputError as error:
        told = {stop.message: stop for stop in [*stops, _own_words(source, asked, divided, error)]}
        return Reading(tuple(told.values()), True, listing)
    for late in (partial(_check_refused, listing, dataset, options), partial(check_rule, dataset, request.typed)):
        try:
            late()
        except InputError as error:
            stops.append(error)
    material = _material(request, dataset, asked is options, looks, stops, say, progress)
    return Reading(tuple(stops), unusable, listing, material)


def _own_words(source: Path, options: DatasetOptions, divided: Divided, error: InputError) -> InputError:
    """What a search says of data that cannot be read, however many files may be refused: it may name these first."""
    try:
        load_dataset(source, options, divided=divided)
    except InputError as own:
        return own
    return error


def _each_by_itself(options: DatasetOptions) -> DatasetOptions:
    """Without groups, for what can be said without them."""
    layout = options.layout.replace(GROUP, NOTHING) if options.layout else None
    return replace(options, group_by="none", group_column=None, join_groups=False, layout=layout)


def _check_refused(listing: Listing, dataset: Dataset, options: DatasetOptions) -> None:
    used, reasons = set(dataset.manifest["file"]), dict(dataset.refused[["file", "reason"]].to_numpy().tolist())
    late = [(entry.file, reasons[entry.file]) for entry in listing.entries if entry.file not in used]
    check_refused(listing, [*listing.refused, *late], options.max_refused_share)


def _material(
    request: CheckRequest,
    dataset: Dataset,
    groups_said: bool,
    looks: Looks,
    stops: list[InputError],
    say: Say,
    progress: Progress,
) -> Material:
    manifest = dataset.manifest
    files = manifest["file"].tolist()
    partition, typed = None, request.data.typed()
    advice = f"For these classes make a study of your own: orch search my_{request.space.name} BACKBONE {typed}"
    try:
        settle_classes(request.space, manifest["label"], advice)
    except InputError as error:
        stops.append(error)
    if groups_said:
        try:
            partition = divide(request.space, dataset.manifest, request.seed)
            split = manifest["group"].map(partition.groups)
            needed = SPLITS if partition.policy != "given" else SPLITS[:2]
            keeps_equal = request.data.options.duplicates == "keep-all"
            check_splits(manifest.assign(split=split), needed, keeps_equal=keeps_equal)
        except InputError as error:
            stops.append(error)
    if len(files) > MANY_IMAGES:
        say(f"Looking for near-duplicates among {len(files):,} images.")
    pairs = with_equal(pairs_of(files, dataset.pictures), manifest)
    told = with_kinds(pairs, manifest, _places(manifest, partition))
    content = dict(zip(files, manifest["content"], strict=True))
    told["equal"] = [content[one] == content[two] for one, two in zip(told["file"], told["other"], strict=True)]
    features = request.features(dataset) if request.features is not None else plain_features(dataset, looks)
    formats, cameras = _facts(dataset, progress)
    return Material(
        dataset,
        shlex.quote(str(request.typed.source)),
        replace(request.typed, source=None).typed(),
        groups_said,
        _advice(request.data, dataset),
        partition,
        bool((manifest["split"] != "").all()) or has_folds(manifest),
        told,
        features,
        looks.border(files),
        looks.grey(files),
        formats,
        cameras,
    )


def with_equal(pairs: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """Also equal images that are too empty to be compared: the first of each set with every other one."""
    known = set(zip(pairs["file"], pairs["other"], strict=True))
    more = []
    for _, rows in manifest[manifest["content"].duplicated(keep=False)].groupby("content"):
        first, *others = sorted(rows["file"])
        more += [(first, other, 1.0, 0) for other in others if not {(first, other), (other, first)} & known]
    return pd.concat([pairs, pd.DataFrame(more, columns=COLUMNS)], ignore_index=True) if more else pairs


def _places(manifest: pd.DataFrame, partition: Partition | None) -> dict[str, str]:
    """Group → split, or the fold of one that takes turns."""
    if has_folds(manifest):
        places = manifest["fold"].where(manifest["split"] != "test", "test")
        return dict(zip(manifest["group"], places, strict=True))
    if partition is not None:
        return partition.groups
    return dict(zip(manifest["group"], manifest["split"], strict=True))


def _facts(dataset: Dataset, progress: Progress) -> tuple[tuple[str, ...], tuple[str, ...]]:
    files, facts = dataset.manifest["file"], list[tuple[str, str]]()
    with ThreadPoolExecutor(max_workers=cpus()) as pool:
        for fact in pool.map(lambda file: facts_of(dataset.root / file), files):
            facts.append(fact)
            progress("headers read", len(facts), len(files))
    return tuple(one for one, _ in facts), tuple(camera for _, camera in facts)


def _advice(data: DataRequest, dataset: Dataset) -> str:
    """How two images come into one group."""
    if dataset.group_meaning.startswith("column "):
        return f"give both the same group in {dataset.group_meaning}"
    return "give both the same group in a table of files, labels and groups (--data labels.csv --group-column NAME)"


def _layout(listing: Listing) -> str:
    """What the levels of class folders mean, from the first image: split/class."""
    entry = listing.entries[0]
    words = []
    for part in PurePosixPath(entry.file).parts[:-1]:
        kinds = {CLASS: part == entry.label, FOLD: part == entry.fold, GROUP: part == entry.group}
        kinds[SPLIT] = bool(entry.split) and split_of(part) == entry.split
        words.append(next((word for word in (CLASS, SPLIT, FOLD, GROUP) if kinds.get(word)), NOTHING))
    while words and words[-1] == NOTHING:
        words.pop()
    return "/".join(words) or "class folders"
