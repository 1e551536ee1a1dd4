"""What the installed command `orch` calls: the command line, once it is certain that all four packages are ours."""

from __future__ import annotations

import sys

from orchestrator.store.packages import all_ours


def main() -> None:
    """Exit status 2 and one sentence where another package hides one of ours, else what the command says."""
    try:
        all_ours()
    except ImportError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    from orchestrator.command_line import main as command

    command(prog_name="orch")
