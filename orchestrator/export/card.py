"""The model card: what the model is, from which patients and images, how good, how far to be trusted, what it cost."""

from __future__ import annotations

import math

from orchestrator.energy.coverage import coverage
from orchestrator.evaluation.limits import LEAST_GROUPS
from orchestrator.export.card_data import balance_said, flow_lines, repeats_differ, said
from orchestrator.export.card_failures import failure_lines
from orchestrator.export.card_scores import this_repeat_lines, valid_lines
from orchestrator.export.card_tested import test_lines
from orchestrator.export.checklists import CLAIM, TRIPOD, checklist_lines
from orchestrator.export.data_flow import DataFlow
from orchestrator.export.facts import CardFacts
from orchestrator.export.markdown import cell, table
from orchestrator.export.onnx_file import TOLERANCE, OnnxFile
from orchestrator.results.comparing import selected_by
from orchestrator.results.cut_off import any_crops
from orchestrator.results.names import value_text
from orchestrator.results.reference_mode import reference_note
from orchestrator.study.studies import now
from search_spaces.configuration import Configuration, by_path, differing, shown_settings
from search_spaces.live import LAST
from search_spaces.presets import ADAPTATION, NON_LINEARITIES, UNFROZEN, shown_strategy
from search_spaces.settings.optimiser import OPTIMISERS
from trainables.data.decode import FILL
from trainables.data.partition import SPLITS
from trainables.data.reading import Reading, channels_text
from trainables.learning.metrics import is_loss

NO_GROUPS = "images assumed independent"
AS_THEY_ARE = "unchanged"


def model_card(facts: CardFacts) -> str:
    """Markdown. Names of files, groups, people and machines are not in it."""
    parts = [
        [f"# Model card: {cell(facts.study.name)}", "", *_warnings(facts)],
        ["## Model", "", *_what(facts)],
        ["## Intended use", "", *_use(facts)],
        ["## From files to splits", "", *flow_lines(facts)],
        ["## Training", "", *_training(facts)],
        ["## How the configuration was selected", "", *_selection(facts)],
        ["## Validation scores", "", *valid_lines(facts), "", *this_repeat_lines(facts)],
        ["## Test scores", "", *test_lines(facts)],
        ["## Failure modes", "", *failure_lines(facts)],
        ["## Limits", "", *limits(facts)],
        ["## File checks", "", *_checks(facts)],
        ["## Compute and energy", "", *_cost(facts)],
        ["## CLAIM 2024", "", *_items("CLAIM 2024 (Tejani and others, doi 10.1148/ryai.240300)", CLAIM, facts)],
        ["## TRIPOD+AI", "", *_items("TRIPOD+AI (Collins and others, doi 10.1136/bmj-2023-078378)", TRIPOD, facts)],
        ["## Provenance", "", *_origin(facts)],
    ]
    return "\n\n".join("\n".join(part).rstrip() for part in parts) + "\n"


def _items(name: str, items: tuple[tuple[str, str, str], ...], facts: CardFacts) -> list[str]:
    told = "Items are shortened here: submit the published form. Words like Training name sections above."
    return [f"Numbers are those of {name}. {told}", "", *checklist_lines(items, said(facts))]


def _warnings(facts: CardFacts) -> list[str]:
    lines = []
    if facts.study.synthetic:
        lines.append("**Synthetic images: the scores say nothing about real ones.**")
    if facts.study.group_meaning == NO_GROUPS:
        lines.append("**Images assumed independent: it was not stated which come from the same patient or slide.**")
    if facts.evaluation is None:
        lines.append(
            "**Not tested on the test split: this configuration's only test scores are on images from elsewhere.**"
            if facts.external
            else "**Not tested: no test score exists for this model.**"
        )
    return lines


def _what(facts: CardFacts) -> list[str]:
    model, c = facts.model, facts.chosen.member.configuration
    trained = f"the new head and {c.adaptation.said}" if c.live.trains_body else "only the new head"
    rows = [
        ("task", f"{model.task}: assigns one of {len(model.classes)} classes to each image"),
        ("classes", ", ".join(model.classes)),
        ("backbone", f"`{model.backbone}`, weights {facts.origin_of_weights or c.network.weights[:19]}"),
        ("head", ", ".join(layer.words() for layer in model.head)),
        ("trained", f"{trained} ({facts.record.meta.get('trainable_parameters', 0):,} parameters)"),
        ("input", _input(facts)),
        *_left_out(facts),
        ("output", _output(facts)),
        ("repeat", _which(facts)),
    ]
    return table(("", ""), rows)


