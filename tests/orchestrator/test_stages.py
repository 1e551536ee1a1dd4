"""Stages of a study, one after the other: what is asked, what is chosen, and that whoever goes on agrees."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from click.testing import CliRunner

from orchestrator.command_line import main
from orchestrator.evaluation.keeping import parents_needed
from orchestrator.proposing.deciding import Deciding, Machine
from orchestrator.report import closing_report, status_report
from orchestrator.resolved import Search
from orchestrator.results.decided import Decided
from orchestrator.results.names import names_of
from orchestrator.results.news import NewsReader
from orchestrator.results.summary import summarise
from orchestrator.results.summary_table import build_table
from orchestrator.running.progress import Display
from orchestrator.running.work_queue import BUSY_RETRY_S
from orchestrator.search import SearchOptions, reopen_search
from orchestrator.stages import Turn, in_order
from orchestrator.store.errors import InputError, OrchError
from orchestrator.store.leases import Lease, current_lease
from orchestrator.store.segments import Segment
from orchestrator.store.storage import LocalStorage
from orchestrator.study.asked import Given
from orchestrator.study.owed import owed
from orchestrator.study.preparation import DataRequest
from orchestrator.study.studies import find_study, open_study
from search_spaces.configuration import Configuration
from search_spaces.loader import parse_space
from search_spaces.points import points
from search_spaces.stages import LISTS
from tests.faults.tally import Results, compare
from tests.support.configurations import asked
from tests.support.handing_out import Counter
from tests.support.tiny_study import BACKBONE, KEEPS, TinyStudy, make_tiny_study
from tests.support.waiting import PatientClock
from trainables.bundles import kept_weights
from trainables.bundles.parents import lacking_parents
from trainables.bundles.segment_run import SegmentRun
from trainables.bundles.stacks import divide_into_stacks
from trainables.data.dataset import DatasetOptions

FIRST = """name = "{name}"
[[stages]]
name = "linear probe"
strategy = "straightforward"
lr = [0.01, 0.1]
batch_size = 4
epochs = 3
repeats = 2
"""
SECOND = """[[stages]]
name = "last layers"
strategy = "unfreezing"
unfrozen = 1
lr = [0.01]
batch_size = 4
epochs = 2
"""
OTHER = "timm:test_vit.r160_in1k"
HEADS = SECOND.replace("unfreezing", "straightforward").replace("unfrozen = 1\n", "").replace("last layers", "again")
TWO = FIRST + SECOND


@dataclass
class Desk:
    """Images of a tiny study, and whatever is asked of them."""

    tiny: TinyStudy
    folder: Path
    text: str = TWO
    backbones: tuple[str, ...] = (BACKBONE,)
    stages: str | None = None

    def __post_init__(self) -> None:
        self.said = io.StringIO()

    def options(self, **changes: Any) -> SearchOptions:
        file = self.folder / "mine.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.text.replace("{name}", "mine"))
        data = DataRequest(self.tiny.data, DatasetOptions())
        return SearchOptions(
            *(str(file), self.backbones, self.folder / "studies", self.tiny.cache, data, asked(**changes)),
            given=Given("none"),
            command="orch search mine",
            stages=self.stages,
        )

    def turns(self, *, writes: bool = True, **changes: Any) -> Iterator[Turn]:
        return in_order(self.options(**changes), Display(self.said), writes=writes)

    def run(self, **changes: Any) -> list[Turn]:
        found = []
        for turn in self.turns(**changes):
            train(turn.search)
            found.append(turn)
        return found

    @property
    def storage(self) -> LocalStorage:
        return LocalStorage(self.folder / "studies" / "mine")

    def heard(self) -> str:
        return " ".join(self.said.getvalue().split())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    torch.set_num_threads(1)
    return make_tiny_study(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def desk(tiny: TinyStudy, tmp_path: Path) -> Desk:
    return Desk(tiny, tmp_path)


def decide(search: Search) -> list[Segment]:
    """As a driver does; what is owed of it then."""
    storage, bench = search.study.storage, search.bench()
    machine = Machine(1, "cpu", lambda wanted: divide_into_stacks(bench, wanted, 1))
    for name in search.searches:
        deciding = Deciding(storage, Decided.of(storage), name, NewsReader(storage), machine)
        while deciding.decide() is not None:
            pass
    return owed(storage, Decided.of(storage).segments(search.searches))


def train(search: Search, most: int | None = None) -> None:
    """All that it owes, without a cluster; most: so many segments alone."""
    bench = search.bench()
    for segment in decide(search)[:most]:
        run = begun(search, segment, bench)
        while not run.advance(60.0):
            pass


def begun(search: Search, segment: Segment, bench: Any = None) -> SegmentRun:
    storage = search.study.storage
    lease = current_lease(storage, segment.folder)
    taken = Lease.take(storage, segment.folder, lease.number if lease else 0, "cpu")
    assert taken is not None
    return SegmentRun.begin(bench or search.bench(), segment, taken, keeps=KEEPS)


def stop_within(search: Search) -> None:
    """The first segment, after some steps."""
    run = begun(search, decide(search)[0])
    for _ in range(3):
        run.advance(0.0)
    run.stop()


def children(desk: Desk) -> list[Configuration]:
    return [one.configuration for one in summarise(desk.storage).configurations if one.configuration.parent]


def best(desk: Desk, search: Search) -> str:
    here = [one for one in summarise(desk.storage).configurations if one.id in search.asked.configurations]
    return min(here, key=lambda one: one.rank or 99).id


def test_a_stage_begins_from_the_best_of_the_one_before(desk: Desk) -> None:
    first, second = desk.run()
    (child,) = second.search.asked.configurations.values()
    assert child.begins_from == (best(desk, first.search), 3)
    assert (first.title, second.title) == ("stage 1 of 2, linear probe", "stage 2 of 2, last layers")
    assert (first.is_last, second.is_last) == (False, True)
    assert {len(epochs) for epochs in second.search.epochs.values()} == {2}, "as many repeats as its parent"
    assert f"begins from {child.begins_from.configuration} (" in desk.heard()
    assert "the best of 2 configurations by mean loss" in desk.heard()
    assert "n = 2 (valid)" in desk.heard()
    stages = [search.stage for search in Decided.of(desk.storage).searches.values()]
    assert f"stage 2 of 2, last layers, begins from {child.begins_from.configuration}" in stages


def test_the_same_command_finds_nothing_left_to_do(desk: Desk) -> None:
    before = desk.run()
    again = []
    for turn in desk.turns():
        assert not turn.search.owed_lanes()
        again.append(turn.search.searches)
    assert again == [turn.search.searches for turn in before]
    assert len(Decided.of(desk.storage).searches) == 2


def test_a_stage_cannot_begin_before_the_one_before_has_all_its_results(desk: Desk) -> None:
    turns = desk.turns()
    train(next(turns).search, most=0)
    with pytest.raises(
        OrchError, match=r"stage 2 of 2, last layers cannot begin: .* found 4 repeats without one"
    ) as told:
        next(turns)
    assert told.value.exit_status == 1
    assert not children(desk)


@pytest.mark.parametrize("text", [TWO, FIRST + HEADS], ids=["in turn", "stacked"])
def test_whoever_goes_on_ends_in_the_same_bits(tiny: TinyStudy, tmp_path: Path, text: str) -> None:
    """Stopped in the first stage, between the two, and within the second, each time by another driver."""
    whole, broken = (Desk(tiny, tmp_path / name, text) for name in ("whole", "broken"))
    whole.run()
    stop_within(next(broken.turns()).search)
    turns = broken.turns()
    train(next(turns).search)
    next(turns)
    turns = broken.turns()
    next(turns)
    stop_within(next(turns).search)
    broken.run()
    assert compare(broken.storage, Results.of(whole.storage)).is_equal


def test_two_drivers_choose_alike(desk: Desk) -> None:
    """Both are within the first stage before either goes on."""
    one, other = desk.turns(), desk.turns()
    first, _ = next(one), next(other)
    train(first.search)
    mine, yours = next(one).search, next(other).search
    assert mine.searches == yours.searches
    assert mine.asked.configurations == yours.asked.configurations
    train(mine)
    assert not yours.owed_lanes()


def test_another_choice_is_another_search_beside_the_first(desk: Desk) -> None:
    desk.run()
    before = children(desk)
    desk.text = TWO.replace("epochs = 3", "epochs = 5")
    desk.run()
    assert {c.begins_from.epochs for c in children(desk) if c.begins_from} == {3, 5}
    assert {c.id for c in before} < {c.id for c in children(desk)}


def test_a_study_ranks_by_what_all_of_its_first_search_selects_by(desk: Desk) -> None:
    for turn in desk.run(selection="accuracy"):
        told = closing_report(turn.search.settled(), None, 0).as_text()
        assert "by accuracy (valid), mean" in told
    assert summarise(desk.storage).study.selection == "accuracy"
    assert "accuracy (valid)" in status_report(open_study(desk.folder / "studies", "mine")).as_text()
    (later,) = desk.run(selection=("class_recall", "loss"), of_class="few", strategies=("straightforward",), epochs=1)
    told = closing_report(later.search.settled(), None, 0).as_text()
    assert told.count("Best by ") == 2
    assert "Best by class recall (few) (valid), mean" in told
    assert "Best by loss (valid), mean" in told
    assert "score that ranks" in status_report(open_study(desk.folder / "studies", "mine")).as_text()


def test_stages_that_begin_from_others_are_no_grid_together(desk: Desk) -> None:
    """The rate of one is no edge of the other's: each has one."""
    desk.text = TWO + SECOND.replace("last layers", "slower").replace("0.01", "0.001")
    desk.run()
    assert {edge.strategy for edge in summarise(desk.storage).edges} <= {"straightforward"}


