"""`orch note`: what people want to remember of a study."""

from __future__ import annotations

import click

from orchestrator.commands.options import complete_study, json_option, studies_option
from orchestrator.commands.said import echo, echo_json


@click.command()
@click.argument("study", shell_complete=complete_study)
@click.argument("text", nargs=-1)
@click.option("--tag", "tags", metavar="NAME", multiple=True, help="Add a tag to the study.")
@click.option("--untag", "untagged", metavar="NAME", multiple=True, help="Remove a tag.")
@click.option("--delete", metavar="N", type=click.IntRange(min=1), help="Delete the note with this number.")
@studies_option
@json_option
def note(
    study: str,
    text: tuple[str, ...],
    tags: tuple[str, ...],
    untagged: tuple[str, ...],
    delete: int | None,
    studies: str | None,
    as_json: bool,
) -> None:
    """Add a note or tags to STUDY; without either, show them.

    They appear in orch list, in orch status and on the study's page, without their author's name.

    \b
    Examples:
      orch note slides "Stained again in March; the old batch is in slides_2024."
      orch note slides --tag submitted --untag draft
      orch note slides
    """
    from orchestrator.commands.look import rewrite_dashboard
    from orchestrator.results.remarks import LONGEST, Remark, add_remark, checked_tags, delete_note, read_remarks
    from orchestrator.study.studies import now, open_study, studies_place, who

    words = " ".join(text).strip()
    if len(words) > LONGEST:
        raise click.UsageError(f"expected a note of at most {LONGEST:,} characters, found {len(words):,}")
    if delete is not None and (words or tags or untagged):
        raise click.UsageError("--delete cannot be used with a text, --tag or --untag")
    opened = open_study(studies_place(studies), study)
    given, taken = checked_tags(tags), checked_tags(untagged)
    if delete is not None:
        delete_note(opened.storage, delete)
    if words or given or taken:
        add_remark(opened.storage, Remark(text=words, tags=given, untagged=taken, who=who(), created=now()))
    if words or given or taken or delete is not None:
        rewrite_dashboard(opened)
    remarks = read_remarks(opened.storage)
    if as_json:
        notes = [
            {"number": number, **one.model_dump(include={"text", "who", "created"})} for number, one in remarks.notes
        ]
        echo_json({"study": opened.name, "tags": list(remarks.tags), "notes": notes})
        return
    echo(f"{opened.name}: {', '.join(remarks.tags) or 'no tags'}")
    for number, one in remarks.notes:
        echo(f"  {number}  {one.created[:10]}  {one.who}: {one.text}")