def _input(facts: CardFacts) -> str:
    p = facts.model.preprocessing
    share = (p.image_size / p.store_size) ** 2
    crop = f", cropped to its centre {p.image_size} ({share:.0%} of its area)" if p.store_size != p.image_size else ""
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (p.mean, p.std))
    inner = "black borders cut off, " if p.borders == "cropped" else ""
    square = _SQUARES[p.fit].format(f"{p.store_size} ({p.interpolation})")
    return (
        f"RGB, {inner}{square}{crop}, scaled to 0–1, normalised by mean {mean}, std {std} per "
        f"channel{_OF.get(p.standardisation, '')}; nothing else{_beside(facts)}{_read(p.reading)}"
    )


def _read(reading: Reading) -> str:
    """What is said of files with more than one picture of 8 bits."""
    said = (
        f"; grey values of more than 8 bits are scaled from {reading.intensity} to 0:255" if reading.intensity else ""
    )
    if reading.page:
        said += f"; of several pages or planes, {_PAGES.get(reading.page, f'number {reading.page}')}"
    if reading.channels:
        said += f"; channels {channels_text(reading.channels)}, inputs without a channel are black"
    return said


_PAGES = {"max": "the maximum of each sample", "mean": "the mean of each sample", "min": "the minimum of each sample"}
_OF = {
    "train": " (of the training split)",
    "each_split": " (of the training split; in the study, each split by its own)",
}
_SQUARES = {
    "crop": "shorter side resized to {}, centre square",
    "pad": f"longer side resized to {{}}, the other padded on both sides with {FILL}",
    "squash": "both sides resized to {}, whatever their ratio",
}


def _left_out(facts: CardFacts) -> list[tuple[str, str]]:
    lost = facts.flow.cut_off if facts.flow is not None else None
    return [("left out", str(lost))] if lost and any_crops([facts.chosen.member.configuration]) else []


def _beside(facts: CardFacts) -> str:
    """How training images are changed besides."""
    c = facts.chosen.member.configuration
    alike = _views(facts) == AS_THEY_ARE and not c.augmentation.from_pixels
    return ", test and training images alike" if alike else "; for further changes to training images see Training"


def _output(facts: CardFacts) -> str:
    classes = facts.model.classes
    if facts.model.task == "binary":
        return f"one logit; its sigmoid is the probability of {classes[1]!r}, predicted above 0.5. Not calibrated."
    return f"{len(classes)} logits; softmax gives probabilities, the largest is predicted. Not calibrated."


def _which(facts: CardFacts) -> str:
    origin, n = facts.model.origin, facts.chosen.member.n
    how = "chosen by its number, not its score, so expect the mean over repeats of it on new images"
    if facts.chosen.repeat_was_named:
        how = "named by whoever exported it, perhaps for its score; expect the mean over repeats of it, not its own"
    return f"repeat {origin['repeat']} of {n} (numbered from 0), at epoch {origin['epoch']}; {how}"


def _use(facts: CardFacts) -> list[str]:
    return [
        "For research: comparing models on images acquired, stained and labelled like those of this study. It is not a "
        "medical device, and the study did not ask whether it improves decisions.",
        "",
        "Not for images from other scanners, stains, magnifications or populations without a test on such images; not "
        "for classes other than those above (it always names one of them); not for a diagnosis from several images of "
        "a group, unless their combined predictions were tested.",
        "",
        "For the authors: the clinical question, the users, what follows from each answer.",
    ]


def _training(facts: CardFacts) -> list[str]:
    c, request = facts.chosen.member.configuration, facts.chosen.member
    rows = [
        ("strategy", f"{shown_strategy(c.strategy)}: {_depth(c)}"),
        *settings_said(c),
        *([("weight decay applies to", _decay(c))] if c.optimiser.weight_decay else []),
        ("epochs", str(facts.record.meta["epochs"])),
        ("selected epoch", f"for each repeat the one where {_rule(facts)}"),
        ("ranked by", f"the mean of {facts.ranked_by} over all repeats, each at that epoch"),
        ("searched", _searched(facts)),
        ("class imbalance", _balance(c)),
        ("views of training images", _views(facts)),
        ("repeats", f"{request.n} of {request.asked}, {repeats_differ(c)}, same partition"),
        ("study seed", str(c.data.seed)),
        ("device", str(facts.record.meta.get("device", ""))),
    ]
    return table(("", ""), rows)