def test_three_in_a_row(desk: Desk) -> None:
    desk.text = TWO + SECOND.replace("last layers", "deeper").replace("unfrozen = 1", "unfrozen = 2")
    first, second, third = desk.run()
    (middle,), (last,) = second.search.asked.configurations.values(), third.search.asked.configurations.values()
    assert last.begins_from is not None
    assert last.begins_from.configuration == middle.id
    assert not first.is_last


def test_strategies_come_first_where_a_file_has_both(desk: Desk) -> None:
    desk.text = TWO + "[extension]\nnon_linearities = 1\nlr = 0.1\nbatch_size = 4\nepochs = 1\nrepeats = 1\n"
    turn = next(desk.turns())
    assert turn.title == ""
    assert {c.head.non_linearities for c in turn.search.asked.configurations.values()} == {1}
    assert [one.title for one in desk.turns(strategies=("extension",))] == [""]
    desk.stages = "file"
    assert next(desk.turns()).title == "stage 1 of 2, linear probe"


def test_a_list_of_the_product_is_asked_by_its_name(desk: Desk) -> None:
    desk.text, desk.stages = 'name = "{name}"\n', "lp_ft"
    probe, tuned = desk.turns(writes=False, lr=(0.01,), batch_size=(4,), repeats=2, epochs=1)
    assert len(LISTS["lp_ft"]) == 2
    (before,), (after,) = probe.search.asked.configurations.values(), tuned.search.asked.configurations.values()
    assert (before.strategy, after.strategy) == ("straightforward", "finetune")
    assert after.begins_from == (before.id, 1)
    assert "planned as if it began from some configuration of the previous stage" in desk.heard()


