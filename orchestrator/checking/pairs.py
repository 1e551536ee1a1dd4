"""Pairs of near-duplicates as items: those with equal pixels first, then the most alike."""

from __future__ import annotations

import pandas as pd

from orchestrator.checking.finding import Item
from orchestrator.results.near_duplicates import SYMMETRIES


def pair_items(told: pd.DataFrame) -> tuple[Item, ...]:
    order = told.sort_values(["equal", "similarity", "file", "other"], ascending=[False, False, True, True])
    return tuple(Item(_words(pair), (str(pair["file"]), str(pair["other"]))) for pair in order.to_dict("records"))


def _words(pair: dict[object, object]) -> str:
    """ "a.png (ACA, group 1, train) and b.png (HOM, group 2, test): equal pixels"."""
    sides = []
    for prefix, file in (("", "file"), ("other_", "other")):
        where = [str(pair[f"{prefix}label"])]
        if pair["group"] != pair["other_group"]:
            where.append(f"group {pair[f'{prefix}group']}")
        if pair["split"] != pair["other_split"]:
            where.append(str(pair[f"{prefix}split"]) or "no split")
        sides.append(f"{pair[file]} ({', '.join(where)})")
    symmetry = int(str(pair["symmetry"]))
    turned = f", {SYMMETRIES[symmetry]}" if symmetry else ""
    alike = "equal pixels" if pair["equal"] else f"alike {float(str(pair['similarity'])):.2f}{turned}"
    return f"{sides[0]} and {sides[1]}: {alike}"
