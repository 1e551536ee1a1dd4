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


def set_words(best_set: ConfidenceSet, members: Sequence[ConfigurationSummary] = ()) -> list[str]:
    """Which may be the best and at which look; then, where they apply, what diverged and what is skewed, and which way
    that puts the rest of the words wrong. members: whose set it is, for what their search did before."""
    diverged = divergence_words(best_set.diverged, best_set.counts)
    if raced(members):
        return [race_words(members), *diverged, *_skewness(best_set)]
    if len(best_set.p) == 1:
        return ["Only one configuration is ranked, so there is nothing to compare.", *diverged]
    among = f", among {among_words(members)}" if any(member.narrowed for member in members) else ""
    return [_members(best_set, among), *diverged, *_skewness(best_set)]


def p_words(p: float) -> str:
    if not math.isfinite(p):
        return "–"
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def standing_words(best_set: ConfidenceSet, row: int) -> str:
    """In the set or out of it, or a dash: not compared."""
    return "in" if row in best_set.members else "–" if row in best_set.uncompared else "out"


def notes(best_set: ConfidenceSet, row: int) -> str:
    """What is to be known of one configuration's repeats; "" where nothing is."""
    tail = {-1: "tail of bad repeats", 1: "tail of good repeats"}.get(int(best_set.tails[row]), "")
    return ", ".join(filter(None, [rate_words(int(best_set.diverged[row]), int(best_set.counts[row])), tail]))


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
        f"{int(diverged.sum()):,} of {counted(int(counts.sum()), 'repeat')} diverged, in "
        f"{counted(int((diverged > 0).sum()), 'configuration')}. Differences, intervals and p are over repeats that "
        "diverged in neither of the two; means count a diverged repeat with its score at epoch 0. A configuration that "
        "diverges therefore looks better in its differences than it is in use: weigh its divergence rate (exact 95 % "
        "interval), too; "
        f"{NO_GUARANTEE}."
    ]


def race_words(members: Sequence[ConfigurationSummary]) -> str:
    """What a race promises of those that it left (`results.narrowed.raced`)."""
    looks, narrowed = raced(members), members[0].narrowed
    at = " and ".join(filter(None, [", ".join(str(one.blocks) for one in looks[:-1]), str(looks[-1].blocks)]))
    promise = "the best of them is excluded in at most 5 % of searches"
    if looks != narrowed:
        who = "a sampler had chosen" if narrowed[0].by == "sampler" else "rungs had ranked"
        promise = f"{who} by the same repeats before, so no error rate is guaranteed"
    return (
        f"May be the best: {among_words(members)} ({looks[0].of - looks[-1].left:,} excluded by looks at {at} blocks; "
        f"{promise})."
    )


def _members(best_set: ConfidenceSet, among: str = "") -> str:
    total, inside = len(best_set.p), len(best_set.members)
    if best_set.look is None:
        first = f" The first look is at {best_set.next.repeats} repeats." if best_set.next else ""
        return (
            f"With {counted(best_set.repeats, 'repeat')} nothing is excluded: all {total:,} may be the best{among}."
            f"{first}"
        )
    look, repeats = best_set.look, best_set.repeats
    where = f"at {look.repeats} of {repeats} repeats" if repeats > look.repeats else f"at {repeats} repeats"
    after = f"the next look is at {best_set.next.repeats}" if best_set.next else "there is no further look"
    said = (
        f"May be the best{among}: {inside:,} of {total:,} cannot be excluded ({100 * (1 - ALPHA):.0f} % confidence set "
        f"{where}, p > {look.level:.3g}; {after})."
    )
    if not best_set.members:
        said = f"Nothing can be said about which is the best {where}."
    if best_set.uncompared:
        which = ", the best mean among them" if best_set.best in best_set.uncompared else ""
        said += (
            f" {len(best_set.uncompared):,} {'more ' if best_set.members else ''}could not be compared{which}: too few "
            "repeats, or too few that did not diverge."
        )
    if best_set.best not in (*best_set.members, *best_set.uncompared):
        said += (
            f" The best mean is itself excluded (p = {p_words(float(best_set.p[best_set.best]))} at "
            f"{best_set.at[best_set.best]} repeats): it leads because of later repeats, or of repeats in which "
            "another diverged."
        )
    return said


def _skewness(best_set: ConfidenceSet) -> list[str]:
    bad, good = int((best_set.tails < 0).sum()), int((best_set.tails > 0).sum())
    said = []
    if bad:
        said.append(
            f"Strongly skewed: {counted(bad, 'configuration')} with a long tail of bad repeats, unlike the others. The "
            "95 % hold for symmetric differences. Such a configuration looks better than it is: it stays in the set "
            "too long, others, even the true best, are excluded too often because of it, and its intervals reach too "
            "high."
        )
    if good:
        said.append(
            f"Strongly skewed: {counted(good, 'configuration')} with a long tail of good repeats, unlike the others. "
            "The 95 % hold for symmetric differences. Such a configuration looks worse than it is: it is excluded too "
            "often, others stay in the set too long, and its intervals do not reach high enough."
        )
    return said
