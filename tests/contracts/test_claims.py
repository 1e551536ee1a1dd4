"""Settle and claim on a simulated drive folder: late views, two files of one name, claimants that die."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from orchestrator.store.claims import SettledStorage, is_contended
from tests.support.drive_folder import DriveCloud, DriveView, Killed, VirtualTime

LATE_S = 10.0
LATENCY_S = 0.2
SETTLE_S = 2 * LATE_S + 20 * LATENCY_S


@dataclass
class Round:
    """Some drivers create one name at random moments; some die on the way."""

    seed: int
    drivers: int
    settle_s: float = SETTLE_S
    deaths: bool = False
    won: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    died: list[int] = field(default_factory=list)

    def run(self) -> DriveCloud:
        draws, time = random.Random(self.seed), VirtualTime()
        cloud = DriveCloud(LATE_S, self.seed, time.clock)
        starts = []
        for number in range(self.drivers):
            begins = draws.choice((0.0, draws.uniform(0, LATE_S), draws.uniform(0, 4 * self.settle_s)))
            dies = begins + draws.uniform(0, 2 * self.settle_s) if self.deaths and number else float("inf")
            view = cloud.view(self._slow(time, draws, number, dies))
            identity = f"{draws.getrandbits(128):032x}"
            storage = SettledStorage(
                view, self.settle_s, clock=time.clock, sleep=time.sleep, new_id=lambda identity=identity: identity
            )
            starts.append((begins, self._driver(number, storage)))
        time.run(starts)
        return cloud

    def _slow(self, time: VirtualTime, draws: random.Random, number: int, dies: float):  # type: ignore[no-untyped-def]
        def before() -> None:
            time.sleep(draws.uniform(0, LATENCY_S))
            if time.now >= dies:
                if number not in self.died:
                    self.died.append(number)
                raise Killed

        return before

    def _driver(self, number: int, storage: SettledStorage):  # type: ignore[no-untyped-def]
        def drive() -> None:
            if storage.create("bundle/lease-1.json", f"{number}".encode()):
                self.won.append(number)
            self.ended.append(number)

        return drive


def held(cloud: DriveCloud) -> list[str]:
    """Names of all files that were not deleted in the end."""
    return [file.path for file in cloud.files if file.changes[-1].content is not None]


@pytest.mark.parametrize("drivers", [1, 2, 3, 6])
def test_of_many_claimants_one_wins(drivers: int) -> None:
    for seed in range(150):
        round_ = Round(seed, drivers)
        cloud = round_.run()
        assert len(round_.ended) == drivers, seed
        assert len(round_.won) == 1, (seed, round_.won)
        assert held(cloud) == ["bundle/lease-1.json"], seed


def test_claimants_that_die_block_nobody_and_leave_one_winner() -> None:
    """The first driver lives: somebody has the name in the end, and never two."""
    dead_winners = 0
    for seed in range(300):
        round_ = Round(seed, 4, deaths=True)
        cloud = round_.run()
        assert len(round_.won) <= 1, (seed, round_.won)
        names = held(cloud)
        assert names.count("bundle/lease-1.json") == 1, (seed, names)
        dead_winners += not round_.won
    assert dead_winners < 300


def test_without_settling_the_folder_gives_one_name_to_two() -> None:
    """The simulation is hard enough: the same drivers with no time to settle do win twice."""
    twice = 0
    for seed in range(60):
        round_ = Round(seed, 3, settle_s=0.5)
        round_.run()
        twice += len(round_.won) > 1
    assert twice > 10


def test_a_plain_create_on_such_a_folder_is_not_exclusive() -> None:
    cloud = DriveCloud(late_s=1000.0, seed=1)
    one, other = cloud.view(), cloud.view()
    assert one.create("a", b"1")
    assert other.create("a", b"2")
    assert (one.read("a"), other.read("a")) == (b"1", b"2")


def test_a_name_that_lies_there_twice_is_listed_once_and_claims_are_hidden() -> None:
    cloud = DriveCloud(late_s=0.0, seed=1)
    one, other = cloud.view(), cloud.view()
    for view, content in ((one, b"1"), (other, b"2")):
        view._new("f/a", content)
    one.replace(f"f/lease-1.json.claim-{'0' * 32}", b"x")
    assert one.list("f").count("a") == 2
    assert SettledStorage(one).list("f") == ["a"]


def test_records_that_are_equal_whoever_writes_them_are_not_waited_for() -> None:
    def slept(_: float) -> None:
        raise AssertionError("nothing is to be waited for")

    storage = SettledStorage(DriveCloud(0.0, 1).view(), sleep=slept)
    assert storage.create("bundles/p/c/0/final/3.e10", b"x")
    assert not storage.create("bundles/p/c/0/final/3.e10", b"y")
    assert storage.read("bundles/p/c/0/final/3.e10") == b"x"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("segments/0a1b2c/lease-12.json", True),
        ("searches/0a1b2c/lease-1.json", True),
        ("searches/0a1b2c/12.toml", True),
        ("searches/0a1b2c/budget-2.toml", True),
        ("searches/0a1b2c/search.toml", False),
        ("study.toml", True),
        ("dataset/manifest.parquet", True),
        ("bundles/p/c/0/final/3.e10", False),
        ("segments/0a1b2c/attempt-1/started.json", False),
        ("configurations/12.toml", False),
    ],
)
def test_what_is_contended(path: str, expected: bool) -> None:
    assert is_contended(path) is expected


def test_the_simulated_folder_is_deterministic() -> None:
    runs = []
    for _ in range(2):
        round_ = Round(7, 5, deaths=True)
        cloud = round_.run()
        runs.append((round_.won, round_.died, len(cloud.files)))
    assert runs[0] == runs[1]


def test_views_are_late_and_in_order() -> None:
    time = VirtualTime()
    cloud = DriveCloud(5.0, 3, time.clock)
    writer, reader = cloud.view(), cloud.view()
    seen = []

    def write() -> None:
        for number in range(5):
            writer.replace("a", str(number).encode())
            time.sleep(1.0)

    def read() -> None:
        for _ in range(40):
            seen.append(_read_or_none(reader))
            time.sleep(0.3)

    time.run([(0.0, write), (0.0, read)])
    known = [number for number in seen if number is not None]
    assert seen[0] is None or len(set(known)) > 1
    assert known == sorted(known)
    assert known[-1] == 4


def _read_or_none(view: DriveView) -> int | None:
    try:
        return int(view.read("a"))
    except FileNotFoundError:
        return None
