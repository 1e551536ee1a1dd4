"""The command line: help, exit statuses, and what a user is told about every kind of bad input. Starts no Ray."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from orchestrator.commands.search_options import setting_help
from orchestrator.store.storage import LocalStorage
from search_spaces.settings.declaration import Setting
from tests.support.checkout import SHARED
from tests.support.configurations import asked
from tests.support.desk import Desk, refused, table
from tests.support.waiting import PatientClock

pytestmark = pytest.mark.usefixtures("no_training")


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in main.commands.items():
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, inner) for inner in command.commands]
    return found


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    if command not in (("spaces",), ("data",)):
        assert f"orch {' '.join(command)}" in result.output.partition("Example")[2]
    assert "RANGE" not in result.output


def options(command: click.Command) -> list[tuple[str, str]]:
    """(option, help) of a command, or of all within a group."""
    if isinstance(command, click.Group):
        return [one for inner in command.commands.values() for one in options(inner)]
    return [(one.opts[0], one.help or "") for one in command.params if isinstance(one, click.Option)]


def test_every_option_says_what_it_is_for_and_says_it_once() -> None:
    assert not [option for option, told in options(main) if not told]
    parts = [told.casefold().partition(": ") for _, told in options(main)]
    assert not [after for title, colon, after in parts if colon and after.startswith(title)]


@pytest.mark.parametrize(
    ("title", "words", "told"),
    [
        ("learning rate", "Learning rate.", "Learning rate."),
        ("momentum", "Momentum: share of the last step.", "Momentum: share of the last step."),
        ("batch size", "Images per step.", "Batch size: images per step."),
        ("EMA", "γ of Optuna's average.", "EMA: γ of Optuna's average."),
        ("sampler", "Optuna's estimator.", "Sampler: Optuna's estimator."),
    ],
)
def test_an_option_of_a_setting_says_title_and_description_once(title: str, words: str, told: str) -> None:
    assert setting_help(Setting(title, words, ())) == told


def test_no_summary_of_a_command_is_cut_on_a_terminal_of_80_columns() -> None:
    for path in [(), ("spaces",), ("data",)]:
        listed = CliRunner().invoke(main, [*path, "--help"], terminal_width=80).output.partition("Commands:")[2]
        assert len(listed.splitlines()) > 4
        assert "..." not in listed


def test_no_command_is_a_usage_error_and_names_the_commands() -> None:
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 2
    assert "search" in result.output


def test_json_of_the_spaces_goes_to_stdout_alone() -> None:
    result = CliRunner().invoke(main, ["spaces", "list", "--json"])
    assert result.exit_code == 0
    assert {entry["name"] for entry in json.loads(result.stdout)} >= {"neuroblastoma", "default"}


# --- signals outside training ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["status", "mine"], ["spaces", "list"]], ids=" ".join)
def test_ctrl_c_is_one_sentence_and_130(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("orchestrator.study.studies.open_study", interrupted)
    monkeypatch.setattr("search_spaces.loader.bundled", interrupted)
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 130
    assert result.stdout == ""
    assert result.stderr == "Interrupted. What is stored is kept; the same command goes on from there.\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_real_signals_end_a_command_without_a_traceback(number: signal.Signals, status: int) -> None:
    """Shells show the end by SIGTERM as 143."""
    code = (
        "import os, signal, time, orchestrator.study.studies as studies\n"
        "from orchestrator.command_line import main\n"
        # what a shell runs in the background begins with SIGINT ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def slow(*_):\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    time.sleep(120)\n"
        "studies.open_study = slow\n"
        "main(['status', 'mine'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == status
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "Aborted" not in done.stderr
    assert ("the same command goes on from there" in done.stderr) == (number == signal.SIGINT)


# --- usage -----------------------------------------------------------------------------------------------------------

OVERRIDES = {
    "lr 0": (["--lr", "0"], "--lr: expected a number above 0, found 0"),
    "lr text": (
        ["--lr", "abc,1e-3,x"],
        '2 faults - --lr (value 1): expected a number above 0, found "abc" '
        '- --lr (value 3): expected a number above 0, found "x"',
    ),
    "lr nan": (["--lr", "nan"], "--lr: expected a finite number above 0, found nan"),
    "lr empty": (["--lr", ","], "--lr: expected at least one value, found nothing"),
    "lr twice": (["--lr", "0.1,0.1"], "--lr: expected different values, found 0.1 more than once"),
    "address without a port": (["--address", "head"], "expected HOST:PORT, such as 10.0.0.1:6379, found 'head'"),
    "batch 0": (["--batch-size", "0"], "--batch-size: expected a whole number from 1 to 1,000,000, found 0"),
    "batch half": (["--batch-size", "1.5"], "--batch-size: expected a whole number from 1 to 1,000,000, found 1.5"),
    "no repeats": (["--repeats", "0"], "--repeats: expected 1 or more, found 0"),
    "no epochs": (["--epochs", "0"], "--epochs: expected 1 or more, found 0"),
    "mean of two": (["--mean", "1,2"], "--mean: expected one number or three, R,G,B, found 2"),
    "strategy": (["--strategy", "extention"], "found 'extention'; did you mean 'extension'?"),
    "u without unfreezing": (
        ["--strategy", "extension", "--unfrozen", "2"],
        "--unfrozen: expected --strategy unfreezing with it, found extension",
    ),
    "momentum of adam": (
        ["--optimiser", "adam", "--momentum", "0.5"],
        "--momentum: expected --optimiser sgd with it, found adam",
    ),
    "groups without data": (["--group-by", "parent"], "go with --data DIR or --data TABLE"),
    "joined groups without data": (["--join-groups"], "go with --data DIR or --data TABLE"),
    "choice": (["--precision", "fp16"], "'fp16' is not one of 'fp32', 'bf16'"),
    "room below nothing": (["--keep-gb", "-1"], "-1.0 is not in the range x>=0"),
    "seed": (["--seed", "-1"], "-1 is not in the range x>=0"),
}


@pytest.mark.parametrize(("arguments", "message"), OVERRIDES.values(), ids=OVERRIDES.keys())
def test_wrong_options_are_named_and_nothing_is_written(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = Desk(tmp_path).run("search", "neuroblastoma", "resnet18", *arguments)
    refused(result, message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["search", "resume"])
def test_an_address_where_nothing_answers_is_told_before_anything_else(tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    arguments = [command, "mine", "--address", f"127.0.0.1:{port}", "--studies", str(tmp_path)]
    refused(CliRunner().invoke(main, arguments), f"nothing answers at 127.0.0.1:{port}", "leave --address out")
    assert list(tmp_path.iterdir()) == []


def test_a_search_without_a_backbone_shows_how(tmp_path: Path) -> None:
    refused(Desk(tmp_path).run("search", "neuroblastoma"), "expected a BACKBONE or --all", "orch search neuroblastoma")


def test_an_unknown_backbone_gets_the_nearest_names(tmp_path: Path) -> None:
    result = Desk(tmp_path).run("search", "neuroblastoma", "resnt18")
    refused(result, "backbone 'resnt18': expected the name of an image classifier", "Nearest names: resnet18")
    assert list(tmp_path.iterdir()) == []


NAMES = {
    "parent folder": "..",
    "long": "a" * 300,
    "control characters": "a\x1b[31mb",
    "newline": "a\nb",
    "empty": "",
    "hidden": ".hidden",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_hostile_study_names_are_refused(desk: Desk, name: str) -> None:
    result = desk.run("search", name, "resnet18", "--data", desk.data, "--group-by", "none")
    told = refused(result, "study name", "expected at most 64 letters, digits")
    assert "\x1b" not in told
    assert not desk.studies.exists()


def test_a_name_with_slashes_is_a_file_and_never_a_folder(desk: Desk) -> None:
    result = desk.run("search", "../x", "resnet18", "--data", desk.data, "--group-by", "none")
    refused(
        result, "../x: expected a study's file, found no such file", "orch spaces show default --toml > my_study.toml"
    )
    assert not desk.studies.exists()


def test_an_unknown_study_without_data_shows_how_to_make_one(tmp_path: Path) -> None:
    told = refused(Desk(tmp_path).run("search", "neuroblastom", "resnet18"), "study 'neuroblastom'")
    assert "Did you mean neuroblastoma?" in told
    assert "orch search neuroblastom BACKBONE --data DIR --group-by parent" in told


def test_status_of_no_study(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["status", "mine", "--studies", str(tmp_path)])
    refused(result, f"study 'mine' is not in {tmp_path}", "orch search mine BACKBONE --data DIR")


# --- spaces, weights, studies ----------------------------------------------------------------------------------------


def test_five_faults_of_a_file_are_all_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\ntask = "regression"\nepochs = "many"\nrepeats = 0\nlr = []\ncolour = "blue"\n')
    told = refused(Desk(tmp_path).run("search", file, "resnet18"), "faults")
    for key in ("task", "epochs", "repeats", "lr", "colour"):
        assert f" {key}" in told, told
    assert refused(CliRunner().invoke(main, ["spaces", "check", str(file)])) == told


def test_impossible_depths_are_named_before_anything_is_written(desk: Desk) -> None:
    result = desk.own(
        *("--data", desk.data, "--group-by", r"(g\d)", "--strategy", "extension,unfreezing"),
        *("--unfrozen", "400", "--non-linearities", "40"),
    )
    refused(
        result,
        "unfreezing.unfrozen: expected 25 or less",
        "extension.non_linearities: expected 8 or less",
        "2 faults",
    )
    assert not desk.studies.exists()


def test_weights_of_another_network_are_refused_before_anything_is_written(desk: Desk) -> None:
    file = SHARED / "weights" / "mobilenetv2_035.pth"
    if not file.is_file():
        pytest.skip("the shared weights are not here")
    result = desk.own("--data", desk.data, "--group-by", r"(g\d)", "--weights", file)
    refused(result, "expected those of torchvision:squeezenet1_1, found another network's: 0 of 50 tensors match")
    assert not desk.studies.exists()


def test_without_a_network_the_answer_comes_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(desk.place / "hub"))
    clock = PatientClock(monkeypatch)
    result = desk.run("search", "mine", "resnet10t", "--data", desk.data, "--group-by", r"(g\d)")
    refused(result, "weights of timm:resnet10t", "--weights FILE", "--weights none")
    assert clock.slept_s < 10, "it waited between tries"
    assert not desk.studies.exists()


def planned(desk: Desk) -> list[str | Path]:
    """A search that is right in everything."""
    return [
        *("--data", desk.data, "--group-by", r"(g\d)", "--strategy", "straightforward"),
        *("--lr", "0.1", "--batch-size", "4", "--repeats", "1", "--epochs", "1"),
    ]


def test_a_studies_folder_that_cannot_be_written(desk: Desk) -> None:
    desk.studies.write_text("a file where the folder should be")
    refused(desk.own(*planned(desk)), "study 'mine': cannot write", "Choose another place with --studies DIR.")


def test_a_read_only_studies_folder(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The superuser ignores permissions, so the refusal is the operating system's own error in its place."""
    import errno

    def refusing(self: Path, *arguments: object, **more: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(LocalStorage, "_sync", refusing, raising=False)
    original = Path.mkdir

    def mkdir(self: Path, *arguments: object, **more: object) -> None:
        if self.is_relative_to(desk.studies):
            refusing(self)
        original(self, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", mkdir)
    refused(desk.own(*planned(desk)), "study 'mine': cannot write", "the file system is read-only", "--studies DIR")


def test_a_study_of_another_version_is_left_alone(desk: Desk) -> None:
    content = b'name = "mine"\nschema_version = 99\n'
    LocalStorage(desk.studies / "mine").replace("study.toml", content)
    refused(desk.own(*planned(desk)), "expected schema version", "found 99", "with the version of orch that made it")
    assert [path.name for path in (desk.studies / "mine").iterdir()] == ["study.toml"]
    assert (desk.studies / "mine" / "study.toml").read_bytes() == content


def test_a_bundled_study_with_other_classes_shows_the_command_for_a_new_one(desk: Desk) -> None:
    result = desk.run("search", "neuroblastoma", "squeezenet1_1", "--data", desk.data, "--group-by", r"(g\d)")
    told = refused(result, "study neuroblastoma: expected the classes", "found a, b in the data")
    assert f"orch search my_neuroblastoma BACKBONE --data {desk.data} --group-by '(g\\d)'" in told
    assert not desk.studies.exists()


def test_a_given_partition_needs_no_test_split(desk: Desk) -> None:
    data = table(
        desk,
        "file,label,group,split",
        lambda n, path: f"{path},{path.parent},{path.stem[:2]},{'valid' if path.stem.startswith('g0') else 'train'}",
    )
    plan = ("plan", "mine", "squeezenet1_1", "--weights", "none", *planned(desk)[4:], *data, "--json")
    result = desk.run(*plan)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["repeats_owed"] == 1
    assert "0 in 0" in result.stderr


def test_other_data_under_a_known_name_is_refused(desk: Desk) -> None:
    from orchestrator.running.progress import Display
    from orchestrator.search import SearchOptions, resolve_search
    from orchestrator.study.asked import Given
    from orchestrator.study.preparation import DataRequest
    from trainables.data.options import DatasetOptions

    data = DataRequest(desk.data, DatasetOptions(group_by=r"(g\d)"))
    changes = asked(strategies=("straightforward",), lr=(0.1,), batch_size=(4,), repeats=1, epochs=1)
    options = SearchOptions(
        "mine", ("squeezenet1_1",), desk.studies, desk.place / "cache", data, changes, given=Given("none")
    )
    resolve_search(options, Display())
    assert (desk.studies / "mine" / "study.toml").is_file()
    (desk.data / "a" / "g5_0.png").unlink()
    told = refused(desk.own(*planned(desk)), "study 'mine' was made from other data: 1 image missing, 0 new")
    assert "orch search mine_2 BACKBONE --data" in told
