"""What is said of a confidence set: at which look, who was not compared, and which way tails put it wrong."""

from __future__ import annotations

import numpy as np

from orchestrator.statistics.confidence_set import confidence_set
from orchestrator.statistics.set_words import notes, rate_words, set_words, standing_words


def scores(repeats: int = 8, seed: int = 1) -> np.ndarray:
    """Three configurations; the last is behind by far more than repeats vary."""
    found = np.random.default_rng(seed).normal(size=(3, repeats))
    found[2] -= 20.0
    return found


def test_the_last_look_has_none_after_it() -> None:
    assert set_words(confidence_set(scores(), True)) == [
        "May be the best: 2 of 3 cannot be excluded (95 % confidence set at 8 repeats, p > 0.0117; the next look is at "
        "12)."
    ]
    last = set_words(confidence_set(scores(24), True))[0]
    assert "at 20 of 24 repeats, p > 0.025; there is no further look)" in last
    assert set_words(confidence_set(scores()[:1], True)) == [
        "Only one configuration is ranked, so there is nothing to compare."
    ]


def test_who_could_not_be_compared_is_counted() -> None:
    diverged = np.zeros((3, 8), dtype=bool)
    diverged[1, :4] = True
    found = confidence_set(scores(), True, diverged)
    said = set_words(found)
    assert "May be the best: 1 of 3 cannot be excluded" in said[0]
    assert "1 more could not be compared: too few repeats, or too few that did not diverge." in said[0]
    assert said[1].startswith("4 of 24 repeats diverged, in 1 configuration.")
    assert said[1].endswith("; no guarantee for the mean including diverged repeats.")
    assert [standing_words(found, row) for row in range(3)] == ["in", "–", "out"]
    assert [notes(found, row) for row in range(3)] == ["", "diverged 4 of 8 (16–84 %)", ""]
    assert rate_words(10, 10) == "diverged 10 of 10 (69–100 %)"


def test_where_everything_diverged_nothing_is_said_to_be_the_best() -> None:
    found = confidence_set(scores(), True, np.ones((3, 8), dtype=bool))
    assert set_words(found)[0].startswith(
        "Nothing can be said about which is the best at 8 repeats. 3 could not be compared, the best mean among them:"
    )


def test_a_best_mean_that_is_excluded_is_told() -> None:
    """By later repeats than those of the look."""
    values = scores(11)
    values[2, 8:] += 500.0
    found = confidence_set(values, True)
    assert found.best == 2
    assert (
        "The best mean is itself excluded (p = 0.004 at 8 repeats): it leads because of later repeats"
        in set_words(found)[0]
    )


def test_which_way_a_tail_puts_the_set_wrong() -> None:
    """Former failure: with a tail of bad repeats the true best was kept in 58 to 84 of 100, and nothing was said."""
    values = np.random.default_rng(0).normal(size=(4, 10))
    values[1, 4] = -30.0
    found = confidence_set(values, True)
    (said,) = [line for line in set_words(found) if "skewed" in line]
    assert said.startswith("Strongly skewed: 1 configuration with a long tail of bad repeats, unlike the others.")
    assert "stays in the set too long" in said
    assert "others, even the true best, are excluded too often" in said
    assert notes(found, 1) == "tail of bad repeats"
    better = confidence_set(-values, True)
    (said,) = [line for line in set_words(better) if "skewed" in line]
    assert "it is excluded too often, others stay in the set too long" in said
    assert set_words(confidence_set(values, False))[1] == said, "of a loss, a large value is the bad one"
