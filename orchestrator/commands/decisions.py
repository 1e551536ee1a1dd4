"""`orch decisions`: what was asked of a study, by whom, and why."""

from __future__ import annotations

from functools import partial

import click

from orchestrator.commands.options import complete_study, json_option, studies_option
from orchestrator.commands.said import echo, echo_json, on_the_way


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.argument("configuration", required=False)
@click.option(
    "--check", "checks", is_flag=True, help="Make every decision again from the results that it cites, and compare."
)
@studies_option
@json_option
def decisions(study: str, configuration: str | None, checks: bool, studies: str | None, as_json: bool) -> None:
    """List what STUDY's searches decided to train, and why.

    Each decision is shown with its reason and the results that it had seen. With CONFIGURATION, the beginning of an
    id, only what was decided about that one is shown.

    With --check, the exit status is 1 if a decision cannot be read, or if its proposer would decide otherwise from the
    same results.

    \b
    Examples:
      orch decisions neuroblastoma
      orch decisions neuroblastoma 3f2a
      orch decisions neuroblastoma --check
    """
    from orchestrator.proposing.checking import check, faulty
    from orchestrator.proposing.history import about_text, decided_about, history, history_text, named, stop_words
    from orchestrator.results.decided import Decided
    from orchestrator.store.forgotten import Forgotten
    from orchestrator.study.studies import open_study, studies_place

    opened = open_study(studies_place(studies), study)
    decided = Decided.of(opened.storage, forgotten=Forgotten() if checks else None)
    with on_the_way(as_json) as told:
        checked = check(opened.storage, decided, partial(told.count, "decisions")) if checks else []
    if configuration is not None:
        name = named(decided, configuration)
        about = decided_about(decided, name)
        if as_json:
            stops = stop_words(decided, name)
            echo_json({"study": opened.name, "configuration": name, "decisions": about, "stopped": stops})
        else:
            echo(about_text(name, about, stop_words(decided, name)))
    elif as_json:
        echo_json({"study": opened.name, "searches": history(decided, checked)})
    else:
        echo(history_text(opened.name, decided, checked if checks else None))
    if faulty(checked) or (checks and decided.damaged):
        raise SystemExit(1)
