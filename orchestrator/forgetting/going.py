"""What goes with a configuration, a search, a partition, or a whole study."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.proposing.proposer import proposer_of
from orchestrator.results.decided import Decided
from orchestrator.results.histories import list_bundles, list_finals
from orchestrator.results.names import counted, describe_configuration
from orchestrator.store import layout
from orchestrator.store.below import bytes_below, remove_below
from orchestrator.store.errors import DamagedRecordError, InputError
from orchestrator.store.forgotten import note_forgotten, read_forgotten
from orchestrator.store.kinds import amount
from orchestrator.store.searches import search_folder
from orchestrator.store.segments import SEGMENTS, Segment
from orchestrator.study.studies import Study
from search_spaces.configuration import Configuration
from search_spaces.stored import read_configuration
from trainables.bundles.work import parts


@dataclass(frozen=True)
class Going:
    """what: in words. paths: files and folders of the study that go. repeats: that have a result. configurations,
    partitions: that are no longer asked for."""

    what: str
    paths: tuple[str, ...]
    repeats: int
    bytes: int
    configurations: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    is_all: bool = False

    @property
    def words(self) -> str:
        size = f", {amount(self.bytes)}" if self.bytes else ""
        return f"{self.what}: {counted(self.repeats, 'repeat')} with a result{size}"

    def go(self, study: Study) -> None:
        """First it is noted, so that no torn act leaves half of it counted; of a whole study its file goes last,
        so that a torn act can be done again. Raises StorageError."""
        if self.is_all:
            for name in study.storage.list(""):
                if name != layout.STUDY:
                    remove_below(study.storage, name)
        else:
            known = read_forgotten(study.storage)
            note_forgotten(study.storage, known.with_more(self.configurations, self.partitions))
        for path in self.paths:
            remove_below(study.storage, path)


def going(study: Study, asked: str) -> Going:
    """What goes with an id, of which the beginning is enough; "" is the whole study. Raises InputError."""
    storage = study.storage
    if not asked:
        repeats = len(list_finals(storage))
        return Going(f"the whole study {study.name}", ("",), repeats, bytes_below(storage, ""), is_all=True)
    decided = Decided.of(storage)
    of_searches = {*decided.bases(*decided.searches)}
    there = {bundle.configuration for bundle in list_bundles(storage)}
    known = {
        "configuration": of_searches | there,
        "search": {*storage.list(layout.SEARCHES)},
        "partition": {name.removesuffix(".parquet") for name in storage.list(layout.PARTITIONS)},
    }
    matches = [(kind, name) for kind, names in known.items() for name in sorted(names) if name == asked]
    matches = matches or [
        (kind, name) for kind, names in known.items() for name in sorted(names) if name.startswith(asked)
    ]
    if len(matches) != 1:
        raise InputError(
            f"{study.name}:{asked}: expected the beginning of one id of a configuration, a search or a partition, "
            f"found {'none' if not matches else ', '.join(f'{kind} {name}' for kind, name in matches[:5])}",
            f"Ids of configurations and partitions: orch table {study.name}   Ids of searches: orch decisions "
            f"{study.name}",
        )
    ((kind, name),) = matches
    return {"configuration": _configuration, "search": _search, "partition": _partition}[kind](study, decided, name)


def _configuration(study: Study, decided: Decided, name: str) -> Going:
    asking = [search for search in decided.searches if name in decided.bases(search)]
    _check_grid(study, decided, asking, f"configuration {name}")
    _check_no_later_stage(study, decided, {name})
    return _of(study, decided, (name,), _called(study, name))


def _search(study: Study, decided: Decided, name: str) -> Going:
    others = {other for search in decided.searches if search != name for other in decided.bases(search)}
    names = tuple(one for one in decided.bases(name) if one not in others)
    _check_no_later_stage(study, decided, set(names), but=name)
    shared = len(decided.bases(name)) - len(names)
    more = f" (keeping {counted(shared, 'configuration')} that other searches share)" if shared else ""
    of = _of(study, decided, names, f"search {name} and its {counted(len(names), 'configuration')}{more}", without=name)
    settings = tuple(layout.configuration(one) for one in names)
    return _weighed(study, of, (search_folder(name), *settings))


def _partition(study: Study, decided: Decided, name: str) -> Going:
    if name == study.record.partition:
        raise InputError(
            f"partition {name}: expected one that was added, found the study's own", "Forget the whole study instead."
        )
    asking = [search for search, record in decided.searches.items() if name in record.partitions]
    _check_grid(study, decided, asking, f"partition {name}")
    segments = [one for one in decided.segments() if one.partition == name]
    bundles = [bundle for bundle in list_bundles(study.storage) if bundle.partition == name]
    paths = (f"{layout.BUNDLES}/{name}", *_folders(study, segments, set(), set()), *_derived())
    repeats = len(list_finals(study.storage, bundles))
    return _weighed(study, Going(f"all of partition {name}", (), repeats, 0, partitions=(name,)), paths)


def _of(study: Study, decided: Decided, names: tuple[str, ...], what: str, without: str = "") -> Going:
    """All results of configurations, and the segments in which nothing else was trained. without: a search that goes
    too."""
    gone, storage = set(names), study.storage
    stay = {one for search in decided.searches if search != without for one in decided.segments([search])}
    touched = [one for one in decided.segments() if not gone.isdisjoint(one.configurations)]
    touched += [one for one in decided.segments([without] if without else []) if one not in stay]
    bundles = [bundle for bundle in list_bundles(storage) if bundle.configuration in gone]
    folders = dict.fromkeys(f"{layout.BUNDLES}/{one.partition}/{one.configuration}" for one in bundles)
    paths = (*folders, *_folders(study, touched, stay, gone), *_derived())
    return _weighed(study, Going(what, (), len(list_finals(storage, bundles)), 0, configurations=names), paths)


def _derived() -> tuple[str, ...]:
    """What is gathered again without what went."""
    return (layout.HISTORIES,)


def _weighed(study: Study, one: Going, paths: tuple[str, ...]) -> Going:
    size = sum(bytes_below(study.storage, path) for path in paths)
    return Going(one.what, (*one.paths, *paths), one.repeats, one.bytes + size, one.configurations, one.partitions)


def _folders(study: Study, segments: Iterable[Segment], stay: set[Segment], gone: set[str]) -> tuple[str, ...]:
    """Of segments, and of those that they were divided into, but for what trains others too: it is asked for (stay), or
    a part of it, and holds configurations that are not gone."""
    folders, seen, there = list[str](), set[Segment](), {*study.storage.list(SEGMENTS)}
    left = [(segment, segment in stay) for segment in segments]
    while left:
        segment, is_asked = left.pop()
        if segment.id not in there or segment in seen:
            continue
        seen.add(segment)
        if not is_asked or gone.issuperset(segment.configurations):
            folders.append(segment.folder)
        left += [(part, is_asked) for part in parts(study.storage, segment) if part != segment]
    return tuple(folders)


def _check_grid(study: Study, decided: Decided, searches: list[str], what: str) -> None:
    """What a search decided by, and goes on deciding by, cannot go alone."""
    for search in searches:
        record = decided.searches[search]
        if proposer_of(record).listens:
            raise InputError(
                f"{what}: expected one that only grids use, found it in search {search}, which decides by results "
                f"({record.proposer})",
                f"Forget that search as a whole: orch forget {study.name}:{search}",
            )


def _check_no_later_stage(study: Study, decided: Decided, gone: set[str], but: str = "") -> None:
    for search in decided.searches:
        for name in decided.bases(search) if search != but else ():
            configuration = _read(study, name)
            parent = configuration.begins_from if configuration is not None else None
            if name not in gone and parent is not None and parent.configuration in gone:
                raise InputError(
                    f"configuration {parent.configuration}: expected one that no later stage begins from, found {name} "
                    f"of search {search}, which does",
                    f"Forget that search first: orch forget {study.name}:{search}",
                )


def _called(study: Study, name: str) -> str:
    configuration = _read(study, name)
    return f"configuration {name}" + (f" ({describe_configuration(configuration)})" if configuration else "")


def _read(study: Study, name: str) -> Configuration | None:
    try:
        return read_configuration(study.storage, name)
    except (FileNotFoundError, DamagedRecordError):
        return None