def _depth(c: Configuration) -> str:
    """n, where it says what the head is, and u."""
    added = f"n = {c.head.non_linearities} added non-linear layers, "
    has_n = c.matters(by_path()[NON_LINEARITIES])
    is_last = c.adaptation.name == LAST
    return f"{added if has_n else ''}{f'u = {c.adaptation.unfrozen} unfrozen layers' if is_last else c.adaptation.said}"


def settings_said(c: Configuration) -> list[tuple[str, str]]:
    """Every declared setting that a file gives and that matters here, but those that sentences say."""
    said_else = (
        ADAPTATION,
        UNFROZEN,
        NON_LINEARITIES,
        "selection.metric",
        "selection.rule",
        "balance.name",
        "optimiser.decay_on",
    )
    return [
        (one.setting.label, f"{value_text(c.value(one.path))} {one.setting.unit}".rstrip())
        for one in shown_settings()
        if one.setting.from_file and c.matters(one) and one.path not in said_else
    ]


def _decay(c: Configuration) -> str:
    every = "all trained parameters, including biases and normalisation layers"
    what = every if c.optimiser.decay_on == "all" else "weights only, not biases or normalisation layers"
    return f"{what}; {OPTIMISERS.variants[c.optimiser.name].decay}"


def _balance(c: Configuration) -> str:
    if c.balance.name != "class_weights":
        return balance_said(c)
    return (
        f"{balance_said(c)}: each image's loss is multiplied by N / (K · N of its class); the sum over a batch is "
        "divided by its number of images, not by the sum of their weights"
    )


def _rule(facts: CardFacts) -> str:
    c = facts.chosen.member.configuration
    better = "lowest" if is_loss(c.selection.metric) else "highest"
    metric = c.selection.words
    return f"{metric} ({selected_by([facts.chosen.member])}) is {better}; the earliest on a tie"


def _searched(facts: CardFacts) -> str:
    """Every setting that differs among the study's configurations, with its values where it matters."""
    there = [member.configuration for member in facts.summary.configurations]
    lines = []
    for one in differing(there):
        values = dict.fromkeys(value_text(c.value(one.path)) for c in there if c.matters(one))
        lines.append(f"{one.setting.label} {', '.join(values)}")
    count = len({c.id for c in there})
    return f"{count} configuration{'s' if count > 1 else ''}" + (f": {'; '.join(lines)}" if lines else "")


def _views(facts: CardFacts) -> str:
    c = facts.chosen.member.configuration
    if c.balance.name in ("ngca", "count"):
        return f"flips and 90° rotations, more of them for small classes{_crops(c)}"
    return (AS_THEY_ARE if c.image.views == 1 else f"{c.image.views} of the 8 flips and 90° rotations each") + _crops(c)


def _crops(c: Configuration) -> str:
    return f", {c.image.crops} crops" if c.image.crops > 1 else ""


def _selection(facts: CardFacts) -> list[str]:
    if not facts.chosen.was_selected:
        said_so = "This configuration was named by hand; " + (
            "the selection rule picks another one."
            if facts.chosen.selection
            else "the selection rule picks none yet, since no configuration has finished all its repeats."
        )
        return [said_so, "", *_block(facts.chosen.selection)]
    return _block(facts.chosen.selection)


def _block(text: str) -> list[str]:
    return ["```text", *text.splitlines(), "```"] if text else ["No configuration is ranked yet."]


