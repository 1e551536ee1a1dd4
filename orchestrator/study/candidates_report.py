"""What `orch data candidates` says: per class the partitions that iterative filling chooses from."""

from __future__ import annotations

import json

from orchestrator.results.names import counted
from orchestrator.results.partition_maps import FILLED, candidate_data, why_no_map
from orchestrator.results.report import Report, columns
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.study.studies import Study
from trainables.data.manifest import read_manifest
from trainables.data.partition import Partition

SHOWN = 5
_SPLITS = ("train", "valid", "test")


def candidates_report(study: Study, partition: str | None, every: bool) -> Report:
    """Nearest first, the chosen one marked. Raises InputError: no such partition, or groups of several classes."""
    name = partition or study.record.partition
    there = [file.removesuffix(".parquet") for file in study.storage.list(layout.PARTITIONS)]
    if name not in there:
        raise InputError(f"study {study.name!r} has no partition {name!r}", f"Partitions: {', '.join(sorted(there))}")
    path = layout.partition(name)
    known = Partition.from_bytes(study.storage.read(path), path)
    made = {"policy": known.policy, "details": known.details}
    images = read_manifest(study.storage.read(layout.MANIFEST))
    candidates = candidate_data(images, made)
    if candidates.empty:
        raise InputError(
            f"partition {name} of study {study.name!r}: groups hold several classes, expected one class in each",
            "Iterative filling divides class by class; such groups are divided by moves, see docs/data.md.",
        )
    lines = [f"{study.name}, partition {name}, policy {known.policy}: partitions over μ and ε"]
    if known.policy not in FILLED:
        lines.append(f"{why_no_map(made)} These are what IFPO would have chosen from.")
    for label, part in candidates.groupby("class", sort=True):
        order = part.sort_values(["distance", "epsilon_from", "train_share"], ascending=[True, True, False])
        shown = order if every else order.head(SHOWN)
        taken = order[order["is_chosen"] & ~order.index.isin(shown.index)]
        rows = [("D", "train / valid / test", "groups", "μ up to", "ε from", "")]
        for one in [*shown.to_dict("records"), *taken.to_dict("records")]:
            shares = " / ".join(f"{one[f'{split}_share']:.1%}" for split in _SPLITS)
            groups = " / ".join(str(one[f"{split}_groups"]) for split in _SPLITS)
            mark = "chosen" if one["is_chosen"] else ""
            point = f"{one['mu_to']:.3g}", f"{one['epsilon_from']:.3g}"
            rows.append((f"{one['distance']:.3f}", shares, groups, *point, mark))
        more = f", {len(part) - len(shown)} more (--every)" if len(shown) < len(part) else ""
        lines += [
            "",
            f"{label}: {counted(len(part), 'candidate')}{more}",
            *columns(rows, (True, True, True, True, True, False)),
        ]
    data = {
        "study": study.name,
        "synthetic": study.record.synthetic,
        "partition": name,
        "policy": known.policy,
        "candidates": json.loads(candidates.to_json(orient="records")),
    }
    return Report(tuple(lines), data)
