"""Runs all rounds of faults and prints the table: `python tests/faults/report.py [--full] [--seed N]`.

The short form takes a minute and is part of the tests; the full form is what docs/reliability.md holds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [
    path for path in (str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "faults")) if path not in sys.path
]

from damage import cut_short, damaged_and_finished, flipped, subjects  # noqa: E402
from refusals import bad_lines, drivers_in_a_bucket, full_disk, limited_files  # noqa: E402
from rounds import (  # noqa: E402
    World,
    drivers_hurt,
    drivers_with_odd_views,
    killed_at_moments,
    killed_in_writes,
    refused_writes,
    world,
)
from steps import ERRORS, STEPS  # noqa: E402
from tally import Tally, as_markdown  # noqa: E402


@dataclass(frozen=True)
class Amount:
    """How much is tried."""

    kills: int
    occurrences: tuple[int, ...]
    refused_every: int
    refusals: tuple[str, ...]
    """The first is tried at every `refused_every`-th write, the others at a third of those."""
    drivers: int
    odd_views: int
    damaged: int
    offsets: int
    limits: tuple[int, ...]
    disks_kb: tuple[int, ...]
    lines: int


SHORT = Amount(3, (1,), 40, ("EIO",), 1, 1, 2, 300, (3000,), (48,), 2)
FULL = Amount(
    kills=100,
    occurrences=(1, 2),
    refused_every=1,
    refusals=tuple(ERRORS),
    drivers=30,
    odd_views=5,
    damaged=20,
    offsets=40_000,
    limits=(300, 600, 1000, 2000, 3000, 10_000),
    disks_kb=(32, 48, 64, 96, 160),
    lines=21,
)


def tallies(found: World, amount: Amount, seed: int) -> Iterator[Tally]:
    """One after the other; those that this machine does not allow are left out, and say so on stderr."""
    rounds: list[Callable[[], Tally | None]] = [
        lambda: killed_at_moments(found, amount.kills, seed),
        *(lambda kind=kind: killed_in_writes(found, kind, amount.occurrences) for kind in STEPS),
        lambda: drivers_hurt(found, amount.drivers, seed),
        lambda: drivers_with_odd_views(found, amount.odd_views, clocks=True),
        lambda: drivers_with_odd_views(found, amount.odd_views, clocks=False),
        *(
            lambda name=name, every=amount.refused_every * (3 if index else 1): refused_writes(found, name, every, 1000)
            for index, name in enumerate(amount.refusals)
        ),
        lambda: limited_files(found, amount.limits),
        lambda: full_disk(found, amount.disks_kb),
        lambda: bad_lines(found, amount.lines, seed),
        lambda: drivers_in_a_bucket(found, max(1, amount.lines // 4), seed),
        lambda: damaged_and_finished(found, amount.damaged, seed),
    ]
    for subject in subjects(found):
        rounds.append(lambda subject=subject: cut_short(subject, seed, amount.offsets))
        rounds.append(lambda subject=subject: flipped(subject, seed, min(amount.offsets, 5000)))
    for act in rounds:
        tally = act()
        if tally is None:
            print("left out: this machine does not allow a file system to be mounted", file=sys.stderr)
        else:
            yield tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="all rounds; ten to forty minutes on two cores")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    done: list[Tally] = []
    with tempfile.TemporaryDirectory() as folder, world(Path(folder)) as found:
        for tally in tallies(found, FULL if options.full else SHORT, options.seed):
            done.append(tally)
            print(f"{time.strftime('%H:%M:%S')} {' | '.join(tally.cells())}", file=sys.stderr, flush=True)
            for remark in tally.remarks:
                print(f"  {remark}", file=sys.stderr)
    print(as_markdown(done))
    return 0 if all(tally.passed for tally in done) else 1


if __name__ == "__main__":
    sys.exit(main())
