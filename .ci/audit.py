"""Looks the pinned packages up in the list of known vulnerabilities. Standard library only.

    python3 .ci/audit.py [ARGUMENTS of pip-audit…]

Exit status: 0 none known, or left out because pip-audit is not installed or its list cannot be reached (which is said);
1 a pinned version has a known vulnerability; 2 pip-audit could not read the pins.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOL = ROOT / ".venv" / "bin" / "pip-audit"
REQUIREMENTS = ROOT / "requirements.txt"
LONGEST_S = 600
_UNREACHED = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|Max retries|NameResolution|Temporary failure in name|ProxyError|"
    r"SSLError|Network is unreachable|Could not connect|\b(403|407|429|50[0-4])\b"
)


def main(arguments: Sequence[str]) -> int:
    tool = str(TOOL) if TOOL.is_file() else shutil.which("pip-audit")
    if tool is None:
        return _left_out("pip-audit is not installed (uv pip install pip-audit)")
    command = [tool, "--requirement", str(REQUIREMENTS), "--require-hashes", "--disable-pip"]
    command += ["--progress-spinner", "off", "--timeout", "15", *arguments]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        return _left_out(f"the list of vulnerabilities gave no answer within {LONGEST_S} s")
    if run.returncode == 0:
        print(run.stderr.strip() or "No known vulnerabilities among the pinned packages.")
        return 0
    if re.search(r"^Found \d+ known vulnerabilit", run.stderr, re.MULTILINE):
        print(f"{run.stderr.strip()}\n{run.stdout.strip()}", file=sys.stderr)
        return 1
    if _UNREACHED.search(run.stderr):
        return _left_out("the list of vulnerabilities cannot be reached")
    print(f"pip-audit could not read {REQUIREMENTS}:\n{run.stderr.strip()[-2000:]}", file=sys.stderr)
    return 2


def _left_out(reason: str) -> int:
    print(f"The audit of the pinned packages was left out: {reason}.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
