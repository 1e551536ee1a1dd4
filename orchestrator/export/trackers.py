"""A study's results in the stores of other tools: MLflow, TensorBoard, Optuna. Each is optional and derived.

Packages are imported by name when asked for, so that none of them is needed by anything else.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.flat_scores import METRICS, FlatScores
from orchestrator.names import describe_configuration
from orchestrator.store.errors import InputError
from orchestrator.store.schema import Configuration
from orchestrator.summary import ConfigurationSummary, Summary
from orchestrator.summary_table import SETTINGS

ID = "configuration"


def package(name: str, option: str, install: str) -> Any:
    """The package, or InputError with the command that installs it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"{option} needs the package {name}, which is not installed", f"pip install {install}"
        ) from error


def settings_of(configuration: Configuration) -> dict[str, Any]:
    """The settings that tables show, by name."""
    return {name: getattr(configuration, name) for name in SETTINGS}


def to_tensorboard(summary: Summary, folder: Path) -> int:
    """One run per repeat: every metric of every split by epoch. Returns how many were written; others stay.

    A run that is there already is left alone, so that curves are not drawn twice.
    """
    writer = package("tensorboardX", "--tensorboard", "tensorboardX").SummaryWriter
    written = 0
    for member, repeat, curves in _curves(summary):
        run = folder / f"{member.partition}" / member.id / f"repeat-{repeat}"
        if run.exists():
            continue
        with writer(logdir=str(run)) as events:
            events.add_text("settings", _text(member), 0)
            for name, values in curves.items():
                for epoch, value in enumerate(values):
                    if math.isfinite(value):
                        events.add_scalar(name, value, epoch)
        written += 1
    return written


def to_mlflow(summary: Summary, address: str) -> int:
    """One run per repeat in the experiment of the study's name; runs that are there already are left alone."""
    mlflow = package("mlflow", "--mlflow", "mlflow")
    client = mlflow.MlflowClient(tracking_uri=address)
    found = client.get_experiment_by_name(summary.study.name)
    experiment = found.experiment_id if found is not None else client.create_experiment(summary.study.name)
    written = 0
    for member, repeat, curves in _curves(summary):
        key = f"{member.partition}/{member.id}/{repeat}"
        if client.search_runs([experiment], filter_string=f"tags.orch_key = '{key}'", max_results=1):
            continue
        run = client.create_run(experiment, tags={"orch_key": key, "mlflow.runName": f"{member.id} repeat {repeat}"})
        for name, value in settings_of(member.configuration).items():
            client.log_param(run.info.run_id, name, value)
        for name, values in curves.items():
            for epoch, value in enumerate(values):
                if math.isfinite(value):
                    client.log_metric(run.info.run_id, name.replace("/", "_"), float(value), step=epoch)
        client.set_terminated(run.info.run_id)
        written += 1
    return written


def to_optuna(summary: Summary, address: str) -> int:
    """One Optuna trial per ranked configuration: mean selecting score over its repeats, mean curve as intermediate
    values, std and n as attributes. One Optuna study per partition; trials that are there already are left alone."""
    optuna = package("optuna", "--optuna", "optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    written = 0
    for partition in dict.fromkeys(member.partition for member in summary.configurations):
        members = [
            m for m in summary.configurations if m.partition == partition and m.is_whole and m.selection is not None
        ]
        for metric in dict.fromkeys(m.configuration.selection for m in members):
            direction = "minimize" if metric == "loss" else "maximize"
            name = f"{summary.study.name} {partition} {metric}"
            study = optuna.create_study(storage=address, study_name=name, direction=direction, load_if_exists=True)
            there = {trial.user_attrs.get(ID) for trial in study.get_trials(deepcopy=False)}
            same = [m for m in members if m.configuration.selection == metric]
            distributions = _distributions(optuna, same)
            for member in same:
                if member.id not in there:
                    study.add_trial(_trial(optuna, member, distributions))
                    written += 1
    return written


def _trial(optuna: Any, member: ConfigurationSummary, distributions: dict[str, Any]) -> Any:
    metric, selection = member.configuration.selection, member.selection
    assert selection is not None
    curve = member.curve(metric, "valid")
    settings = settings_of(member.configuration)
    return optuna.trial.create_trial(
        params={name: settings[name] for name in distributions},
        distributions=distributions,
        value=selection.mean if math.isfinite(selection.mean) else None,
        state=optuna.trial.TrialState.COMPLETE if math.isfinite(selection.mean) else optuna.trial.TrialState.FAIL,
        intermediate_values={}
        if curve is None
        else {i: float(v) for i, v in enumerate(curve.mean) if math.isfinite(v)},
        user_attrs={
            ID: member.id,
            "label": "mean over repeats of what selection looks at: validation, optimistic",
            "std": selection.std if math.isfinite(selection.std) else None,
            "n": selection.n,
            "rank": member.rank,
            "diverged": member.diverged,
        },
    )


def _distributions(optuna: Any, members: list[ConfigurationSummary]) -> dict[str, Any]:
    """Of the settings that differ; a logarithmic range for learning rates, categories for the rest."""
    found: dict[str, Any] = {}
    for name in SETTINGS:
        values = list(dict.fromkeys(getattr(member.configuration, name) for member in members))
        if name == "lr" and values:
            low, high = min(values), max(values)
            found[name] = optuna.distributions.FloatDistribution(low, high, log=True)
        elif len(values) > 1 or name == "backbone":
            found[name] = optuna.distributions.CategoricalDistribution(values)
    return found


def _curves(summary: Summary) -> Iterator[tuple[ConfigurationSummary, int, dict[str, np.ndarray]]]:
    """(configuration, repeat, "metric/split" → float64 [epochs + 1]) of every result."""
    flat, data = FlatScores(summary.repeats), summary.repeats
    members = {(member.partition, member.id): member for member in summary.configurations}
    for place, (partition, name, repeat) in enumerate(
        zip(data.table["partition"], data.table["configuration"], data.table["repeat"], strict=True)
    ):
        if (partition, name) in members:
            rows = slice(int(data.start[place]), int(data.start[place + 1]))
            curves = {
                f"{metric}/{split}": flat.metrics[metric][rows, column]
                for metric in METRICS
                for column, split in enumerate(data.splits)
            }
            yield members[partition, name], int(repeat), curves


def _text(member: ConfigurationSummary) -> str:
    settings = "\n".join(f"{name} = {value}" for name, value in settings_of(member.configuration).items())
    return f"{describe_configuration(member.configuration)}\n{settings}"
