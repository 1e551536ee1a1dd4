"""The benchmark of `orch mistakes` runs, and what it counts is near to what is promised."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import ROOT


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_quick_run_prints_its_tables(tmp_path: Path) -> None:
    target = tmp_path / "table.json"
    command = [sys.executable, "benchmarks/mistakes.py", "--quick", "--json", str(target)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Confident learning" in done.stdout
    rows = json.loads(target.read_text())["rows"]
    assert len(rows) == 2
    assert all(0 <= row["p ≤ 0.05, % of slices"] <= 25 for row in rows)
