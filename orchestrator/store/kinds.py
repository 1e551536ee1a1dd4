"""What kinds of files a study has: how large each may be, what it holds, and how one that is damaged comes back.

Whoever writes to a study's folder may be careless or hostile, so every read is held to the limit of the file's kind.
Limits are far above what searches write. Where a size follows from facts it is held to them: states, checkpoints and
kept weights say their bytes in their names; what a final record may take follows from its epochs, the classes and the
images.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import MANIFEST, STUDY
from orchestrator.store.record import HEADER_MOST
from orchestrator.store.schema import StudyRecord, parse_toml

MIB = 1 << 20
GIB = 1 << 30

_FROM_COPY = "Put the file back from a copy of the study."
_RESUMED = "`orch resume` trains it again."
_ASKED_AGAIN = "The search's own `orch search` command writes it again."
_LOOKED_AGAIN = "`orch mistakes` finds it again."
_MADE_AGAIN = "The same `orch maps` makes them again."
_TESTED_AGAIN = "The same `orch evaluate` makes it again."


@dataclass(frozen=True)
class Kind:
    """One row of the table.

    most: bytes that such a file may have. decoded: bytes that the values of a Parquet file may take in memory. holds:
    in words, with what its path says. back: what to do to have it again.
    """

    name: str
    pattern: str
    most: int
    holds: str
    back: str
    decoded: int = 0
    is_record: bool = False
    """Whether it is in the format of `orchestrator.store.record`, whose first bytes say where its header ends."""
    compiled: re.Pattern[str] = field(init=False, repr=False, compare=False, default=re.compile(""))

    def __post_init__(self) -> None:
        object.__setattr__(self, "compiled", re.compile(self.pattern))


_SEGMENT = r"segments/[^/]+"
_BUNDLE = r"bundles/[^/]+/(?P<configuration>[^/]+)/\d+"
_SEARCH = r"searches/(?P<search>[^/]+)"
_OF_REPEAT = "repeat {repeat} of configuration {configuration}, {epochs} epochs"

_CONFIGURED = (
    f"{_FROM_COPY[:-1]}; the search's own `orch search` command writes it again once it is removed, and "
    "`orch forget STUDY:ID` gives it up."
)
_DECIDED = "`orch resume` decides it again."
_LEAKED = "The same `orch data leak` trains it again."
_GATHERED = "It is gathered again from the final records."
_CUT = "Cut into another folder: orch data patches DIR --output DIR"
_CHOSEN_AGAIN = "The same `orch ensemble` chooses it again."
_MEASURED = "`orch cost STUDY --measure` takes it again."
_TIMED = "Remove it: a search that needs it measures it again."

_STATE = rf"{_SEGMENT}/state-[0-9a-f]+\.b(?P<bytes>\d+)"
_CHECKPOINT = rf"{_SEGMENT}/attempt-\d+/e\d+\.p\d+\.b(?P<bytes>\d+)\.checkpoint"
_WEIGHTS = rf"{_BUNDLE}/weights/(?P<repeat>\d+)\.e(?P<epochs>\d+)\.b(?P<bytes>\d+)"
_FINAL = rf"{_BUNDLE}/final/(?P<repeat>\d+)\.e(?P<epochs>\d+)(?:\.[a-z]+)*"
_PARTITION = r"partitions/(?P<partition>[^/]+)\.parquet"
_CONFIGURATION = r"configurations/(?P<configuration>[^/]+)\.toml"
_DECISION = rf"{_SEARCH}/(?P<number>\d+)\.toml"
_NOTE = rf"{_SEGMENT}/attempt-\d+/(?:started|ended)\.json"
_SPLITS_OF = "the splits of partition {partition}"
_SETTINGS_OF = "the settings of configuration {configuration}"
_ASKED_BY = "what decision {number} of search {search} asked for"

KINDS = (
    Kind("study file", r"study\.toml", MIB, "what the study is", _FROM_COPY),
    Kind(
        "forgotten",
        r"forgotten\.json",
        64 * MIB,
        "what is no longer asked for",
        "The same `orch forget` notes it again.",
    ),
    Kind("remark", r"results/remarks/\d+\.json", MIB, "a note of the study", _FROM_COPY),
    Kind("manifest", r"dataset/manifest\.parquet", GIB, "the list of images", _FROM_COPY, 4 * GIB),
    Kind("refused files", r"dataset/refused\.csv", 256 * MIB, "the list of refused files", _FROM_COPY),
    Kind("notes of the data", r"dataset/notes\.json", 16 * MIB, "what to know of the data", _FROM_COPY),
    Kind("near-duplicates", r"dataset/near_duplicates\.csv", 256 * MIB, "the list of near-duplicates", _FROM_COPY),
    Kind("partition", _PARTITION, 256 * MIB, _SPLITS_OF, _FROM_COPY, GIB),
    Kind("configuration", _CONFIGURATION, MIB, _SETTINGS_OF, _CONFIGURED),
    Kind("search", rf"{_SEARCH}/search\.toml", 64 * MIB, "search {search}", _ASKED_AGAIN),
    Kind("budget", rf"{_SEARCH}/budget-\d+\.toml", 64 * MIB, "a budget of search {search}", _ASKED_AGAIN),
    Kind("decision", _DECISION, 64 * MIB, _ASKED_BY, _DECIDED),
    Kind("final record", _FINAL, 64 * MIB, _OF_REPEAT, _RESUMED, is_record=True),
    Kind("kept weights", _WEIGHTS, 64 * GIB, f"weights of {_OF_REPEAT}", _TESTED_AGAIN, is_record=True),
    Kind("state", _STATE, 64 * GIB, "a state", _RESUMED, is_record=True),
    Kind("checkpoint", _CHECKPOINT, 64 * GIB, "a checkpoint", _RESUMED, is_record=True),
    Kind("recipe", rf"{_SEGMENT}/recipe\.toml", 16 * MIB, "how a segment is computed", _RESUMED),
    Kind("division", rf"{_SEGMENT}/divided\.toml", 16 * MIB, "how a segment was divided", _RESUMED),
    Kind("note of an attempt", _NOTE, MIB, "when an attempt began or ended", _FROM_COPY),
    Kind("failure", rf"{_SEGMENT}/failure-\d+\.json", 4 * MIB, "why an attempt failed", _RESUMED),
    Kind("lease", r".*lease-\d+\.json", MIB, "who works there", "Whoever works there renews it."),
    Kind("compacted histories", r"histories/[^/]+\.parquet", 4 * GIB, "gathered histories", _GATHERED, 16 * GIB),
    Kind("evaluation", r"results/(?:evaluation|nested|ensemble)-[^/]+\.json", 64 * MIB, "scores", _TESTED_AGAIN),
    Kind("predictions", r"results/.*predictions[^/]*\.parquet", 4 * GIB, "predictions", _TESTED_AGAIN, 16 * GIB),
    Kind("look", r"(?:results/looks|\.looks)/[^/]+\.json", 64 * MIB, "one look at test images", _FROM_COPY),
    Kind("outer fold", r"results/nested/.*\.record", GIB, "one outer fold", _TESTED_AGAIN, is_record=True),
    Kind("leak experiment", r"results/leak/.*\.record", GIB, "one training of it", _LEAKED, is_record=True),
    Kind("ensemble", r"results/ensembles/[^/]+\.json", 64 * MIB, "an ensemble", _CHOSEN_AGAIN),
    Kind("mistakes", r"results/mistakes\.json", 64 * MIB, "what a page shows of mistakes", _LOOKED_AGAIN),
    Kind("maps", r"results/maps/[^/]+\.json", 64 * MIB, "numbers of maps", _MADE_AGAIN),
    Kind("review", r"results/reviews/[^/]+\.json", 64 * MIB, "a list of images to be reviewed", _FROM_COPY),
    Kind("energy reading", r"results/energy/[^/]+", MIB, "a reading of energy", _FROM_COPY),
    Kind("measured time", r"results/cost/[^/]+", MIB, "the time of a pass", _MEASURED),
    Kind("expected times", r"results/epoch_times\.json", 64 * MIB, "what epochs are expected to take", _TIMED),
    Kind("patches", r"cut\.json", GIB, "how images were cut into patches", _CUT),
    Kind("verdicts", r"verdicts\.jsonl", 256 * MIB, "which patches people rejected", _FROM_COPY),
    Kind("page", r".*\.html", GIB, "a page", "`orch dashboard` writes it again."),
)
OTHER = Kind("file", r".*", 64 * MIB, "", _FROM_COPY)

MOST_OF_FINAL = 4 * GIB
_OTHER_OF_FINAL = MIB
"""Settings, times and places of a final record beside its arrays."""
_SPLITS = 3
_IMAGE = 32
"""Bytes at least that an image takes in the manifest: its content hash cannot be compressed."""


def kind_of(path: str) -> Kind:
    """The row for a path within a study."""
    return _found(path)[0]


def holding(path: str) -> str:
    """What the file holds, as far as its path says it; "" where that is not known."""
    kind, named = _found(path)
    return kind.holds.format(**named)


def check_size(path: str, size: int, read: Callable[[str], bytes]) -> None:
    """Raise DamagedRecordError where a file of so many bytes is larger than its kind may be.

    read: reads others of the study, for what their facts allow.
    """
    kind, named = _found(path)
    most = min(kind.most, int(named["bytes"])) if "bytes" in named else kind.most
    if size > most and kind.name == "final record":
        with contextlib.suppress(FileNotFoundError, DamagedRecordError):
            most = max(most, min(_most_of_final(int(named["epochs"]), read), MOST_OF_FINAL))
    if size > most:
        raise DamagedRecordError(
            f"{path}: expected at most {amount(most)} ({kind.name}), found {amount(size)}", kind.back
        )


def check_start(path: str, start: bytes) -> None:
    """Raise DamagedRecordError where a record's first bytes say that none follows: before the rest is read."""
    kind = kind_of(path)
    if kind.is_record and not 2 <= int.from_bytes(start[:8], "little") <= HEADER_MOST:
        raise DamagedRecordError(f"{path} is not a whole record: its header has no length", kind.back)