def test_a_stage_may_be_of_some_backbones_and_others_go_on_from_the_last_they_took(desk: Desk) -> None:
    first = FIRST.replace("lr = [0.01, 0.1]", "lr = [0.01]")
    last = SECOND.replace("last layers", "after").replace("lr = [0.01]", "lr = [0.001]")
    text = first + SECOND + f'backbones = ["{BACKBONE}"]\n' + last
    desk.text = text + f'[[backbones]]\nname = "{BACKBONE}"\n[[backbones]]\nname = "{OTHER}"\n'
    desk.backbones = (BACKBONE, OTHER)
    turns = [[*turn.search.asked.configurations.values()] for turn in desk.turns(writes=False)]
    assert [[c.network.backbone for c in several] for several in turns] == [
        [BACKBONE, OTHER],
        [BACKBONE],
        [BACKBONE, OTHER],
    ]
    (one, other), (between,), (own, others) = turns
    assert [c.begins_from.configuration for c in (between, own, others) if c.begins_from] == [
        one.id,
        between.id,
        other.id,
    ]


def test_a_stage_says_what_differs_on_synthetic_data(desk: Desk) -> None:
    file = FIRST.format(name="made") + SECOND + "small = { lr = [0.5], epochs = 1 }\n"
    space = parse_space(file, "made.toml")
    stage = space.stages[1]
    (point,), (small,) = (points(space, BACKBONE, small=small, stage=stage) for small in (False, True))
    assert (point.lr, point.epochs, small.lr, small.epochs) == (0.01, 2, 0.5, 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (FIRST + SECOND + "backbones = ['resnet18']\n", "stages[1].backbones: expected some of the backbones of this"),
        (FIRST + SECOND + "small = { unfrozn = 2 }\n", "stages[1].small.unfrozn: expected"),
        (FIRST + SECOND + "repeats = 3\n", "last layers: expected at most 2 repeats"),
        (FIRST + SECOND + "head = { name = 'widths' }\n", "head: expected that of its parent"),
        (FIRST + SECOND + "image = { fit = 'pad' }\n", "image.fit: expected crop, as its parent"),
        (
            FIRST.replace('"straightforward"', '"unfreezing"\nunfrozen = [0, 2]') + SECOND,
            "adaptation: expected at least",
        ),
        (FIRST + SECOND.replace("last layers", "linear probe"), "stages[1].name: expected each stage once"),
        (FIRST + SECOND.replace("unfreezing", "straightforward"), "stages[1].unfrozen: expected nothing"),
        (FIRST + SECOND.replace("unfreezing", "thawing"), "stages[1].strategy: expected"),
        (FIRST + SECOND + "unfrozn = 2\n", "stages[1].unfrozn: expected"),
        (FIRST + SECOND.replace("unfrozen = 1", "unfrozen = 999"), "unfreezing.unfrozen: expected"),
    ],
)
def test_what_is_impossible_is_told_before_anything_is_trained(desk: Desk, text: str, told: str) -> None:
    desk.text = text
    with pytest.raises(InputError) as error:
        next(desk.turns())
    assert told in str(error.value)
    assert find_study(desk.folder / "studies", "mine") is None


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("lpft", "--stages: expected one of lp_ft, file, found 'lpft'; did you mean 'lp_ft'?"),
        ("file", "expected [[stages]] in its file, found none"),
    ],
)
def test_an_unknown_list_is_told(desk: Desk, name: str, told: str) -> None:
    desk.text, desk.stages = 'name = "{name}"\n', name
    with pytest.raises(InputError) as error:
        next(desk.turns())
    assert told in str(error.value)


