"""What a model card says of the data, and what fills the items of checklists."""

from __future__ import annotations

from orchestrator.export.facts import CardFacts
from orchestrator.export.markdown import cell, table
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
    lines.append(f"* {flow.images:,} images are used, of {flow.groups:,} groups. A group is: {cell(meaning)}.")
    lines.append(f"* Groups are divided by the policy {flow.policy} (seed {flow.seed}); a group is in one split only.")
    by = {(label, split): (groups, images) for label, split, groups, images in flow.rows}
    labels = list(dict.fromkeys(label for label, *_ in flow.rows))
    rows = [[label, *(_counted(*by[label, split]) for split in SPLITS)] for label in labels]
    rows.append(["all", *(_counted(groups, images) for _, groups, images in flow.totals)])
    return [*lines, "", *table(("class", *SPLITS), rows)]


def _counted(groups: int, images: int) -> str:
    return f"{images:,} images in {groups:,} group{'' if groups == 1 else 's'}" if images else "none"


def said(facts: CardFacts) -> dict[str, str]:
    """What the study says to the items of `orchestrator.export.checklists`, by key."""
    c, flow, evaluation = facts.chosen.member.configuration, facts.flow, facts.evaluation
    totals = (
        ""
        if flow is None
        else ", ".join(f"{split} {images:,} images of {groups:,} groups" for split, groups, images in flow.totals)
    )
    refused = (
        ""
        if flow is None
        else f"{flow.files - flow.images:,} of {flow.files:,} files refused as unreadable or contradictory; why "
        f"others were not collected: for the authors"
    )
    performance = "Validation scores, optimistic; no test score yet"
    if evaluation is not None:
        performance = "Test scores, with intervals over groups where there are enough of them"
    known = {
        "category": f"deep learning, a convolutional or transformer network ({facts.model.architecture}) with "
        f"pre-trained weights",
        "goal": "model creation",
        "exclusion": refused,
        "preprocessing": "What it is: input",
        "predictors": "pixels of one image: What it is, input",
        "subsets": "all images of a file are used; no patches are cut by the study",
        "names": "no names of files, groups or people are in this folder unless it was exported with them",
        "missing": "images without a label or that do not decode are refused; nothing is imputed",
        "partition": f"From files to splits: policy {flow.policy}, {totals}" if flow else "",
        "disjoint": f"the group: {facts.study.group_meaning}",
        "model": "What it is",
        "software": ", ".join(f"{name} {version}" for name, version in facts.study.versions.items()),
        "initial": f"backbone {facts.origin_of_weights or c.weights[:19]}; head drawn from study seed "
        f"{c.study_seed} and repeat",
        "training": "Training",
        "selection": f"best mean {facts.study.selection} over all repeats on the valid split; the test split "
        f"plays no part",
        "ensemble": "none: a single model"
        + ("; an ensemble of the repeats is a secondary estimate" if evaluation else ""),
        "metrics": "loss, accuracy, balanced accuracy, macro F1; precision, recall and F1 by class",
        "uncertainty": "standard deviation over repeats; on test images intervals over groups; confidence set for "
        "the best configuration",
        "robustness": f"{facts.chosen.member.n} repeats with other initial weights and order; other settings: "
        f"tables/configurations.csv",
        "internal": "Test scores" if evaluation else "the test split is set aside and was not looked at",
        "flow": f"From files to splits: {totals}" if flow else "",
        "characteristics": "classes by split in From files to splits; demography: for the authors",
        "performance": performance,
        "failures": "confusion matrix in Validation scores; images that are predicted wrong: for the authors",
        "limits": "Limits",
        "protocol": "every setting is in tables/configurations.csv and model.json; the study's folder holds all "
        "records",
        "availability": "model: this folder; data: for the authors",
        "size": f"given by the data, not planned: {totals}" if flow else "",
        "methods": "Training; How the configuration was selected",
        "imbalance": f"balance: {c.balance}; balanced accuracy and macro F1 beside accuracy",
        "fairness": "by subgroup where `orch evaluate --by COLUMN` was asked for; else for the authors",
        "output": "What it is: output",
        "numbers": f"{totals}; {facts.summary.totals.configurations} configurations, {facts.summary.totals.done} "
        f"trainings"
        if flow
        else "",
        "specification": "backbone.safetensors, head.safetensors, model.json; predict.py needs nothing else",
        "updating": "none",
        "usability": "predict.py takes image files; poor images are not recognised as such",
    }
    return {key: cell(text) for key, text in known.items() if text}
