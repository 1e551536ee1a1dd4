"""What `orch ensemble` says: who is in it, what it is worth on images that chose nothing, what it costs."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from orchestrator.ensembles.diversity import of_pairs
from orchestrator.ensembles.record import Ahead, Cost, EnsembleRecord
from orchestrator.ensembles.ways import COMBININGS, WEIGHINGS
from orchestrator.results.grouped import images_in
from orchestrator.results.names import counted
from orchestrator.results.report import Report, columns

LITTLE = 0.0005
"""What is less is no gain: it would not be seen in three digits."""
MOSTLY = 0.75
"""Ahead in a smaller share of the bags is called hardly better: a word, and no test."""
NO_INTERVAL = (
    "There is no interval: bags overlap and are drawn from the same groups, so their spread is not the error of the "
    "mean. The share of bags in which one was ahead is not a p-value either."
)


def ensemble_report(record: EnsembleRecord) -> Report:
    return Report(tuple(_lines(record)), json.loads(record.model_dump_json()) | {"said": verdict(record)})


def list_report(study: str, records: Sequence[EnsembleRecord]) -> Report:
    """One line for each ensemble of a study."""
    data = {"study": study, "ensembles": [json.loads(one.model_dump_json()) for one in records]}
    if not records:
        return Report((f"{study}: no ensembles yet.", f"Next: orch ensemble {study}"), data)
    head = ("id", "created", "members", "models", "target", "out of bag", "best alone", "gain")
    rows = [head, *(_row(one) for one in records)]
    right = (False, False, True, True, False, True, True, True)
    return Report((f"{study}: {counted(len(records), 'ensemble')}.", *columns(rows, right)), data)


def verdict(record: EnsembleRecord) -> str:
    """Whether it pays, in one sentence; in-sample scores have no say."""
    out = record.out_of_bag
    if out is None:
        return f"Without out-of-bag scores ({record.no_out_of_bag}), it is not known to be better than its best member."
    scores = out.scores
    told = f"{record.metric_words} {scores.ensemble:.3f} against {scores.single:.3f} out of bag"
    alone, own = _shown(out.over_single), _shown(out.over_rival)
    if _is_none(gain(record, scores.ensemble, scores.single), out.over_single):
        return f"No better than its best member: {told}, ahead in {alone}. A single model of that member costs less."
    if _is_none(gain(record, scores.ensemble, scores.rival), out.over_rival):
        return (
            f"No better than its best member's own repeats together: {record.metric_words} {scores.ensemble:.3f} "
            f"against {scores.rival:.3f} out of bag, ahead in {own}. Averaging repeats is better than one "
            f"model ({scores.single:.3f}), but other configurations add nothing."
        )
    return (
        f"{_word(out.over_single)} than its best member: {told}, ahead in {alone}. "
        f"{_word(out.over_rival)} than that configuration's own repeats together: {scores.rival:.3f}, ahead in {own}."
    )


def _is_none(away: float, ahead: Ahead) -> bool:
    return not away >= LITTLE or ahead.better <= ahead.worse


def _word(ahead: Ahead) -> str:
    return "Better" if ahead.better >= MOSTLY * (ahead.better + ahead.worse + ahead.same) else "Hardly better"


def gain(record: EnsembleRecord, one: float, other: float) -> float:
    """How much better the first is, larger being better."""
    return other - one if record.is_loss else one - other


def _lines(record: EnsembleRecord) -> list[str]:
    lines = [
        f"{record.study}: ensemble {record.id} from stored validation predictions, "
        f"{images_in(record.images, record.groups, record.group_meaning)}, partition {record.partition}."
    ]
    if record.synthetic:
        lines.append("Synthetic images: the scores say nothing about real ones.")
    lines += [
        f"Members: {record.chosen}; {COMBININGS[record.combine].words}; {WEIGHINGS[record.weigh].words} for "
        f"{record.metric_words}.",
        "",
        *_members(record),
        "",
        *_scores(record),
        "",
        verdict(record),
        *_diversity(record),
        *_cost(record),
        *record.notes,
    ]
    if record.out_of_bag is not None:
        lines.append(NO_INTERVAL)
    return [*lines, f"Next: orch evaluate {record.study} --ensemble {record.id}"]


def _members(record: EnsembleRecord) -> list[str]:
    rows = [("weight", "repeats", "alone", "configuration", "id")]
    rows += [
        (
            f"{member.weight:.2f}" if member.weight else "–",
            str(len(member.repeats)),
            f"{member.alone:.3f}",
            member.name,
            member.configuration,
        )
        for member in record.members
    ]
    return columns(rows, (True, True, True, False, False))


def _scores(record: EnsembleRecord) -> list[str]:
    out = record.out_of_bag
    word = "smaller" if record.is_loss else "larger"
    rival = f"its own repeats together ({counted(record.rival_models, 'model')})"
    rows = [
        (f"{record.metric_words} ({word} is better)", "out of bag", "in-sample"),
        (f"best configuration alone (mean of {counted(record.single_repeats, 'repeat')})", *_pair(record, "single")),
        (rival, *_pair(record, "rival")),
        (f"this ensemble ({counted(record.cost.models, 'model')})", *_pair(record, "ensemble")),
    ]
    lines = columns(rows, (False, True, True))
    lines.append(f"  Best configuration: {record.single_name}  [{record.single}]")
    if record.rival_models < record.cost.models:
        lines.append(
            f"  The study has {counted(record.single_repeats, 'repeat')} of it; with {record.cost.models}, as many as "
            "the ensemble has models, the second line could be better."
        )
    lines.append("  In-sample: on the images used to choose, so optimistic; the more choices there were, the more so.")
    if out is None:
        return [*lines, f"  No out-of-bag scores: {record.no_out_of_bag}."]
    away = gain(record, out.scores.ensemble, out.scores.single)
    return [
        *lines,
        f"  Out of bag: members, weights and the best configuration were chosen again in each of {out.rounds} bags of "
        "groups, and scored on the groups left out.",
        f"  Paired difference to the best configuration: {away:+.3f} (positive is better). {out.chose_single:.0%} of "
        f"the bags chose the same one; {out.models:.1f} models on average.",
    ]


def _diversity(record: EnsembleRecord) -> list[str]:
    if len(record.counting) < 2:
        what = "an ensemble of its own repeats" if record.cost.models > 1 else "that one model"
        return [f"One configuration has all the weight, so this is {what}."]
    differ = of_pairs(np.array(record.disagreement))
    told = (
        f"Diversity: two members disagree on {differ.mean():.1%} of the images ({differ.min():.1%} to "
        f"{differ.max():.1%})"
    )
    alike = of_pairs(np.array(record.correlation, dtype=np.float64))
    if not len(alike):
        return [f"{told}."]
    return [f"{told}; their errors correlate at {alike.mean():.2f} ({alike.min():.2f} to {alike.max():.2f})."]


def _cost(record: EnsembleRecord) -> list[str]:
    own, alone = record.cost, record.single_cost
    told = f"Cost per image: {counted(own.models, 'model')} in {_passes(own)}; one model alone in {_passes(alone)}."
    if own.passes < own.models:
        told += " Heads on the same frozen backbone share its pass."
    if own.hours is not None and alone.hours is not None:
        return [f"{told} Hours for 1,000 images: {own.hours:.3g} instead of {alone.hours:.3g} ({own.device})."]
    return [f"{told} Hours are not known (orch cost {record.study} --measure times passes of frozen backbones)."]


def _passes(cost: Cost) -> str:
    return "1 backbone pass" if cost.passes == 1 else f"{cost.passes} backbone passes"


def _shown(ahead: Ahead) -> str:
    return f"{ahead.better} of {ahead.better + ahead.worse + ahead.same} bags"


def _pair(record: EnsembleRecord, name: str) -> tuple[str, str]:
    """A score out of bag and in-sample."""
    out = record.out_of_bag
    return "–" if out is None else f"{getattr(out.scores, name):.3f}", f"{getattr(record.in_sample, name):.3f}"


def _row(record: EnsembleRecord) -> tuple[str, ...]:
    out = record.out_of_bag
    figures = ("–", "–", "–")
    if out is not None:
        away = gain(record, out.scores.ensemble, out.scores.single)
        figures = (f"{out.scores.ensemble:.3f}", f"{out.scores.single:.3f}", f"{away:+.3f}")
    return (
        record.id,
        record.created[:10],
        str(len(record.counting)),
        str(record.cost.models),
        record.metric_words,
        *figures,
    )
