"""A tiny study with results, as a search leaves it, for everything that leaves a study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.export.folder import Exported, ExportOptions, export_model
from orchestrator.store import layout
from orchestrator.store.schema import StudyRecord
from orchestrator.study.studies import Study, open_study
from search_spaces.configuration import Configuration
from tests.support.asked import Item, ask
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.bundles.trained import results
from trainables.data.dataset import fingerprint
from trainables.data.manifest import read_manifest

EPOCHS = 3
REPEATS = 2


@dataclass(frozen=True)
class FinishedStudy:
    """`configurations` are trained by name; `studies` is the folder that holds the study "study"."""

    tiny: TinyStudy
    configurations: dict[str, Configuration]

    @property
    def studies(self) -> Path:
        return self.tiny.folder.parent

    @property
    def study(self) -> Study:
        return open_study(self.studies, "study")

    def selected_epochs(self, name: str) -> tuple[int, ...]:
        """Of every repeat of the configuration of that name."""
        found = results(self.tiny.storage, self.tiny.partition, self.configurations[name].id, range(REPEATS))
        return tuple(int(record.meta["selected_epoch"]) for record in found.values())

    @property
    def options(self) -> list[str]:
        return ["--studies", str(self.studies), "--cache", str(self.tiny.cache)]


def finished_study(root: Path, classes: tuple[str, ...], **settings: dict[str, Any]) -> FinishedStudy:
    """Train one configuration per keyword, with these changes, and write the study's own file and search."""
    tiny = make_tiny_study(root, classes)
    configurations = {name: tiny.configuration(**changes) for name, changes in settings.items()}
    manifest = read_manifest(tiny.storage.read(layout.MANIFEST))
    tested = manifest["group"].map(tiny.groups()) == "test"
    record = StudyRecord(
        name="study",
        task="binary" if len(classes) == 2 else "multiclass",
        classes=classes,
        seed=5,
        precision="fp32",
        group_meaning="column group of labels.csv",
        data_fingerprint=tiny.fingerprint,
        test_fingerprint=fingerprint(manifest[tested]),
        partition=tiny.partition,
        data_source=str(tiny.data.resolve()),
        created="2026-01-01T00:00:00+00:00",
        versions={"orch": "0.1.0"},
    )
    tiny.storage.create(layout.STUDY, record.to_toml())
    tiny.storage.create(layout.REFUSED, b"file,reason\nDoe_John.png,empty file\nb.png,not an image: the content\n")
    items = [Item(c.id, REPEATS, EPOCHS) for c in configurations.values()]
    ask(tiny.storage, (tiny.partition,), items, command="orch search secret-folder", who="me")
    bench = tiny.bench()
    for configuration in configurations.values():
        tiny.train(configuration, tuple(range(REPEATS)), EPOCHS, bench)
    return FinishedStudy(tiny, configurations)


def exported(study: FinishedStudy, output: Path, name: str, **changes: object) -> Exported:
    """Export the first repeat of the configuration of that name, without ONNX unless changes ask for it."""
    options = ExportOptions(
        output=output,
        cache=study.tiny.cache,
        configuration=study.configurations[name].id,
        **{"with_onnx": False, **changes},  # type: ignore[arg-type]
    )
    return export_model(study.study, options, lambda _text: None)


def valid_files(study: FinishedStudy) -> list[Path]:
    """Images of the valid split, in manifest order."""
    manifest = read_manifest(study.tiny.storage.read(layout.MANIFEST))
    valid = manifest["group"].map(study.tiny.groups()) == "valid"
    return [study.tiny.data / file for file in manifest["file"][valid]]
