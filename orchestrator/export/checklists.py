"""Items of two reporting guidelines that a study can fill, and those that only its authors can.

CLAIM 2024: Tejani and others, Checklist for Artificial Intelligence in Medical Imaging, 2024 update, Radiology:
Artificial Intelligence 6(4). TRIPOD+AI: Collins and others, BMJ 2024;385:e078378. Titles are shortened; the checklists
themselves count.
"""

from __future__ import annotations

from collections.abc import Mapping

AUTHORS = "for the authors"

CLAIM: tuple[tuple[str, str, str], ...] = (
    ("1", "AI methodology named in the title", "category"),
    ("2", "structured abstract", ""),
    ("3", "background, intended use", ""),
    ("4", "aims and hypotheses", ""),
    ("5", "prospective or retrospective", ""),
    ("6", "study goal", "goal"),
    ("7", "data sources", ""),
    ("8", "inclusion and exclusion", "exclusion"),
    ("9", "preprocessing", "preprocessing"),
    ("10", "selection of data subsets", "subsets"),
    ("11", "de-identification", "names"),
    ("12", "missing data", "missing"),
    ("13", "image acquisition", ""),
    ("14", "reference standard", ""),
    ("15", "why this reference standard", ""),
    ("16", "who annotated", ""),
    ("17", "annotation of the test set", ""),
    ("18", "variability between annotators", ""),
    ("19", "assignment to partitions", "partition"),
    ("20", "level at which partitions are disjoint", "disjoint"),
    ("21", "intended sample size", ""),
    ("22", "model", "model"),
    ("23", "software", "software"),
    ("24", "initial parameters", "initial"),
    ("25", "training", "training"),
    ("26", "selection of the final model", "selection"),
    ("27", "ensembles", "ensemble"),
    ("28", "metrics", "metrics"),
    ("29", "significance and uncertainty", "uncertainty"),
    ("30", "robustness, sensitivity", "robustness"),
    ("31", "explainability", ""),
    ("32", "evaluation on internal data", "internal"),
    ("33", "testing on external data", ""),
    ("34", "trial registration", ""),
    ("35", "numbers included and excluded", "flow"),
    ("36", "characteristics in each partition", "characteristics"),
    ("37", "performance with uncertainty", "performance"),
    ("38", "diagnostic performance with precision", "performance"),
    ("39", "failure analysis", "failures"),
    ("40", "limitations", "limits"),
    ("41", "implications for practice", ""),
    ("42", "protocol, further details", "protocol"),
    ("43", "software, model and data available", "availability"),
    ("44", "funding", ""),
)
"""(number, what it asks, key of what the study says)"""

TRIPOD: tuple[tuple[str, str, str], ...] = (
    ("1", "title", "category"),
    ("2", "abstract", ""),
    ("3", "background", ""),
    ("4", "objectives", ""),
    ("5", "data, dates", ""),
    ("6", "participants", "exclusion"),
    ("7", "data preparation", "preprocessing"),
    ("8", "outcome", ""),
    ("9", "predictors", "predictors"),
    ("10", "sample size", "size"),
    ("11", "missing data", "missing"),
    ("12", "analytical methods", "methods"),
    ("13", "class imbalance", "imbalance"),
    ("14", "fairness", "fairness"),
    ("15", "model output", "output"),
    ("16", "training against evaluation data", "partition"),
    ("17", "ethical approval", ""),
    ("18", "open science", "availability"),
    ("19", "patients and public involved", ""),
    ("20", "participants: flow and characteristics", "flow"),
    ("21", "model development: numbers", "numbers"),
    ("22", "full specification of the model", "specification"),
    ("23", "model performance", "performance"),
    ("24", "model updating", "updating"),
    ("25", "interpretation", ""),
    ("26", "limitations", "limits"),
    ("27", "usability in practice", "usability"),
)


def checklist_lines(items: tuple[tuple[str, str, str], ...], said: Mapping[str, str]) -> list[str]:
    """A Markdown table: every item, and what the study says or that its authors must."""
    rows = [f"| {number} | {asks} | {said.get(key) or AUTHORS} |" for number, asks, key in items]
    return ["| item | asks for | in this study |", "| --- | --- | --- |", *rows]
