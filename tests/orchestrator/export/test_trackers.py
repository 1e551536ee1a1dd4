"""Results in the stores of other tools, each read back with the tool's own reader."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orchestrator.commands.export import export
from orchestrator.export import trackers
from orchestrator.results.names import names_of
from orchestrator.results.summary import Summary, summarise
from orchestrator.results.tried import tried_columns
from orchestrator.store.errors import InputError
from search_spaces.configuration import Configuration
from tests.support.configurations import changed
from tests.support.generated_study import GeneratedStudy, UnsyncedStorage, small_study


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
    assert study.best_trial.params["lr"] == best.configuration.optimiser.lr
    assert len(study.best_trial.intermediate_values) == best.epochs + 1
    assert set(study.best_trial.params) == {"lr", "non_linearities"}, "what tells them apart"


class ManySettings(GeneratedStudy):
    """What Optuna and MLflow must take: a range, a zero among logarithmic values, pairs, words, yes and no."""

    def configurations(self) -> list[Configuration]:
        plain = super().configurations()[-1]
        return [
            changed(plain, lr=lr, weight_decay=decay, dropout=dropout, balance=balance, **rule)
            for lr, decay, dropout, balance, rule in (
                (1e-3, 0.0, 0.2, "none", {"optimiser": "adam", "betas": (0.9, 0.99)}),
                (1e-2, 1e-4, 0.5, "none", {"optimiser": "adam", "betas": (0.9, 0.999)}),
                (1e-1, 1e-2, 0.5, "ngca", {"momentum": 0.5, "score_augmented": True}),
            )
        ]


@pytest.fixture
def varied(tmp_path: Path) -> Summary:
    storage, _ = small_study(tmp_path / "varied", study=ManySettings)
    return summarise(storage)


@pytest.mark.filterwarnings("ignore")
def test_settings_of_any_kind_come_back_from_optuna(varied: Summary, tmp_path: Path) -> None:
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    address = f"sqlite:///{tmp_path / 'study.db'}"
    assert trackers.to_optuna(varied, address) == 3
    (name,) = optuna.get_all_study_names(storage=address)
    trials = optuna.load_study(study_name=name, storage=address).trials
    columns = ["lr", "weight_decay", "dropout", "balance", "optimiser", "optimiser.betas"]
    assert {column for trial in trials for column in trial.distributions} == set(columns)
    members = {member.id: tried_columns(member.configuration) for member in varied.configurations}
    for trial in trials:
        own = members[trial.user_attrs["configuration"]]
        assert trial.params == {column: own[column] for column in columns if own[column] is not None}
    assert trials[0].distributions["lr"] == FloatDistribution(1e-3, 1e-1, log=True)
    assert isinstance(trials[0].distributions["weight_decay"], CategoricalDistribution), "a zero has no logarithm"
    assert {trial.params.get("optimiser.betas") for trial in trials} == {"0.9, 0.99", "0.9, 0.999", None}
    assert len({trial.user_attrs["name"] for trial in trials}) == 3


@pytest.mark.filterwarnings("ignore")
def test_mlflow_takes_every_setting(varied: Summary, mlflow: Any, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert trackers.to_mlflow(varied, address) == 9
    client = mlflow.MlflowClient(tracking_uri=address)
    runs = client.search_runs([client.get_experiment_by_name("generated").experiment_id])
    settings = {member.id: tried_columns(member.configuration) for member in varied.configurations}
    for run in runs:
        params = run.data.params
        own = {column: value for column, value in settings[params["configuration"]].items() if value is not None}
        assert set(params) == {"configuration", "partition", *own}
        assert {column: params[column] for column in own} == {column: str(value) for column, value in own.items()}
    assert len({run.info.run_name for run in runs}) == 9


@pytest.mark.filterwarnings("ignore")
def test_event_files_hold_every_epoch(summary: Summary, tmp_path: Path) -> None:
    assert trackers.to_tensorboard(summary, tmp_path / "events") == 12
    assert trackers.to_tensorboard(summary, tmp_path / "events") == 0
    member = summary.configurations[0]
    run = tmp_path / "events" / member.partition / member.id / "repeat-0"
    (run / f"events.out.tfevents.{member.epochs}.orch").rename(run / "events.out.tfevents.1.orch")
    assert trackers.to_tensorboard(summary, tmp_path / "events") == 1, "of other epochs: written anew"
    (file,) = run.iterdir()
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


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The real package."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return pytest.importorskip("mlflow")


@pytest.mark.filterwarnings("ignore")
def test_mlflow_gets_a_run_per_repeat_with_every_value(summary: Summary, mlflow: Any, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert trackers.to_mlflow(summary, address) == 12
    client = mlflow.MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("generated").experiment_id
    runs = client.search_runs([experiment])
    assert {run.info.status for run in runs} == {"FINISHED"}
    # of a repeat whose last epoch is not the selected one: its value cannot pass as that of the other
    row = summary.repeats.table.query("0 < selected_epoch < epochs").index[0]
    of_repeat = summary.repeats.table.loc[row]
    epoch, repeat = int(of_repeat["selected_epoch"]), of_repeat["repeat"]
    member = next(member for member in summary.configurations if member.id == of_repeat["configuration"])
    (run,) = client.search_runs([experiment], f"tags.orch_key = '{member.partition}/{member.id}/{repeat}'")
    assert run.data.params["lr"] == str(member.configuration.optimiser.lr)
    assert not {"mlflow.user", "mlflow.source.name"} & set(run.data.tags), "names of people and paths"
    losses = summary.repeats.loss[summary.repeats.start[row] : summary.repeats.start[row + 1], 1]
    history = client.get_metric_history(run.info.run_id, "loss_valid")
    assert {point.step: point.value for point in history} == pytest.approx(dict(enumerate(losses)))
    names = names_of(each.configuration for each in summary.configurations)
    backbone, _, settings = names[member.id].partition(" ")
    assert run.info.run_name == f"{settings}, repeat {repeat}, {backbone}"
    assert f"lr {member.configuration.optimiser.lr:g}" in settings
    assert run.data.params["configuration"] == member.id
    assert run.data.metrics["selected_epoch"] == epoch
    assert run.data.metrics["selected_loss_valid"] == pytest.approx(losses[epoch])
    assert run.data.metrics["loss_valid"] == pytest.approx(losses[-1])
    assert run.info.end_time - run.info.start_time == pytest.approx(1000 * of_repeat["seconds"], abs=1)
    assert datetime.fromtimestamp(run.info.end_time / 1000, UTC).isoformat() == of_repeat["finished"]
    assert trackers.to_mlflow(summary, address) == 0, "the same runs again"
    client.update_run(run.info.run_id, status="RUNNING")
    assert trackers.to_mlflow(summary, address) == 1, "a run that an export left unfinished"
    assert len(client.search_runs([experiment])) == 12


@pytest.mark.filterwarnings("ignore")
def test_mlflow_refuses_in_one_line(summary: Summary, mlflow: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--mlflow file:.*maintenance mode") as caught:
        trackers.to_mlflow(summary, f"file:{tmp_path / 'runs'}")
    assert caught.value.advice == "orch export STUDY --mlflow sqlite:///mlflow.db"


@pytest.mark.filterwarnings("ignore")
def test_optuna_refuses_in_one_line(summary: Summary) -> None:
    with pytest.raises(InputError, match="--optuna nonsense://x: Can't load plugin"):
        trackers.to_optuna(summary, "nonsense://x")


def test_a_missing_package_is_one_line(summary: Summary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InputError) as caught:
        trackers.to_mlflow(summary, "file:store")
    assert str(caught.value) == "--mlflow needs the package mlflow, which is not installed\npip install mlflow-skinny"


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
    assert "nothing has been searched yet" in str(run.exception)
    run = CliRunner().invoke(export, ["empty", "--studies", str(tmp_path)])
    assert run.exit_code == 2
    assert "expected --output DIR" in run.output
