"""Runs rounds of faults and prints the table: `python -m tests.faults.report [--full] [--seed N] [--only NAME]`.

The short form takes some minutes, and the tests do parts of it; the full form, with Ray, takes hours.
--only takes a part of a name ("ray: the raylet", "write", "refused: EIO") and may be given several times. Ctrl-C prints
the table of what was done, and says with which --from to go on.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.faults.damage import DAMAGED, cut_short, damaged_and_finished, flipped, subjects, torn_later
from tests.faults.drivers import drivers_hurt, drivers_that_settle, drivers_with_odd_views
from tests.faults.lanes import ADAPTIVE, NEW
from tests.faults.node_rounds import WAYS, head_lost, node_lost, node_replaced
from tests.faults.refusals import bad_lines, drivers_in_a_bucket, full_disk, limited_files
from tests.faults.rounds import (
    HALVING_AND_RACE,
    SETTLED,
    STAGED,
    WRITES,
    World,
    killed_at_moments,
    killed_at_steps,
    killed_in_writes,
    refused_writes,
    world,
)
from tests.faults.search_rounds import VICTIMS, head_gone, interrupted_with_ray, killed, worker_killed
from tests.faults.searches import Searches, searches
from tests.faults.signals import interrupted
from tests.faults.steps import ERRORS
from tests.faults.tally import Tally, as_markdown

WITH_RAY = "ray: "
"""Names of the rounds with Ray begin so."""
TELL_EVERY_S = 5.0


@dataclass(frozen=True)
class Amount:
    """How much is tried."""

    kills: int
    steps: int
    """Of each kind of lanes that are killed after one."""
    of_a_kind: int
    """Writes of a kind that are killed at each of their steps."""
    of_deciding: int
    """The same of an adaptive search."""
    refused_every: int
    refusals: tuple[str, ...]
    """The first is tried at every `refused_every`-th write, the others at a third of those."""
    drivers: int
    odd_views: int
    damaged: int
    """Files of each kind."""
    offsets: int
    limits: tuple[int, ...]
    disks_kb: tuple[int, ...]
    lines: int
    signals: int
    """Once, and so many twice in a row."""
    with_ray: int
    """Kills of each victim."""
    signals_with_ray: int
    heads: int
    nodes: int

    def at_most(self, count: int) -> Amount:
        """No more rounds than that of any fault with Ray."""
        names = ("with_ray", "signals_with_ray", "heads", "nodes")
        return dataclasses.replace(self, **{name: min(count, getattr(self, name)) for name in names})


SHORT = Amount(4, 4, 1, 5, 60, ("EIO",), 1, 1, 1, 300, (3000,), (48,), 2, 2, 1, 1, 1, 1)
FULL = Amount(
    kills=185,
    steps=1000,
    of_a_kind=2,
    of_deciding=20,
    refused_every=1,
    refusals=tuple(ERRORS),
    drivers=30,
    odd_views=5,
    damaged=8,
    offsets=40_000,
    limits=(300, 600, 1000, 2000, 3000, 10_000),
    disks_kb=(32, 48, 64, 96, 160),
    lines=21,
    signals=8,
    with_ray=3,
    signals_with_ray=4,
    heads=3,
    nodes=5,
)


Rounds = dict[str, Callable[[], Tally | None]]
"""By a short name, in the order of the table; what returns None is not possible on this machine."""


def plain_rounds(found: World, amount: Amount, seed: int) -> Rounds:
    rounds: Rounds = {"kill": lambda: killed_at_moments(found, amount.kills, seed)}
    for lanes in NEW:
        rounds[f"step: {lanes}"] = partial(killed_at_steps, found, lanes, amount.steps)
    for plan, kinds in WRITES.items():
        most = amount.of_deciding if plan.lanes == ADAPTIVE else amount.of_a_kind
        for kind in kinds:
            rounds[f"write: {plan.name}: {kind}"] = partial(killed_in_writes, found, plan, kind, most)
    rounds["signals: once"] = lambda: interrupted(found, amount.signals, seed, twice=False)
    rounds["signals: twice"] = lambda: interrupted(found, amount.signals, seed, twice=True)
    rounds["drivers"] = lambda: drivers_hurt(found, amount.drivers, seed)
    rounds["drivers: stages"] = partial(
        drivers_hurt, found, amount.drivers, seed, drivers=2, plans=(STAGED,), of="search with stages"
    )
    rounds["clocks"] = lambda: drivers_with_odd_views(found, amount.odd_views, minutes=10)
    rounds["views"] = lambda: drivers_with_odd_views(found, amount.odd_views)
    rounds |= deciding_rounds(found, amount, seed)
    for index, name in enumerate(amount.refusals):
        every = amount.refused_every * (3 if index else 1)
        rounds[f"refused: {name}"] = partial(refused_writes, found, name, every, 1000)
    rounds["limit"] = lambda: limited_files(found, amount.limits)
    rounds["disk"] = lambda: full_disk(found, amount.disks_kb)
    rounds["s3"] = lambda: bad_lines(found, amount.lines, seed)
    rounds["bucket"] = lambda: drivers_in_a_bucket(found, max(1, amount.lines // 4), seed)
    for kind in DAMAGED:
        rounds[f"damaged: {kind}"] = partial(damaged_and_finished, found, kind, amount.damaged, seed)
    for subject in subjects(found):
        rounds[f"cut short: {subject.name}"] = partial(cut_short, subject, seed, amount.offsets)
        rounds[f"flipped: {subject.name}"] = partial(flipped, subject, seed, min(amount.offsets, 5000))
    return rounds


def deciding_rounds(found: World, amount: Amount, seed: int) -> Rounds:
    """Of a search that decides by what it is told, on storages of three kinds."""
    plan, of = HALVING_AND_RACE, "adaptive search"
    return {
        "deciding: drivers": partial(drivers_hurt, found, amount.drivers, seed, plans=(plan,), of=of),
        "deciding: clocks": partial(drivers_with_odd_views, found, amount.odd_views, minutes=300, plan=plan, of=of),
        "deciding: views": partial(drivers_with_odd_views, found, amount.odd_views, plan=plan, of=of),
        "deciding: torn": partial(damaged_and_finished, found, "decision", 2 * amount.damaged, seed, plan),
        "deciding: torn later": partial(torn_later, found, 2 * amount.damaged, seed, plan),
        "deciding: claims": partial(drivers_that_settle, found, amount.drivers, seed, SETTLED),
        "deciding: bucket": partial(drivers_in_a_bucket, found, amount.drivers, seed, 3, plan, f"bucket, {of}"),
    }


def ray_rounds(found: Searches, amount: Amount, seed: int) -> Rounds:
    rounds: Rounds = {
        f"{WITH_RAY}{victim}": partial(killed, found, victim, amount.with_ray, seed) for victim in VICTIMS
    }
    rounds[f"{WITH_RAY}a worker"] = lambda: worker_killed(found, amount.with_ray, seed)
    rounds[f"{WITH_RAY}signals"] = lambda: interrupted_with_ray(found, amount.signals_with_ray, seed)
    rounds[f"{WITH_RAY}head gone"] = lambda: head_gone(found, amount.heads, seed)
    for way in WAYS:
        rounds[f"{WITH_RAY}node {way}"] = partial(node_lost, found, way, amount.nodes, seed)
    rounds[f"{WITH_RAY}node replaced"] = lambda: node_replaced(found, amount.nodes, seed)
    rounds[f"{WITH_RAY}head lost"] = lambda: head_lost(found, amount.nodes, seed)
    return rounds


@dataclass
class Run:
    """Those of the rounds that are wanted, one after the other, told on stderr."""

    only: Sequence[str]
    first: str | None
    """Nothing before it is run."""
    done: list[Tally] = field(default_factory=list)
    at: str = ""
    _told: float = 0.0

    def __post_init__(self) -> None:
        Tally.on_round = self._tell

    def wants(self, *, with_ray: bool) -> bool:
        """Whether any of these may be wanted."""
        begun = self.first is None or with_ray or not self.first.startswith(WITH_RAY)
        return begun and any(not part or part.startswith(WITH_RAY.strip()) == with_ray for part in self.only)

    def all(self, rounds: Rounds) -> None:
        for name, act in rounds.items():
            if self.first is not None and name != self.first:
                continue
            self.first, self.at = None, name
            if any(part in name for part in self.only):
                self._say(name)
                tally = act()
                if tally is None:
                    self._say(f"{name}: left out, this machine does not allow it")
                    continue
                self.done.append(tally)
                self._say(" | ".join(tally.cells()))
                if tally.noticed:
                    self._say(f"  until it was noticed: {_seconds(tally.noticed)}; then: {_seconds(tally.seconds)}")
                for remark in tally.remarks:
                    self._say(f"  {remark}")

    def _tell(self, tally: Tally) -> None:
        """A round is over; of thousands in a second a few are told."""
        if time.monotonic() - self._told > TELL_EVERY_S:
            self._told = time.monotonic()
            self._say(f"  {tally.fault}: {tally.tried} tried, {len(tally.remarks)} remarks")

    def _say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _seconds(each: Sequence[float]) -> str:
    """Of each round, and how busy this machine was in the end."""
    return f"{', '.join(f'{one:.1f} s' for one in each)} (load {os.getloadavg()[1]:.0f})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="every kind of fault in full, with Ray too")
    parser.add_argument("--with-ray", action="store_true", help="only the rounds with Ray")
    parser.add_argument("--only", metavar="NAME", action="append", help="only faults with this in their name")
    parser.add_argument(
        "--from", dest="first", metavar="NAME", help="begin with this fault: go on after an interruption"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="at most so many rounds of each fault with Ray")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    amount = FULL if options.full else SHORT
    if options.rounds:
        amount = amount.at_most(options.rounds)
    only = options.only or [""]
    if options.with_ray:
        only = [part if part.startswith(WITH_RAY.strip()) else f"{WITH_RAY}{part}" for part in only]
    run = Run(only, options.first)
    try:
        if run.wants(with_ray=False):
            with tempfile.TemporaryDirectory() as folder, world(Path(folder)) as found:
                run.all(plain_rounds(found, amount, options.seed))
        if (options.full or options.with_ray) and run.wants(with_ray=True):
            with searches() as whole:
                run.all(ray_rounds(whole, amount, options.seed))
    except KeyboardInterrupt:
        print(f"interrupted; go on with --from '{run.at}'", file=sys.stderr)
        return 130
    finally:
        print(as_markdown(run.done))
    if not run.done:
        parser.error("no fault has such a name")
    return 0 if all(tally.passed for tally in run.done) else 1


if __name__ == "__main__":
    sys.exit(main())