def most_read(path: str) -> int:
    """No file of this path is larger, whatever the study's facts."""
    kind, named = _found(path)
    if "bytes" in named:
        return min(kind.most, int(named["bytes"]))
    return MOST_OF_FINAL if kind.name == "final record" else kind.most


def amount(size: int) -> str:
    """Bytes in words: "64 MiB"."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"


def _most_of_final(epochs: int, read: Callable[[str], bytes]) -> int:
    """Twice what history and logits of all images would take."""
    study, images = parse_toml(StudyRecord, read(STUDY), STUDY), len(read(MANIFEST)) // _IMAGE
    classes = len(study.classes)
    history = (epochs + 1) * _SPLITS * (8 + 4 * classes**2)
    return _OTHER_OF_FINAL + 2 * (history + 2 * images * classes)


_BY_FOLDER: dict[str, list[Kind]] = {}
for _kind in KINDS:
    _folder = _kind.pattern.partition("/")[0]
    _BY_FOLDER.setdefault(_folder if _folder.isalpha() else "", []).append(_kind)


def _found(path: str) -> tuple[Kind, dict[str, str]]:
    for folder in (path.partition("/")[0], ""):
        for kind in _BY_FOLDER.get(folder, ()):
            match = kind.compiled.fullmatch(path)
            if match:
                return kind, match.groupdict()
    return OTHER, {}
