"""Results in the stores of other tools, each read back with the tool's own reader."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from generated_study import GeneratedStudy, UnsyncedStorage, small_study

from orchestrator.commands.export import export
from orchestrator.export import trackers
from orchestrator.store.errors import InputError
from orchestrator.summary import Summary, summarise


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    storage, _ = small_study(tmp_path / "generated", depths=((0, 0), (1, 0)), lrs=(1e-3, 1e-2), batch_sizes=(16,))
    return summarise(storage)


@pytest.mark.filterwarnings("ignore")
def test_optuna_opens_its_storage(summary: Summary, tmp_path: Path) -> None:
    import optuna

    address = f"sqlite:///{tmp_path / 'study.db'}"
    assert trackers.to_optuna(summary, address) == 4
    assert trackers.to_optuna(summary, address) == 0, "the same trials again"
    (name,) = optuna.get_all_study_names(storage=address)
    study = optuna.load_study(study_name=name, storage=address)
    assert study.direction is optuna.study.StudyDirection.MINIMIZE
    best = next(member for member in summary.configurations if member.rank == 1)
    assert best.selection is not None
    assert study.best_trial.user_attrs["configuration"] == best.id
    assert study.best_value == pytest.approx(best.selection.mean)
    assert study.best_trial.params["lr"] == best.configuration.lr
    assert len(study.best_trial.intermediate_values) == best.epochs + 1
    assert set(study.best_trial.params) == {"lr", "non_linearities", "strategy", "backbone", "dropout"}


@pytest.mark.filterwarnings("ignore")
def test_event_files_hold_every_epoch(summary: Summary, tmp_path: Path) -> None:
    assert trackers.to_tensorboard(summary, tmp_path / "events") == 12
    assert trackers.to_tensorboard(summary, tmp_path / "events") == 0
    member = summary.configurations[0]
    (file,) = (tmp_path / "events" / member.partition / member.id / "repeat-0").iterdir()
    found = _scalars(file)
    row = summary.repeats.table.query("configuration == @member.id and repeat == 0").index[0]
    losses = summary.repeats.loss[summary.repeats.start[row] : summary.repeats.start[row + 1], 1]
    assert found["loss/valid"] == pytest.approx(dict(enumerate(losses)), rel=1e-6)
    assert {"accuracy/train", "macro_f1/valid", "balanced_accuracy/valid"} <= set(found)


def _scalars(file: Path) -> dict[str, dict[int, float]]:
    """Records of an event file: length (8 bytes), its checksum (4), an Event, its checksum (4)."""
    from tensorboardX.proto.event_pb2 import Event

    content, found = file.read_bytes(), dict[str, dict[int, float]]()
    while content:
        length = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


class Client:
    """What an MLflow client is asked for."""

    def __init__(self, tracking_uri: str) -> None:
        self.address = tracking_uri
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=self.experiments[name]) if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        self.experiments[name] = "1"
        return "1"

    def search_runs(self, experiments: list[str], filter_string: str, max_results: int) -> list[str]:
        return [key for key, run in self.runs.items() if f"'{run['tags']['orch_key']}'" in filter_string]

    def create_run(self, experiment: str, tags: dict[str, str]) -> Any:
        key = str(len(self.runs))
        self.runs[key] = {"tags": tags, "params": {}, "metrics": {}, "ended": False}
        return SimpleNamespace(info=SimpleNamespace(run_id=key))

    def log_param(self, run: str, name: str, value: Any) -> None:
        self.runs[run]["params"][name] = value

    def log_metric(self, run: str, name: str, value: float, step: int) -> None:
        self.runs[run]["metrics"][name, step] = value

    def set_terminated(self, run: str) -> None:
        self.runs[run]["ended"] = True


def test_mlflow_gets_a_run_per_repeat(summary: Summary, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client("")
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=lambda tracking_uri: client))
    assert trackers.to_mlflow(summary, "file:store") == 12
    assert trackers.to_mlflow(summary, "file:store") == 0
    assert all(run["ended"] for run in client.runs.values())
    assert client.runs["0"]["params"]["lr"] in (1e-3, 1e-2)
    assert ("loss_valid", 0) in client.runs["0"]["metrics"]


def test_a_missing_package_is_one_line(summary: Summary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InputError) as caught:
        trackers.to_mlflow(summary, "file:store")
    assert str(caught.value) == "--mlflow needs the package mlflow, which is not installed\npip install mlflow"


def test_tables_alone(tmp_path: Path) -> None:
    small_study(tmp_path / "generated")
    run = CliRunner().invoke(
        export, ["generated", "--studies", str(tmp_path), "--tables", str(tmp_path / "tables"), "--json"]
    )
    assert run.exit_code == 0, run.output
    assert {path.name for path in (tmp_path / "tables").iterdir()} >= {"configurations.csv", "epochs.parquet"}
    text = (tmp_path / "tables" / "repeats.csv").read_text()
    assert "worker-0" not in text
    assert "host 1" in text


def test_nothing_is_selected_yet(tmp_path: Path) -> None:
    storage = UnsyncedStorage(tmp_path / "empty")
    GeneratedStudy(name="empty").write_frame(storage)
    run = CliRunner().invoke(export, ["empty", "--studies", str(tmp_path), "--output", str(tmp_path / "m")])
    assert isinstance(run.exception, InputError)
    assert "nothing was asked for yet" in str(run.exception)
    run = CliRunner().invoke(export, ["empty", "--studies", str(tmp_path)])
    assert run.exit_code == 2
    assert "expected --output DIR" in run.output
