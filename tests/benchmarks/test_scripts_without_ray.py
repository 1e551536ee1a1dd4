"""The benchmarks of learning run on a machine that has no Ray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

WITHOUT_RAY = """
import runpy, sys
sys.modules["ray"] = None
sys.argv = sys.argv[1:]
sys.path.insert(0, "benchmarks")
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("script", "options", "rows", "column", "least"),
    [
        ("feature_pass.py", ["--rounds", "1"], 2, "pass ÷ bare", 0.2),
        ("feature_pass.py", ["--bf16-effect"], 1, "valid loss, bf16", 0.01),
        ("unfreezing.py", [], 2, "score, whole ÷ cached", 1.0),
        ("unfreezing.py", ["--bf16-effect"], 2, "valid loss, bf16", 0.01),
        ("augmented_steps.py", [], 2, "bare ÷ augmented", 0.1),
        ("maps_time.py", [], 5, "passes", 0.5),
    ],
)
def test_a_quick_run_prints_its_table(
    tmp_path: Path, script: str, options: list[str], rows: int, column: str, least: float
) -> None:
    target = tmp_path / "table.json"
    command = [sys.executable, "-c", WITHOUT_RAY, f"benchmarks/{script}", "--quick", "--synthetic", "--json", target]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run([*map(str, command), *options], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("### ")
    found = json.loads(target.read_text())
    assert len(found["rows"]) == rows
    assert all(row[column] > least for row in found["rows"])