def test_names_and_tables_say_what_it_begins_from(desk: Desk) -> None:
    desk.run()
    summary = summarise(desk.storage)
    (child,) = children(desk)
    assert child.begins_from is not None
    told = f"begins from {child.begins_from.configuration} (3 epochs)"
    names = names_of(one.configuration for one in summary.configurations)
    assert names[child.id].endswith(told)
    twin = child.with_values({"parent": "0123456789ab:3"})
    assert len(set(names_of([child, twin]).values())) == 2
    table = build_table(summary, "config")
    assert set(table[table["configuration"] == child.id]["parent"]) == {child.parent}


def test_weights_of_parents_are_wanted_first(desk: Desk) -> None:
    turns = desk.turns()
    train(next(turns).search)
    second = next(turns).search
    decide(second)
    (child,) = second.asked.configurations.values()
    assert child.begins_from is not None
    assert parents_needed(summarise(desk.storage)) == [child.begins_from.configuration]
    train(second)
    assert parents_needed(summarise(desk.storage)) == []


def test_resume_trains_what_a_stage_lacks_first(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of the parent that are gone are trained again before the stage goes out."""
    turns = desk.turns()
    train(next(turns).search)
    second = next(turns).search
    decide(second)
    (child,) = second.asked.configurations.values()
    assert child.begins_from is not None
    partition = second.study.record.partition
    for path in list(desk.storage.list(f"bundles/{partition}/{child.begins_from.configuration}/0/final")):
        desk.storage.delete(f"bundles/{partition}/{child.begins_from.configuration}/0/final/{path}")
    study = find_study(desk.folder / "studies", "mine")
    assert study is not None
    again = reopen_search(study, desk.tiny.data, "none", desk.tiny.cache, Display(io.StringIO()))
    bench = again.bench()
    tiny = replace(desk.tiny, folder=desk.folder / "studies" / "mine", partition=partition)
    counter = Counter(tiny, configurations=bench.configuration)
    counter.bench = bench
    counter.queue.know(Decided.of(desk.storage).segments())
    counter.queue.add(Decided.of(desk.storage).segments(second.searches))
    PatientClock(monkeypatch)
    order = []
    while counter.queue.waiting:
        order += [taken.segments[0] for taken in counter.train_all()]
        time.sleep(BUSY_RETRY_S)
    assert [child.id in one.configurations for one in order][-2:] == [True, True]
    assert child.begins_from.configuration in order[0].configurations
    assert not lacking_parents(desk.storage, order[-1], child.begins_from)
    assert kept_weights.in_partition(desk.storage, partition)


@pytest.mark.parametrize(
    ("titles", "statuses", "ran", "status"),
    [
        (("", "one", "two"), (0, 0, 0), 3, 0),
        (("", "one", "two"), (1, 0, 0), 3, 1),
        (("one", "two"), (1, 0), 1, 1),
        (("one", "two"), (143, 0), 1, 143),
        (("one", "two"), (0, 1), 2, 1),
    ],
)
def test_a_command_goes_on_as_long_as_the_next_can_begin(
    monkeypatch: pytest.MonkeyPatch, titles: tuple[str, ...], statuses: tuple[int, ...], ran: int, status: int
) -> None:
    left, given = iter(statuses), []

    def run(*_: Any, goes_on: tuple[int, ...]) -> int:
        given.append(goes_on)
        return next(left)

    turns = [Turn(cast(Search, None), title, title == titles[-1]) for title in titles]
    monkeypatch.setattr("orchestrator.stages.in_order", lambda *_: turns)
    monkeypatch.setattr("orchestrator.commands.search._run", run)
    found = CliRunner().invoke(main, ["search", "tiny", "resnet18"])
    assert found.exit_code == status
    assert len(given) == ran
    assert ("The next stage begins when" in found.stderr) == (status == 1 and ran == 1)


def test_stages_and_a_strategy_exclude_each_other() -> None:
    found = CliRunner().invoke(main, ["search", "x", "resnet18", "--stages", "lp_ft", "--strategy", "extension"])
    assert found.exit_code == 2
    assert "--stages: expected no --strategy" in found.stderr


def test_a_space_is_shown_with_its_stages(desk: Desk) -> None:
    desk.options()
    found = CliRunner().invoke(main, ["spaces", "show", str(desk.folder / "mine.toml")])
    assert "stages      linear probe (straightforward), then last layers (unfreezing)" in found.stdout
    example = CliRunner().invoke(main, ["plan", *desk_arguments(desk)])
    assert example.exit_code == 0, example.stderr
    assert "Stage 1 of 2, linear probe\n" in example.stdout
    assert "All searches together: about" in example.stdout


def desk_arguments(desk: Desk) -> list[str]:
    file, data, cache = (str(path) for path in (desk.folder / "mine.toml", desk.tiny.data, desk.tiny.cache))
    return [file, BACKBONE, "--weights", "none", "--data", data, "--cache", cache, "--studies", str(desk.folder / "s")]
