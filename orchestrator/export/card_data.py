"""What a model card says of the data, and what fills the items of checklists."""

from __future__ import annotations

from orchestrator.export.data_flow import DataFlow
from orchestrator.export.facts import CardFacts
from orchestrator.export.markdown import cell, table
from orchestrator.export.onnx_file import OnnxFile
from orchestrator.results.grouped import images_in
from orchestrator.results.names import counted, thousands
from orchestrator.results.near_duplicates import NONE_FOUND
from orchestrator.results.policies import how_divided
from search_spaces.configuration import Configuration
from trainables.data.partition import SPLITS


def flow_lines(facts: CardFacts) -> list[str]:
    """Files found → refused → used → groups → splits, and a table by class."""
    flow, meaning = facts.flow, facts.study.group_meaning
    if flow is None:
        return ["The manifest of the study cannot be read."]
    lines = [f"* {flow.files:,} image files were found."]
    for kind, count in flow.refused:
        lines.append(f"* {count:,} refused: {cell(kind)}.")
    if not flow.refused:
        lines.append("* None was refused.")
    lines.append(f"* Used: {cell(images_in(flow.images, flow.groups, meaning))}.")
    lines.append(f"* {how_divided(flow.policy, flow.seed)}; each group is in one split only.")
    lines.append(f"* {_alike(flow)}")
    lines += [f"* {cell(note)}" for note in flow.notes]
    by = {(label, split): (groups, images) for label, split, groups, images in flow.rows}
    labels = list(dict.fromkeys(label for label, *_ in flow.rows))
    rows = [[label, *(_counted(*by[label, split]) for split in SPLITS)] for label in labels]
    rows.append(["all", *(_counted(groups, images) for _, groups, images in flow.totals)])
    return [*lines, "", *table(("class", *SPLITS), rows)]


def _alike(flow: DataFlow) -> str:
    if flow.alike is None:
        return "Near-duplicates: the study has not been searched for them."
    there = [(kind, pairs, differs) for kind, pairs, differs in flow.alike if pairs]
    if not there:
        return f"Near-duplicates: {NONE_FOUND[0].lower()}{NONE_FOUND[1:]}"
    told = (
        f"{pairs} {'pair' if pairs == 1 else 'pairs'} {kind}" + (f" ({differs} under two labels)" if differs else "")
        for kind, pairs, differs in there
    )
    return f"Near-duplicates, by a comparison of small copies of the images: {', '.join(told)}."


def _counted(groups: int, images: int) -> str:
    return f"{thousands(images, 'image')} in {thousands(groups, 'group')}" if images else "none"


