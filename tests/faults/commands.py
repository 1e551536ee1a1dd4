"""`orch` in processes of its own, each in a process group that can be killed, and what it left in a folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from orchestrator.store.schema import FinalRecord
from tests.faults.searches import ORCH
from tests.support.checkout import ROOT


def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*ORCH, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
        cwd=ROOT,
    )


def finals(studies: Path) -> dict[str, FinalRecord]:
    paths = studies.glob("tiny/bundles/*/*/*/final/*")
    return {"/".join(p.parts[-5:]): FinalRecord.from_bytes(p.read_bytes(), str(p)) for p in paths}
