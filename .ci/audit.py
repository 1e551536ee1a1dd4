"""Looks the pinned packages up among the known vulnerabilities of osv.dev. Standard library only.

    python3 .ci/audit.py

One question with all names and versions of requirements.txt; a package that was not looked up is never called clean.
Exit status: 0, also where something is found or nobody answered, since neither is the doing of the commit that is
tested; with ORCH_AUDIT=strict 1 where something is found, 2 where nobody answered.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements.txt"
ADDRESS = "https://api.osv.dev/v1/querybatch"
PAGE = "https://osv.dev/vulnerability/"
LONGEST_S = 60.0
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


def main() -> int:
    is_strict = os.environ.get("ORCH_AUDIT") == "strict"
    pins = _PIN.findall(REQUIREMENTS.read_text())
    try:
        advisories = within(LONGEST_S, pins)
    except (OSError, ValueError, KeyError, TypeError) as error:
        _say(f"The audit of {len(pins)} pinned packages was left out: {ADDRESS} gave no answer ({error}).")
        return 2 if is_strict else 0
    if not advisories:
        _say(f"No known vulnerabilities in {len(pins)} pinned packages.")
        return 0
    lines = [f"  {name}=={pin}: {', '.join(PAGE + one for one in ids)}" for (name, pin), ids in advisories.items()]
    rule = "!" * 100
    _say("\n".join([rule, f"Known vulnerabilities in {len(advisories)} of {len(pins)} pinned packages:", *lines, rule]))
    _say("Where a newer version mends it: python3 .ci/bootstrap.py pin --upgrade")
    return 1 if is_strict else 0


def within(seconds: float, pins: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    """What `known` answers; TimeoutError where it takes longer, however slowly the other side goes on talking."""
    answers: list[dict[tuple[str, str], list[str]] | Exception] = []

    def ask() -> None:
        try:
            answers.append(known(pins, seconds))
        except Exception as error:
            answers.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    answer = answers[0] if answers else TimeoutError(f"{seconds:g} s passed")
    if isinstance(answer, Exception):
        raise answer
    return answer


def known(pins: Sequence[tuple[str, str]], timeout_s: float) -> dict[tuple[str, str], list[str]]:
    """Ids of the vulnerabilities of each (name, version) that has some; ValueError for an answer that is none."""
    queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in pins]
    body = json.dumps({"queries": queries}).encode()
    request = urllib.request.Request(ADDRESS, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            results: Sequence[Mapping[str, Any]] = json.load(answer)["results"]
    except urllib.error.HTTPError as error:
        error.close()
        raise OSError(f"status {error.code}") from None
    if len(results) != len(pins):
        raise ValueError(f"{len(pins)} packages asked, {len(results)} answered")
    ids = {
        pin: [str(one["id"]) for one in result.get("vulns") or ()] for pin, result in zip(pins, results, strict=True)
    }
    return {pin: names for pin, names in ids.items() if names}


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
