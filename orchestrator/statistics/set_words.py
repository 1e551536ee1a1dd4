"""What a confidence set says, in words: the same in `orch best`, `orch compare`, the model card and on the page."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.names import counted
from orchestrator.results.narrowed import among_words, raced
from orchestrator.statistics.confidence_set import ConfidenceSet
from orchestrator.statistics.divergence import NO_GUARANTEE, rate_interval
from orchestrator.statistics.looks import ALPHA


def set_words(found: ConfidenceSet, members: Sequence[ConfigurationSummary] = ()) -> list[str]:
    """Which may be the best and at which look; then, where they apply, what diverged and what is skewed, and which way
    that puts the rest of the words wrong. members: whose set it is, for what their search did before."""
    diverged = divergence_words(found.diverged, found.counts)
    if raced(members):
        return [race_words(members), *diverged, *_skewness(found)]
    if len(found.p) == 1:
        return ["Only one configuration is ranked, so there is nothing to compare.", *diverged]
    among = f", among {among_words(members)}" if any(member.narrowed for member in members) else ""
    return [_members(found, among), *diverged, *_skewness(found)]


def p_words(p: float) -> str:
    if not math.isfinite(p):
        return "–"
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def standing_words(found: ConfidenceSet, row: int) -> str:
    """In the set or out of it, or a dash: not compared."""
    return "in" if row in found.members else "–" if row in found.uncompared else "out"


def notes(found: ConfidenceSet, row: int) -> str:
    """What is to be known of one configuration's repeats; "" where nothing is."""
    tail = {-1: "tail of bad repeats", 1: "tail of good repeats"}.get(int(found.tails[row]), "")
    return ", ".join(filter(None, [rate_words(int(found.diverged[row]), int(found.counts[row])), tail]))


def rate_words(diverged: int, repeats: int) -> str:
    """ "diverged 2 of 10 (3–56 %)", "" where none did."""
    if not diverged:
        return ""
    low, high = rate_interval(diverged, repeats)
    return f"diverged {diverged} of {repeats} ({100 * low:.0f}–{100 * high:.0f} %)"


def divergence_words(diverged: np.ndarray, counts: np.ndarray) -> list[str]:
    """Of configurations with so many repeats each, or nothing where none diverged."""
    if not diverged.any():
        return []
    return [
        f"{int(diverged.sum()):,} of {counted(int(counts.sum()), 'repeat')} diverged, of "
        f"{counted(int((diverged > 0).sum()), 'configuration')}. Differences, intervals and p are over repeats that "
        "diverged in neither of the two; a mean counts a diverged repeat with its score at epoch 0. So a configuration "
        "that diverges looks better in its differences than it is to use: weigh the rate (exact 95 % interval) too; "
        f"{NO_GUARANTEE}."
    ]


def race_words(members: Sequence[ConfigurationSummary]) -> str:
    """What a race promises of those that it left (`results.narrowed.raced`)."""
    looks, narrowed = raced(members), members[0].narrowed
    at = " and ".join(filter(None, [", ".join(str(one.blocks) for one in looks[:-1]), str(looks[-1].blocks)]))
    promise = "the best of them is excluded in 5 % of searches at most"
    if looks != narrowed:
        who = "a sampler had chosen" if narrowed[0].by == "sampler" else "rungs had ranked"
        promise = f"{who} by the same repeats before, so no error rate is promised"
    return (
        f"May be the best: {among_words(members)} ({looks[0].of - looks[-1].left:,} excluded by looks at {at} blocks; "
        f"{promise})."
    )


def _members(found: ConfidenceSet, among: str = "") -> str:
    total, inside = len(found.p), len(found.members)
    if found.look is None:
        first = f" The first look is at {found.next.repeats} repeats." if found.next else ""
        return (
            f"With {counted(found.repeats, 'repeat')} nothing is excluded: all {total:,} may be the best{among}.{first}"
        )
    look, repeats = found.look, found.repeats
    where = f"at {look.repeats} of {repeats} repeats" if repeats > look.repeats else f"at {repeats} repeats"
    after = f"the next look is at {found.next.repeats}" if found.next else "there is no further look"
    said = (
        f"May be the best{among}: {inside:,} of {total:,} cannot be excluded ({100 * (1 - ALPHA):.0f} % confidence set "
        f"{where}, p > {look.level:.3g}; {after})."
    )
    if not found.members:
        said = f"Nothing can be said of which is the best {where}."
    if found.uncompared:
        which = ", the best mean among them" if found.best in found.uncompared else ""
        said += (
            f" {len(found.uncompared):,} {'more ' if found.members else ''}could not be compared{which}: too few "
            "repeats, or too few that did not diverge."
        )
    if found.best not in (*found.members, *found.uncompared):
        said += (
            f" The best mean is itself excluded (p = {p_words(float(found.p[found.best]))} at "
            f"{found.at[found.best]} repeats): it is ahead by later repeats, or by those in which another diverged."
        )
    return said


def _skewness(found: ConfidenceSet) -> list[str]:
    bad, good = int((found.tails < 0).sum()), int((found.tails > 0).sum())
    said = []
    if bad:
        said.append(
            f"Strongly skewed: {counted(bad, 'configuration')} with a long tail of bad repeats beside the others. The "
            "95 % is of symmetric differences. Such a one looks better than it is: it stays in the set too long, and "
            "others, the true best among them, are excluded too often because of it; its intervals reach too high."
        )
    if good:
        said.append(
            f"Strongly skewed: {counted(good, 'configuration')} with a long tail of good repeats beside the others. "
            "The 95 % is of symmetric differences. Such a one looks worse than it is: it is excluded too often, and "
            "others stay in the set too long; its intervals do not reach high enough."
        )
    return said