def limits(facts: CardFacts) -> list[str]:
    """Sentences that follow from this study's own numbers."""
    lines = ["Validation scores are optimistic: they were used to choose the configuration and the epoch."]
    flow = facts.flow
    if said := reference_note([facts.chosen.member.configuration]):
        lines.append(f"Scores of this study are of the {said}.")
    if facts.evaluation is None:
        lines.append(f"This configuration was not tested on the test split (`orch evaluate {facts.study.name}`).")
    elif facts.evaluation.looks > 1:
        lines.append(
            f"The test images were {facts.evaluation.looked_at}; the more looks, the more optimistic the score may be."
        )
    if flow is not None:
        few = _few_groups(flow)
        if few:
            lines.append(
                f"Classes with fewer than {LEAST_GROUPS} groups in valid or test (train/valid/test): {', '.join(few)}. "
                "Scores from so few groups say little about others."
            )
        none = [f"{label} in {split}" for label, split, groups, _ in flow.rows if not groups]
        if flow.alike_across_splits:
            lines.append(
                f"Pairs of near-duplicates that lie in two splits: {flow.alike_across_splits}. Where they are of the "
                "same patient or slide, scores are better than they should be."
            )
        if none:
            lines.append("Not represented: " + ", ".join(none) + ".")
    lines += [
        "Standard deviations over repeats describe retraining on this partition, not other groups.",
        "The exported model gives the network's probabilities as they are; they were not calibrated.",
    ]
    if not facts.external:
        lines.append("All images come from one dataset; this configuration was not tested on images from elsewhere.")
    if facts.leak:
        lines.append(f"Leak experiment (with another model; the test split stayed closed): {facts.leak}")
    if facts.model.origin["precision_of_frozen_part"] == "bf16":
        lines.append("Frozen layers were computed in bfloat16 for training; the exported network computes in float32.")
    if facts.model.origin["arithmetic_of_trained_part"] != "fp32":
        asked = facts.model.origin["arithmetic_of_trained_part"]
        lines.append(
            f"Trained layers of the backbone were computed in {asked} for training and scoring; the exported network "
            "computes in float32. The file checks below show how far its outputs are from those that were scored."
        )
    if facts.model.origin["pretrained_weights"].startswith("init:"):
        begun = facts.chosen.member.configuration.adaptation.start == "drawn"
        told = "was trained from freshly initialised" if begun else "has freshly initialised"
        lines.append(f"The backbone {told} weights, not pretrained ones.")
    if facts.chosen.member.diverged:
        lines.append(f"{facts.chosen.member.diverged} of {facts.chosen.member.n} repeats diverged.")
    return [f"* {cell(line)}" for line in lines]


def _few_groups(flow: DataFlow) -> list[str]:
    """ "ACA 2/1/1" for every class with fewer than LEAST_GROUPS groups among those that scores are of."""
    groups = {(label, split): number for label, split, number, _ in flow.rows}
    labels = dict.fromkeys(label for label, *_ in flow.rows)
    few = [label for label in labels if min(groups[label, split] for split in SPLITS[1:]) < LEAST_GROUPS]
    return [f"{label} {'/'.join(str(groups[label, split]) for split in SPLITS)}" for label in few]


def _checks(facts: CardFacts) -> list[str]:
    agreement = facts.agreement
    lines = [
        f"* The exported network was run on {agreement.images} valid images: {agreement.same:.1%} get the class that "
        f"the search predicted, and logits differ by at most {agreement.largest:.2g} (the search keeps 16 bits).",
        f"* {_same(facts.deviation)}",
    ]
    if isinstance(facts.onnx, OnnxFile):
        lines.append(
            f"* `model.onnx`: opset {facts.onnx.opset}, any batch size; onnxruntime differs from PyTorch by at most "
            f"{facts.onnx.largest:.2g} on {facts.onnx.images} real images (limit {TOLERANCE:g})."
        )
    else:
        lines.append(f"* No `model.onnx`, and no `predict.py`, which runs it: {facts.onnx}.")
    return lines


def _same(deviation: float) -> str:
    """Whether the weights are those of the search, by the logits of valid images that it kept."""
    if deviation == 0:
        return "In the study, these weights give exactly the logits of valid images that the search kept, bit for bit."
    if math.isinf(deviation):
        return (
            "The weights were trained again and did not reproduce the search exactly: another epoch would be selected "
            "now."
        )
    return f"The weights were trained again; logits differ from the search's by at most {deviation:.2g}."


def _cost(facts: CardFacts) -> list[str]:
    cost = facts.cost
    hours = [f"{cost.gpu_hours:.3g} GPU hours"] if cost.gpu_hours else []
    hours += [f"{cost.core_hours:.3g} core hours"] if cost.core_hours else []
    measured = f", of which {cost.measured_kwh:.3g} kWh measured" if cost.measured_kwh else ", from rated power × time"
    trainings = sum(segment.repeats for segment in cost.segments)
    return [
        f"{' and '.join(hours) or 'No hours'} for all {trainings} trainings of the study, {cost.kwh:.3g} kWh"
        f"{measured}, {cost.kg:.3g} kg CO₂e at {cost.intensity.as_text()}. {coverage(cost)}"
    ]


def _origin(facts: CardFacts) -> list[str]:
    origin = facts.model.origin
    versions = ", ".join(f"{name} {version}" for name, version in facts.study.versions.items())
    rows = [
        ("configuration, partition", f"`{origin['configuration']}`, `{origin['partition']}`"),
        ("train and valid images", f"`{facts.study.data_fingerprint[:16]}…`"),
        ("test images", f"`{facts.study.test_fingerprint[:16]}…`"),
        ("pretrained weights", f"`{origin['pretrained_weights'][:23]}…`"),
        ("study created", f"{facts.study.created} with {versions}"),
        ("exported", now()),
    ]
    return table(("", ""), rows)
