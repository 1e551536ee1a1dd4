"""What decisions cite of results: the values that rank, of each lane once, and no record read twice."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from orchestrator.results.comparing import compared_by_valid
from orchestrator.results.finals import FinalKey
from orchestrator.results.histories import compact
from orchestrator.results.news import NewsReader
from orchestrator.results.summary import summarise
from orchestrator.store import layout
from orchestrator.store.schema import History, RepeatState
from orchestrator.store.searches import News, told
from orchestrator.store.segments import LaneKey
from orchestrator.store.storage import LocalStorage
from search_spaces.configuration import Configuration
from tests.support.generated_study import NOW, PARTITION, GeneratedStudy, UnsyncedStorage, small_study
from trainables.learning.metrics import selection_scores


class CountingStorage(LocalStorage):
    """Remembers which final records and which parts were read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.finals: list[str] = []
        self.parts: list[str] = []

    def read(self, path: str) -> bytes:
        if "/final/" in path:
            self.finals.append(path)
        if path.startswith(layout.HISTORIES):
            self.parts.append(path)
        return super().read(path)


def lanes(study: GeneratedStudy, epochs: int | None = None, repeats: int | None = None) -> dict[LaneKey, int]:
    return {
        LaneKey(PARTITION, c.id, repeat): study.epochs if epochs is None else epochs
        for c in study.configurations()
        for repeat in range(study.repeats if repeats is None else repeats)
    }


def lanes_of(news: tuple[News, ...]) -> list[tuple[str, int, int]]:
    return [(one.lane.configuration, one.epochs, one.lane.repeat) for one in told(news)]


class WorseTrained(GeneratedStudy):
    """Train is worse than valid, as it is where training images are mixed."""

    def history(self, configuration: Configuration, repeat: int, epochs: int, diverged: int | None) -> History:
        history = super().history(configuration, repeat, epochs, diverged)
        return History(history.splits, history.loss[:, ::-1].copy(), history.statistics[:, ::-1].copy())


def ranking(storage: LocalStorage, selection: str) -> dict[str, list[float]]:
    """What ranks each configuration, larger is better."""
    sign = -1 if selection == "loss" else 1
    members = summarise(storage, NOW).configurations
    return {m.id: [sign * value for value in m.selection.values] for m in members if m.selection is not None}


@pytest.mark.parametrize("kind", [GeneratedStudy, WorseTrained])
@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize(("selection", "rule"), [("loss", "worse_of_both"), ("accuracy", "valid"), ("loss", "valid")])
def test_values_are_those_that_rank(
    tmp_path: Path, kind: type[GeneratedStudy], selection: str, rule: str, compacted: bool
) -> None:
    storage, study = small_study(
        tmp_path, kind, selection=selection, rule=rule, diverges=lambda c, repeat: repeat == 1, repeats=4
    )
    if compacted:
        compact(storage)
    news = NewsReader(storage).news(lanes(study))
    assert {one.configuration: list(one.values) for one in news} == ranking(storage, selection)
    assert len(news) == 8
    assert {one.repeats for one in news} == {(0, 1, 2, 3)}
    assert {one.states for one in news} == {("finished", "diverged", "finished", "finished")}


@pytest.mark.parametrize("goal", ["hours", "parameters", "accuracy"])
@pytest.mark.parametrize("compacted", [False, True])
def test_a_second_goal_is_told_beside_the_value(tmp_path: Path, goal: str, compacted: bool) -> None:
    """Larger is better; what a repeat that diverged would have taken is not known."""
    storage, study = small_study(tmp_path, diverges=lambda c, repeat: repeat == 1, repeats=4)
    if compacted:
        compact(storage)
    members = summarise(storage, NOW).configurations
    news = {one.configuration: one for one in NewsReader(storage).news(lanes(study), goal=goal)}
    assert {m.id for m in members} == news.keys()
    for member in members:
        one = news[member.id]
        metas = [study.final(member.configuration, repeat, 6).meta for repeat in range(4)]
        if goal == "hours":
            due = [-meta["seconds"] / 3600 for meta in metas]
            due[1] = float("nan")
        elif goal == "parameters":
            due = [-float(meta["trainable_parameters"]) for meta in metas]
        else:
            score = member.score("accuracy", "valid")
            assert score is not None
            due = score.values.tolist()
        assert one.goals == pytest.approx(due, nan_ok=True)
        assert [result.goal for result in told([one])] == pytest.approx(due, nan_ok=True)


