"""What deciding costs a search: how long the driver of an adaptive one reads results, asks and writes decisions.

The clock runs in the driver's thread that decides, around all that it does there, looks that find nothing among them.
Workers train meanwhile; what they wait for a decision is not in it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from table import REPOSITORY, Table, arguments, progress
from trivial import grid, search_arguments, write_images

from orchestrator.results.decided import Decided
from orchestrator.store.storage import LocalStorage

COLUMNS = (
    "configurations",
    "decisions",
    "results",
    "search s",
    "looks",
    "deciding s",
    "deciding %",
    "of it on a processor s",
    "longest look s",
)
TIMED = """
import json, sys, time
from pathlib import Path
from orchestrator.running.decider import Decider

look, file, spent = Decider._look, Path(sys.argv.pop(1)), []

def timed(decider):
    began, used = time.monotonic(), time.thread_time()
    try:
        return look(decider)
    finally:
        spent.append((time.monotonic() - began, time.thread_time() - used))
        file.write_text(json.dumps(spent))

Decider._look = timed
from orchestrator.command_line import main
main()
"""


def measured(asked: list[str], file: Path) -> tuple[float, list[tuple[float, float]]]:
    """Seconds of the whole search, and of each look of its driver: by the clock, on a processor. Raises RuntimeError
    when it fails."""
    began = time.monotonic()
    command = [sys.executable, "-c", TIMED, str(file), "search", *asked]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    seconds = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(f"orch search ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return seconds, json.loads(file.read_text())


def main() -> None:
    parser = arguments(__doc__ or "", 1)
    parser.add_argument("--configurations", default="12,48", metavar="N,N", help="default: %(default)s")
    options = parser.parse_args()
    sizes = (6,) if options.quick else tuple(int(size) for size in options.configurations.split(","))
    table = Table("Deciding in an adaptive search", COLUMNS)
    table.notes += [
        "Halving over epochs, then a race with up to 20 repeats; trivial configurations that differ in lr.",
        "deciding %: share of the whole command, including Ray's start and the page.",
    ]
    root = Path(tempfile.mkdtemp(prefix="orch-deciding-"))
    try:
        labels = write_images(root / "images")
        for size in sizes:
            for number in range(options.rounds):
                name = f"n{size}-{number}"
                asked = search_arguments(name, labels, root, root / "cache", 1, 1, grid(size, "lr"))
                rules = ["--epochs", "adaptive", "--repeats", "race"]  # in the place of the numbers before
                seconds, looks = measured([*asked, *rules], root / "looks.json")
                decisions = list(Decided.of(LocalStorage(root / name)).every())
                results = sum(len(news.repeats) for one in decisions for news in one.news)
                clock, processor = (sum(side) for side in zip(*looks, strict=True))
                share, longest = 100 * clock / seconds, max(look for look, _ in looks)
                table.add(size, len(decisions), results, seconds, len(looks), clock, share, processor, longest)
                progress(f"{size} configurations: {seconds:.0f} s, deciding {share:.2f} %")
    finally:
        shutil.rmtree(root, ignore_errors=True)
    table.show()
    table.write_json(options.json)


if __name__ == "__main__":
    main()