def said(facts: CardFacts) -> dict[str, str]:
    """What the study says to the items of `orchestrator.export.checklists`, by key."""
    c, flow, evaluation = facts.chosen.member.configuration, facts.flow, facts.evaluation
    totals = (
        ""
        if flow is None
        else ", ".join(
            f"{split} {thousands(images, 'image')} of {thousands(groups, 'group')}"
            for split, groups, images in flow.totals
        )
    )
    refused = (
        ""
        if flow is None
        else f"{flow.files - flow.images:,} of {flow.files:,} files refused as unreadable or contradictory; why "
        f"others were not collected: for the authors"
    )
    tested = "Test scores, with intervals over groups where there are enough of them"
    untested = "Validation scores, optimistic; no test score yet"
    performance = tested if evaluation else untested
    pretrained = "freshly initialised" if c.network.weights.startswith("init:") else "pretrained"
    classes = ", ".join(facts.model.classes)
    by = sorted({part.column for record in (evaluation, *facts.external) if record for part in record.subgroups})
    subgroups = f"Test scores, secondary: by {', '.join(by)}" if by else "no subgroup was scored; for the authors"
    known = {
        "category": f"deep learning: {pretrained} network {facts.model.architecture}; the title: for the authors",
        "title": f"development{' and evaluation' if evaluation else ''}; population, outcome: for the authors",
        "goal": f"development of a classifier of single images into {len(facts.model.classes)} classes",
        "objectives": "development, and evaluation on groups set aside" if evaluation else "development",
        "exclusion": refused,
        "preprocessing": "Model: input; how images were acquired: for the authors",
        "preparation": f"every file was decoded and checked; {refused}" if refused else "",
        "predictors": "the pixels of one image, nothing else",
        "outcome": f"the label given with each image: {classes}; its definition and assessment: for the authors",
        "subsets": "whole image files; whether they were cut from larger ones: for the authors",
        "names": "this card names no image files, groups or people; whether the images do: for the authors",
        "missing": "a search stops at an image without a label and leaves out one that cannot be decoded; nothing is "
        "imputed",
        "partition": f"From files to splits: policy {flow.policy}, {totals}" if flow else "",
        "disjoint": f"the group, {facts.study.group_meaning}; whether that is a patient or a slide: for the authors",
        "model": "Model",
        "software": "when the study was made: "
        + ", ".join(f"{name} {version}" for name, version in facts.study.versions.items()),
        "initial": f"backbone {facts.origin_of_weights or c.network.weights[:19]}; {_initial(facts)}",
        "training": "Training",
        "selection": f"best mean {facts.ranked_by} over all repeats; test scores play no part"
        if facts.chosen.was_selected
        else "named by hand, not by the rule; whether test scores played a part: for the authors",
        "ensemble": "none: a single model"
        + ("; an ensemble of the repeats is a secondary estimate" if evaluation else ""),
        "metrics": (f"{tested}; calibration" if evaluation else "loss, accuracy, balanced accuracy, macro F1")
        + "; why these: for the authors",
        "uncertainty": "standard deviation over repeats"
        + ("; on test images also intervals over groups, or why there are none" if evaluation else "")
        + ("; how certain the choice is: How the configuration was selected" if facts.chosen.selection else ""),
        "robustness": f"{counted(facts.chosen.member.n, 'repeat')}, {repeats_differ(c)}; other settings: "
        f"tables/configurations.csv",
        "internal": "Test scores" if evaluation else f"not of this configuration; {looked(facts.looks)}",
        "external": "Test scores: images from elsewhere" if facts.external else "",
        "flow": f"From files to splits: {totals}" if flow else "",
        "characteristics": "classes by split in From files to splits; demography and disease: for the authors",
        "performance": performance,
        "failures": f"{'Failure modes; ' if facts.mistakes else ''}confusion matrices in "
        f"{'Test scores' if evaluation else 'Validation scores'}; examples: for the authors",
        "limits": "Limits",
        "protocol": "every setting is in tables/configurations.csv; a protocol: for the authors",
        "availability": "model: this folder; software and data: for the authors",
        "code": f"orch {facts.study.versions.get('orch', '')}; code of further analyses: for the authors",
        "size": f"given by the data, not planned: {totals}" if flow else "",
        "methods": "Model; Training; How the configuration was selected",
        "clusters": "groups are the unit of partition and intervals; centres: for the authors",
        "imbalance": f"{balance_said(c)}; balanced accuracy and macro F1 are given as well as accuracy",
        "fairness": subgroups,
        "output": "Model: output",
        "differences": "one dataset, divided by group; classes by split in From files to splits"
        + ("; images from elsewhere: for the authors" if facts.external else ""),
        "numbers": f"{totals}; {counted(facts.summary.totals.configurations, 'configuration')}, "
        f"{counted(facts.summary.totals.done, 'training')}"
        if flow
        else "",
        "specification": "backbone.safetensors, head.safetensors, model.json"
        + (", model.onnx" if isinstance(facts.onnx, OnnxFile) else ""),
        "predictions": "by `orch predict`" + (", or predict.py" if isinstance(facts.onnx, OnnxFile) else ""),
        "updating": "none",
        "usability": "files that cannot be decoded are reported; poor or unsuitable images are not recognised as such",
        "interaction": "users give image files, nothing else; expertise needed: for the authors",
    }
    return {key: cell(text) for key, text in known.items() if text}


def balance_said(c: Configuration) -> str:
    """What was done about classes of unequal size."""
    if c.balance.name == "count":
        return (
            f"method: {c.balance.count} of each class, by undersampling larger classes and by flips and rotations of "
            "smaller ones"
        )
    return "not treated" if c.balance.name == "none" else f"method: {c.balance.name.replace('_', ' ')}"


def repeats_differ(c: Configuration) -> str:
    """In what the repeats of a configuration differ."""
    return "all alike, since the head is fitted" if c.head.is_fitted else "different initial weights and order"


def looked(looks: int) -> str:
    """What became of test images that the model's configuration was not tested on."""
    if not looks:
        return "the test split was not looked at"
    return f"test images were looked at {'once' if looks == 1 else f'{looks} times'}, for other results"


def _initial(facts: CardFacts) -> str:
    c = facts.chosen.member.configuration
    drawn = f"drawn from study seed {c.data.seed} and repeat"
    if c.head.is_fitted:
        return "head fitted, not drawn"
    if c.live.trains_body and c.adaptation.start == "drawn":
        return f"head and unfrozen layers {drawn}"
    return f"head {drawn}"