def test_of_longer_results_the_goal_is_as_after_the_epochs_asked(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    chosen = study.configurations()[0]
    study.write_final(storage, chosen, 0, 12)
    lane = {LaneKey(PARTITION, chosen.id, 0): 6}
    (short,), (hours,) = (NewsReader(storage).news(lane, goal=goal) for goal in ("accuracy", "hours"))
    whole = study.final(chosen, 0, 12)
    assert hours.goals == pytest.approx([-whole.meta["seconds"] * 7 / 13 / 3600])
    start = History(whole.history.splits, whole.history.loss[:7], whole.history.statistics[:7])
    selected = int(np.argmax(selection_scores("loss", start, chosen.selects_by_valid_alone)))
    assert short.goals == pytest.approx([selection_scores("accuracy", start)[selected]])


def test_where_valid_alone_compares_some_it_compares_all(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, WorseTrained, rule="worse_of_both")
    other = WorseTrained(depths=((0, 0),), lrs=(1e-3,), repeats=3, epochs=6)
    other.write(storage)
    asked = lanes(study) | lanes(other)
    own = NewsReader(storage).news(asked)
    by_valid = compared_by_valid([*study.configurations(), *other.configurations()])
    assert by_valid == {"loss"}
    alike = NewsReader(storage).news(asked, by_valid=by_valid)
    assert {one.configuration: list(one.values) for one in alike} == ranking(storage, "loss")
    differing = {one.configuration for one, two in zip(own, alike, strict=True) if one.values != two.values}
    assert differing == {c.id for c in study.configurations()}


def test_digests_are_of_the_bytes(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    loose = NewsReader(storage).news(lanes(study))
    compact(storage)
    for one in loose:
        for repeat, digest in zip(one.repeats, one.digests, strict=True):
            key = FinalKey(PARTITION, one.configuration, repeat, one.epochs)
            assert digest == hashlib.sha256(storage.read(key.path)).hexdigest()[:16]
    assert NewsReader(storage).news(lanes(study)) == loose


def test_only_what_is_asked_and_not_known_is_told_in_order(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    first, second = sorted(c.id for c in study.configurations())[:2]
    asked = {LaneKey(PARTITION, name, repeat): 6 for name in (second, first) for repeat in (2, 0)}
    reader = NewsReader(storage)
    assert lanes_of(reader.news(asked)) == [(first, 6, 0), (first, 6, 2), (second, 6, 0), (second, 6, 2)]
    known = [(LaneKey(PARTITION, first, 0), 6), (LaneKey(PARTITION, second, 0), 3)]
    assert lanes_of(reader.news(asked, known)) == [(first, 6, 2), (second, 6, 0), (second, 6, 2)]
    assert reader.news({}) == ()


def test_more_epochs_are_news_again_and_take_the_place_of_fewer(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    chosen = min(study.configurations(), key=lambda c: c.id)
    asked = {LaneKey(PARTITION, chosen.id, repeat): 6 for repeat in (0, 1)}
    reader = NewsReader(storage)
    known = {(one.lane, one.epochs) for one in told(reader.news(asked))}
    study.write_final(storage, chosen, 1, 12)
    assert reader.news(asked, known) == ()  # nobody asked for more of it
    asked = dict.fromkeys(asked, 12)
    assert lanes_of(reader.news(asked, known)) == [(chosen.id, 12, 1)]
    assert lanes_of(reader.news(asked)) == lanes_of(NewsReader(storage).news(asked))
    assert lanes_of(reader.news(asked)) == [(chosen.id, 6, 0), (chosen.id, 12, 1)]


def test_one_that_ended_by_itself_is_not_looked_at_again(tmp_path: Path) -> None:
    small_study(tmp_path, diverges=lambda c, repeat: True)
    storage = CountingStorage(tmp_path)
    study = GeneratedStudy(depths=((0, 0), (1, 0)), lrs=(1e-3, 1e-2), repeats=3, epochs=6)
    reader = NewsReader(storage)
    known = {(one.lane, one.epochs) for one in told(reader.news(lanes(study)))}
    listed: list[str] = []
    storage.list = lambda folder: listed.append(folder) or []  # type: ignore[method-assign,func-returns-value]
    assert reader.news(lanes(study, epochs=60), known) == ()
    assert listed == []


def test_of_two_with_as_many_epochs_the_whole_one_counts(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    chosen = study.configurations()[0]
    whole = study.final(chosen, 0, 6)
    stopped = FinalKey(PARTITION, chosen.id, 0, 6, RepeatState.STOPPED)
    storage.create(
        stopped.path, type(whole)({**whole.meta, "state": "stopped"}, whole.history, whole.logits).to_bytes()
    )
    news = NewsReader(storage).news({LaneKey(PARTITION, chosen.id, 0): 6})
    assert [one.states for one in news] == [("finished",)]


def test_a_record_that_cannot_be_read_is_told_once_it_can(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    chosen = study.configurations()[0]
    lane = LaneKey(PARTITION, chosen.id, 0)
    longer = FinalKey(PARTITION, chosen.id, 0, 12)
    content = study.final(chosen, 0, 12).to_bytes()
    storage.create(longer.path, content[:-9])
    reader = NewsReader(storage)
    assert lanes_of(reader.news({lane: 12})) == [(chosen.id, 6, 0)]  # the one before counts until then
    storage.replace(longer.path, content)
    assert lanes_of(reader.news({lane: 12}, {(lane, 6)})) == [(chosen.id, 12, 0)]


def test_of_many_results_only_the_new_ones_are_read(tmp_path: Path) -> None:
    lrs = tuple(1e-4 * (1 + place / 100) for place in range(100))
    study = GeneratedStudy(depths=((0, 0),), lrs=lrs, batch_sizes=(16, 32), repeats=10, epochs=1, n_valid=4)
    written = UnsyncedStorage(tmp_path)
    study.write(written)
    compact(written)
    storage = CountingStorage(tmp_path)
    reader = NewsReader(storage)
    asked = lanes(study)
    news = reader.news(asked)
    assert sum(len(one.repeats) for one in news) == 2000
    assert storage.finals == []
    assert len(storage.parts) == 2
    known = {(one.lane, one.epochs) for one in told(news)}
    chosen = study.configurations()[0]
    for repeat in range(10, 20):
        study.write_final(written, chosen, repeat, 1)
        asked[LaneKey(PARTITION, chosen.id, repeat)] = 1
    compact(written)  # whoever gathers them meanwhile, it is the records that are read
    assert lanes_of(reader.news(asked, known)) == [(chosen.id, 1, repeat) for repeat in range(10, 20)]
    assert len(storage.finals) == 10
    assert len(storage.parts) == 2
    known |= {(LaneKey(PARTITION, chosen.id, repeat), 1) for repeat in range(10, 20)}
    assert reader.news(asked, known) == ()
    assert len(storage.finals) == 10


def test_no_part_is_read_again(tmp_path: Path) -> None:
    written, study = small_study(tmp_path, repeats=20)
    compact(written)
    storage = CountingStorage(tmp_path)
    reader = NewsReader(storage)
    assert len(told(reader.news(lanes(study)))) == 8 * 20
    assert len(storage.parts) == 2
    for configuration in study.configurations():
        for repeat in range(20, 30):
            study.write_final(written, configuration, repeat, study.epochs)
    assert len(told(reader.news(lanes(study, repeats=30)))) == 8 * 30
    assert len(storage.parts) == 2
    assert len(storage.finals) == 80
