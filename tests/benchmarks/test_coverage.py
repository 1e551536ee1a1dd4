"""The benchmark of intervals counts what covers, and the script of its tables runs."""

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
    command = [sys.executable, "benchmarks/coverage.py", "--quick", "--rounds", "10", "--json", str(target)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "known failures" in done.stdout
    rows = json.loads(target.read_text())["rows"]
    (area,) = (r for r in rows if (r["metric"], r["groups of each class"], r["images"]) == ("ROC AUC", 8, "equal"))
    covered = float(area["accuracy 0.85"].partition(" ")[0])
    assert 70 <= covered <= 100
