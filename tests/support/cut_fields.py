"""A folder of patches, and the server that shows it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner

from dashboards.patches.server import PatchServer
from orchestrator.command_line import main
from orchestrator.patches.review import Review
from tests.support.fields import SIDE, write_fields


def cut_fields(place: Path) -> Path:
    """66 patches of six fields, eleven of each."""
    words = [str(write_fields(place / "fields")), "--output", str(place / "out"), "--size", str(SIDE)]
    result = CliRunner().invoke(main, ["data", "patches", *words])
    assert result.exit_code == 0, result.output
    return place / "out"


@contextmanager
def shown(folder: Path, by: str = "Ada") -> Iterator[PatchServer]:
    server = PatchServer(0, Review(folder, by))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
