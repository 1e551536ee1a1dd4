"""A study's results in the stores of other tools: MLflow, TensorBoard, Optuna. Each is optional and derived.

Packages are imported by name when asked for, so that none of them is needed by anything else.
"""

from __future__ import annotations

import importlib
import math
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.results.comparing import are_mixed, looked_at
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.flat_scores import FlatScores
from orchestrator.results.names import names_of
from orchestrator.results.summary import Summary
from orchestrator.results.tried import tried_columns
from orchestrator.store.errors import InputError
from search_spaces.configuration import differing
from trainables.learning.metrics import is_loss

ID = "configuration"
KEY, EPOCHS = "orch_key", "orch_epochs"
MLFLOW_PAGE = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": "A run is one repeat of one configuration. Validation scores were used for selection, so "
    "they are optimistic. MLflow lists a metric's last epoch; metrics whose names begin with selected_ are of the "
    "selected epoch.",
}
"""Without the kind MLflow's page shows the experiment as one of language models."""
MLFLOW_BATCH = 1000
"""Metrics that one request may carry."""


def package(name: str, option: str, install: str) -> Any:
    """The package, or InputError with the command that installs it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"{option} needs the package {name}, which is not installed", f"pip install {install}"
        ) from error


def to_tensorboard(summary: Summary, folder: Path) -> int:
    """One run per repeat: every metric of every split by epoch. Returns how many were written.

    A run with these epochs that is there already is left alone; one with other epochs is replaced.
    """
    writer = package("tensorboardX", "--tensorboard", "tensorboardX").SummaryWriter
    written, names = 0, _names(summary)
    for member, repeat, curves, _ in _curves(summary):
        run = folder / member.partition / member.id / f"repeat-{repeat}"
        # named here, because the writer puts the machine's name into that of the file
        name = f"events.out.tfevents.{_epochs(curves)}.orch"
        if (run / name).exists():
            continue
        partial = run.with_name(f"{run.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        with writer(logdir=str(partial)) as events:
            events.add_text("settings", _text(member, names[member.id]), 0)
            for metric, epoch, value in _points(curves):
                events.add_scalar(metric, value, epoch)
        (file,) = partial.iterdir()
        file.rename(partial / name)
        shutil.rmtree(run, ignore_errors=True)
        partial.rename(run)
        written += 1
    return written


def to_mlflow(summary: Summary, address: str) -> int:
    """One run per repeat in the experiment of the study's name, with its time. Returns how many were written.

    Every metric by epoch, and beside it its value at the selected epoch: MLflow's list shows the last one of each. A
    finished run with these epochs that is there already is left alone; one that was interrupted, or has other
    epochs, is written anew and the old one deleted (MLflow keeps it in its bin). Raises InputError for an address that
    MLflow does not take.
    """
    # by default MLflow tells its makers that it was used, and tries an address without a server for minutes
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    mlflow = package("mlflow", "--mlflow", "mlflow-skinny")
    try:
        return _to_mlflow(mlflow, summary, address)
    except mlflow.exceptions.MlflowException as error:
        raise InputError(
            f"--mlflow {address}: {_first_line(error)}", "orch export STUDY --mlflow sqlite:///mlflow.db"
        ) from error


def _to_mlflow(mlflow: Any, summary: Summary, address: str) -> int:
    client = mlflow.MlflowClient(tracking_uri=address)
    name = summary.study.name
    known = client.get_experiment_by_name(name)
    experiment = known.experiment_id if known is not None else client.create_experiment(name, tags=MLFLOW_PAGE)
    there = {run.data.tags.get(KEY, ""): run for run in _mlflow_runs(client, experiment)}
    written, names = 0, _names(summary)
    for member, repeat, curves, result in _curves(summary):
        key, epochs = f"{member.partition}/{member.id}/{repeat}", str(_epochs(curves))
        if (old := there.get(key)) is not None:
            if old.info.status == "FINISHED" and old.data.tags.get(EPOCHS) == epochs:
                continue
            client.delete_run(old.info.run_id)
        # what differs first: MLflow's column shows some twenty letters
        backbone, _, settings_text = names[member.id].partition(" ")
        title = f"{settings_text}, repeat {repeat}, {backbone}"
        ended = int(datetime.fromisoformat(result["finished"]).timestamp() * 1000)
        started = ended - round(result["seconds"] * 1000)
        tags = {KEY: key, EPOCHS: epochs, "mlflow.runName": title}
        run = client.create_run(experiment, start_time=started, tags=tags).info.run_id
        entities = mlflow.entities
        settings = {ID: member.id, "partition": member.partition, **_settings(member)}
        client.log_batch(run, params=[entities.Param(name, str(value)) for name, value in settings.items()])
        epoch = int(result["selected_epoch"])
        chosen = {f"selected_{name}": values[epoch : epoch + 1] for name, values in curves.items()}
        points = [
            entities.Metric(name.replace("/", "_"), value, ended, step)
            for name, step, value in [*_points(curves), *_points(chosen), ("selected_epoch", 0, float(epoch))]
        ]
        for start in range(0, len(points), MLFLOW_BATCH):
            client.log_batch(run, metrics=points[start : start + MLFLOW_BATCH])
        client.set_terminated(run, end_time=ended)
        written += 1
    return written


def _mlflow_runs(client: Any, experiment: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def to_optuna(summary: Summary, address: str) -> int:
    """One Optuna trial per ranked configuration: mean selecting score over its repeats, mean curve as intermediate
    values, std and n as attributes. One Optuna study per partition and metric.

    Optuna's trials cannot be changed: a configuration that has other repeats or epochs than when it was exported gets a
    further trial. Raises InputError for an address that Optuna does not take.
    """
    optuna = package("optuna", "--optuna", "optuna")
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        return _to_optuna(optuna, summary, address)
    except (SQLAlchemyError, optuna.exceptions.OptunaError, ImportError) as error:
        raise InputError(
            f"--optuna {address}: {_first_line(error)}", "orch export STUDY --optuna sqlite:///study.db"
        ) from error


def _to_optuna(optuna: Any, summary: Summary, address: str) -> int:
    written, names = 0, _names(summary)
    for partition in dict.fromkeys(member.partition for member in summary.configurations):
        members = [
            m for m in summary.configurations if m.partition == partition and m.may_rank and m.selection is not None
        ]
        for metric in dict.fromkeys(m.configuration.selection.metric for m in members):
            direction = "minimize" if is_loss(metric) else "maximize"
            same = [m for m in members if m.configuration.selection.metric == metric]
            name = f"{summary.study.name} {partition} {metric}" + (" by valid" if are_mixed(same) else "")
            study = optuna.create_study(storage=address, study_name=name, direction=direction, load_if_exists=True)
            there = {_state(trial.user_attrs) for trial in study.get_trials(deepcopy=False)}
            distributions = _distributions(optuna, same)
            for member in same:
                trial = _trial(optuna, member, names[member.id], looked_at(same), distributions)
                if _state(trial.user_attrs) not in there:
                    study.add_trial(trial)
                    written += 1
    return written


def _state(attributes: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(attributes.get(name) for name in (ID, "n", "epochs"))


def _trial(optuna: Any, member: ConfigurationSummary, name: str, ranks: str, distributions: dict[str, Any]) -> Any:
    metric, selection = member.configuration.selection.metric, member.selection
    assert selection is not None
    curve = member.curve(metric, "valid")
    settings = {column: value for column, value in _settings(member).items() if column in distributions}
    return optuna.trial.create_trial(
        params=settings,
        distributions={column: distributions[column] for column in settings},
        value=selection.mean if math.isfinite(selection.mean) else None,
        state=optuna.trial.TrialState.COMPLETE if math.isfinite(selection.mean) else optuna.trial.TrialState.FAIL,
        intermediate_values={}
        if curve is None
        else {i: float(v) for i, v in enumerate(curve.mean) if math.isfinite(v)},
        user_attrs={
            ID: member.id,
            "name": name,
            "label": f"mean over repeats of the ranking metric ({ranks}); used for selection, so optimistic",
            "std": selection.std if math.isfinite(selection.std) else None,
            "n": selection.n,
            "epochs": member.epochs,
            "rank": member.rank,
            "diverged": member.diverged,
        },
    )


def _distributions(optuna: Any, members: list[ConfigurationSummary]) -> dict[str, Any]:
    """Of the settings that differ: a logarithmic range where it is declared so, categories for the rest."""
    by_column: dict[str, Any] = {}
    for one in differing(member.configuration for member in members):
        values = list(
            dict.fromkeys(value for member in members if (value := _settings(member).get(one.column)) is not None)
        )
        if one.setting.scale == "log" and all(isinstance(value, float) and value > 0 for value in values):
            by_column[one.column] = optuna.distributions.FloatDistribution(min(values), max(values), log=True)
        else:
            by_column[one.column] = optuna.distributions.CategoricalDistribution(values)
    return by_column


def _curves(summary: Summary) -> Iterator[tuple[ConfigurationSummary, int, dict[str, np.ndarray], dict[str, Any]]]:
    """(configuration, repeat, "metric/split" → float64 [epochs + 1], its row of the repeats) of every result."""
    flat, data = FlatScores(summary.repeats, summary.study.task), summary.repeats
    members = {(member.partition, member.id): member for member in summary.configurations}
    for place, (partition, name, repeat) in enumerate(
        zip(data.table["partition"], data.table["configuration"], data.table["repeat"], strict=True)
    ):
        if (partition, name) in members:
            rows = slice(int(data.start[place]), int(data.start[place + 1]))
            curves = {
                f"{metric}/{split}": values[rows, column]
                for metric, values in flat.metrics.items()
                for column, split in enumerate(data.splits)
            }
            row = {str(column): value for column, value in data.table.iloc[place].items()}
            yield members[partition, name], int(repeat), curves, row


def _epochs(curves: dict[str, np.ndarray]) -> int:
    return max(len(values) for values in curves.values()) - 1


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _points(curves: dict[str, np.ndarray]) -> Iterator[tuple[str, int, float]]:
    """(name, epoch, value) of every finite value."""
    for name, values in curves.items():
        for epoch, value in enumerate(values):
            if math.isfinite(value):
                yield name, epoch, float(value)


def _names(summary: Summary) -> dict[str, str]:
    return names_of(member.configuration for member in summary.configurations)


def _settings(member: ConfigurationSummary) -> dict[str, Any]:
    """What was tried, by column."""
    return {column: value for column, value in tried_columns(member.configuration).items() if value is not None}


def _text(member: ConfigurationSummary, name: str) -> str:
    settings = "\n".join(f"{column} = {value}" for column, value in _settings(member).items())
    return f"{name}\n{settings}"
