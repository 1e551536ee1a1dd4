"""What was asked of the study: each search with its commands, and what its proposer decided."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.figures.markup import table, text
from orchestrator.results.names import counted, span
from orchestrator.results.summary import Summary
from orchestrator.store.searches import Budget, SearchRecord

_ABSOLUTE = re.compile(r"(^|=)(?:[A-Za-z]:)?[/\\~].*?([^/\\]+)[/\\]?$")
MOST = 20
"""Decisions of a search that are shown; of more, the last ones."""


@dataclass(frozen=True)
class Asked:
    """A command, and when and by whom it was given."""

    command: str
    about: str


@dataclass(frozen=True)
class SearchRow:
    """decisions: (number, reason, repeats asked, epochs of each, when) of the last ones; hidden: how many come before.

    commands: the search's own and those of budgets that asked for more, oldest first. stage: of which it is, in words.
    """

    proposer: str
    commands: tuple[Asked, ...]
    decisions: tuple[tuple[int, str, int, str, str], ...]
    hidden: int
    stage: str = ""


def searches_data(summary: Summary, with_names: bool = False) -> list[SearchRow]:
    """Oldest first. with_names: who asked, and the folders in their commands too."""
    rows = []
    for search in summary.searches:
        decisions = summary.decisions[search.id]
        givers: list[SearchRecord | Budget] = [search, *summary.budgets[search.id]]
        commands = dict.fromkeys(
            Asked(one.command, _about(one.created, one.who))
            if with_names
            else Asked(without_folders(one.command), _about(one.created))
            for one in givers
            if one.command
        )
        shown = tuple(
            (
                one.number,
                one.reason,
                sum(ask.count for ask in one.asks),
                span(ask.epochs for ask in one.asks),
                _about(one.created),
            )
            for one in decisions[-MOST:]
        )
        rows.append(SearchRow(search.proposer, tuple(commands), shown, len(decisions) - len(shown), search.stage))
    return rows


def searches_html(rows: Sequence[SearchRow]) -> str:
    """ "" where nobody has asked for anything."""
    if not rows:
        return ""
    title = "<h3>Search</h3>" if len(rows) < 2 else "<h3>Searches, oldest first</h3>"
    return title + "".join(_search(row) for row in rows)


def _search(row: SearchRow) -> str:
    commands = "".join(
        (f'<p class="note">{text(one.about)}</p>' if one.about else "") + f"<pre><code>{text(one.command)}</code></pre>"
        for one in row.commands
    )
    commands += f'<p class="note">{text(row.stage)}</p>' if row.stage else ""
    if not row.decisions:
        return f'{commands}<p class="note">{text(row.proposer)}: nothing has been decided yet.</p>'
    if len(row.decisions) == 1 and not row.hidden:
        _, reason, repeats, epochs, _ = row.decisions[0]
        told = f"{row.proposer}: {reason}, {counted(repeats, 'repeat')}, {epochs} epoch{'s' * (epochs != '1')} each"
        return f'{commands}<p class="note">{text(told)}</p>'
    columns = ["Decision", "Reason", "Repeats", "Epochs of each", "When"]
    caption = f"Decisions of {row.proposer}" + (f", the last {MOST} of {MOST + row.hidden}" if row.hidden else "")
    return commands + table(columns, row.decisions, caption, "cards")


def without_folders(command: str) -> str:
    """A command whose absolute paths are cut to their last part: `--data …/labels.csv`."""
    try:
        words = shlex.split(command)
    except ValueError:  # whoever wrote it: what cannot be read is not told
        return command.partition(" ")[0] + " …"
    return " ".join(_typed(_ABSOLUTE.sub(r"\1…/\2", word)) for word in words)


def _typed(word: str) -> str:
    """In quotes where a shell needs them."""
    plain = word.replace("…/", "")
    return word if shlex.quote(plain) == plain else shlex.quote(word)


def _about(created: str, who: str = "") -> str:
    return ", ".join(filter(None, (created[:16].replace("T", " "), who)))
