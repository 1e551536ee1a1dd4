"""Items of two reporting guidelines that a study can fill, and those that only its authors can.

CLAIM 2024: Tejani and others, Checklist for Artificial Intelligence in Medical Imaging, 2024 update, Radiology:
Artificial Intelligence 6(4):e240300, 44 items. TRIPOD+AI: Collins and others, BMJ 2024;385:e078378, 27 items in 52
parts. Numbers and subjects are those of the published lists; what each asks for is said here in a few words of our own,
so the published form is the one to submit.
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
    ("21", "intended sample size of the test set", "size"),
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
    ("33", "testing on external data", "external"),
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
    ("1", "title: development or evaluation, population, outcome", "title"),
    ("2", "abstract, by its own checklist", ""),
    ("3a", "healthcare context, existing models", ""),
    ("3b", "target population, purpose, users", ""),
    ("3c", "known health inequalities", ""),
    ("4", "objectives: development, evaluation or both", "objectives"),
    ("5a", "sources of data, representativeness", ""),
    ("5b", "dates", ""),
    ("6a", "setting, number and place of centres", ""),
    ("6b", "eligibility", "exclusion"),
    ("6c", "treatments", ""),
    ("7", "preprocessing and checks of quality", "preparation"),
    ("8a", "outcome: definition, when and how assessed", "outcome"),
    ("8b", "who assessed the outcome", ""),
    ("8c", "blinding of that assessment", ""),
    ("9a", "choice of predictors", "predictors"),
    ("9b", "definition of predictors, how measured", "preprocessing"),
    ("9c", "who assessed predictors", ""),
    ("10", "sample size", "size"),
    ("11", "missing data", "missing"),
    ("12a", "how the data were used and divided", "partition"),
    ("12b", "how predictors were handled", "preprocessing"),
    ("12c", "type of model, how built and tuned, internal validation", "methods"),
    ("12d", "differences across clusters: how handled", "clusters"),
    ("12e", "measures of performance, comparison of models", "metrics"),
    ("12f", "updating of the model", "updating"),
    ("12g", "how predictions were computed", "predictions"),
    ("13", "class imbalance", "imbalance"),
    ("14", "fairness", "fairness"),
    ("15", "output of the model, thresholds", "output"),
    ("16", "differences between development and evaluation data", "differences"),
    ("17", "ethical approval, consent", ""),
    ("18a", "funding", ""),
    ("18b", "conflicts of interest", ""),
    ("18c", "protocol", ""),
    ("18d", "registration", ""),
    ("18e", "data sharing", ""),
    ("18f", "code sharing", "code"),
    ("19", "patients and public involved", ""),
    ("20a", "flow of participants, numbers by outcome", "flow"),
    ("20b", "characteristics of participants", "characteristics"),
    ("20c", "evaluation data beside development data", "characteristics"),
    ("21", "numbers in each analysis", "numbers"),
    ("22", "full model, to predict with", "specification"),
    ("23a", "performance with intervals, key subgroups", "performance"),
    ("23b", "performance across clusters", "fairness"),
    ("24", "results of updating", "updating"),
    ("25", "interpretation", ""),
    ("26", "limitations", "limits"),
    ("27a", "poor or missing input in use", "usability"),
    ("27b", "what users must do and know", "interaction"),
    ("27c", "next steps", ""),
)


def checklist_lines(items: tuple[tuple[str, str, str], ...], said: Mapping[str, str]) -> list[str]:
    """A Markdown table: every item, and what the study says or that its authors must."""
    rows = [f"| {number} | {asks} | {said.get(key) or AUTHORS} |" for number, asks, key in items]
    return ["| item | asks for | in this study |", "| --- | --- | --- |", *rows]
