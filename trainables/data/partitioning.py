"""How a partition is made by each policy, and what it needs of the groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from orchestrator.store.errors import Faults, InputError
from trainables.data import filling
from trainables.data.filling import DIVERSITY, TARGETS, WEIGHTS, Triple
from trainables.data.given import ANEW, given_faults, tested_faults
from trainables.data.partition import SPLITS, GroupTable, Partition, counted
from trainables.data.stratified import JointTask, stratify

if TYPE_CHECKING:
    import pandas as pd

Policy = Literal["stratified", "psp", "ifp", "ifpo", "given", "valid_from_train"]
_BY_IMAGES = ("stratified", "given", "valid_from_train")
_METHODS = {"psp": filling.psp, "ifp": filling.ifp, "ifpo": filling.ifpo}


def make_partition(
    manifest: pd.DataFrame,
    policy: Policy,
    *,
    seed: int = 0,
    targets: Triple = TARGETS,
    diversity: Triple = DIVERSITY,
    weights: tuple[float, float] = WEIGHTS,
    fixed_test: frozenset[str] | None = None,
    others: Sequence[Partition] = (),
) -> Partition:
    """Divide the manifest's groups into train, valid and test.

    manifest: columns group and label, split for "given", width and height (pixels) for "psp", "ifp" and "ifpo".
    policy: "stratified" brings the images of every class near `targets`; "psp", "ifp" and "ifpo" divide the pixels of
    each class as in `trainables.data.filling`; "given" takes the manifest's split column; "valid_from_train" its test
    split, perhaps without some classes, and divides the other groups into train and valid as "stratified" does.
    seed: of "stratified"; the others draw nothing, families of equal size go by name.
    targets: shares of train, valid, test; diversity: wanted shares of the number of groups; weights: of the proportion
    part and of the diversity part of the distance ("ifp" and "ifpo").
    fixed_test: groups that are the test split, perhaps none; the others go to train and valid only ("stratified").
    others: partitions that are there already ("stratified"): another than these is made where one is found, and groups
    that were less often in valid are preferred there.

    A group of several classes is assigned whole. Then no class can be filled by itself: "psp", "ifp" and "ifpo" fill
    class by class with every group counted to its largest class, and that is the start of a search by moves and
    exchanges for the least sum over all classes of the same distance. There is then no μ and no ε.

    A given partition needs train and valid, each with every class; it may have no test split, which leaves nothing to
    evaluate on at the end. Everywhere else every class has a group in each split.

    Raises InputError: a class with too few groups (all such classes at once), a class that the policy leaves out of a
    split, a group in two splits of a given partition, impossible targets.
    """
    if policy not in get_args(Policy):
        raise InputError(f"partition policy {policy!r}: expected one of {', '.join(get_args(Policy))}")
    if fixed_test is not None and policy != "stratified":
        raise InputError(f"policy {policy}: a fixed test split needs the policy stratified")
    if not len(manifest):
        raise InputError("the manifest has no images: nothing can be divided", "Check --data.")
    _check_shares(targets, "targets")
    _check_shares(diversity, "diversity")
    if min(weights) < 0 or sum(weights) <= 0:
        raise InputError(f"partition weights {tuple(weights)}: expected two numbers ≥ 0, not both 0")
    table = GroupTable.of(manifest, "images" if policy in _BY_IMAGES else "pixels")
    if policy == "valid_from_train":
        faults = Faults("the given test split")
        faults.extend(tested_faults(manifest))
        faults.raise_if_any("Put each group into one split.")
        fixed_test = frozenset(manifest.loc[manifest["split"] == "test", "group"])
    if policy == "given":
        split = _given(manifest, table)
        return _partition(table, split, policy, seed, targets, diversity, (1.0, 0.0), {})
    if policy in ("stratified", "valid_from_train"):
        split = _stratified(table, seed, targets, fixed_test, others)
        return _partition(table, split, policy, seed, targets, diversity, (1.0, 0.0), {})
    _check_groups(table, 3, "one for each of train, valid and test")
    split, parameters = _filled(table, policy, seed, targets, diversity, weights)
    missing = {label: _missing(table, split, k) for k, label in enumerate(table.labels)}
    faults = Faults(f"partition policy {policy}")
    faults.extend(
        f"class {label!r} gets no group in {' and '.join(names)}" for label, names in missing.items() if names
    )
    faults.raise_if_any("Choose the policy ifpo, which may exceed the targets, or stratified.")
    return _partition(table, split, policy, seed, targets, diversity, weights, parameters)


def _stratified(
    table: GroupTable, seed: int, targets: Triple, fixed_test: frozenset[str] | None, others: Sequence[Partition]
) -> np.ndarray:
    unknown = sorted((fixed_test or frozenset()) - set(table.groups))
    if unknown:
        raise InputError(f"the fixed test split names {counted(unknown, 'group')} not in the data")
    fixed = np.array([2 if group in (fixed_test or ()) else -1 for group in table.groups])
    wanted = np.repeat(np.array(targets)[:, None], len(table.labels), axis=1)
    open_to: tuple[int, ...] = (0, 1, 2)
    if fixed_test is not None:
        open_to = (0, 1)
        held = table.amounts[fixed == 2].sum(axis=0) / table.amounts.sum(axis=0)
        wanted = np.stack([(1 - held) * targets[s] / (targets[0] + targets[1]) for s in open_to] + [held])
        free = GroupTable(table.groups, table.labels, np.where(fixed[:, None] < 0, table.amounts, 0))
        _check_groups(free, 2, "one for each of train and valid, beside the fixed test split")
    else:
        _check_groups(table, 3, "one for each of train, valid and test")
    none = np.zeros_like(wanted)
    taken = np.array(
        [[SPLITS.index(other.groups[group]) for group in table.groups] for other in others], dtype=np.int64
    )
    wear = (taken.reshape(-1, len(table.groups)) == SPLITS.index("valid")).sum(axis=0).astype(float)
    task = JointTask(
        table.groups,
        table.amounts.astype(float),
        wanted,
        none,
        (1.0, 0.0),
        fixed,
        open_to,
        wear,
        frozenset(map(tuple, taken.tolist())),
    )
    split, _, missing = stratify(task, seed)
    _check_found(table, missing)
    return split


def _filled(
    table: GroupTable, policy: str, seed: int, targets: Triple, diversity: Triple, weights: tuple[float, float]
) -> tuple[np.ndarray, dict[str, dict[str, float | None]]]:
    """Split per group by PSP, IFP or IFPO, and μ and ε per class where every group has one class."""
    mixed = bool(((table.amounts > 0).sum(axis=1) > 1).any())
    main = table.amounts.argmax(axis=1)
    split = np.zeros(len(table.groups), dtype=np.int64)
    parameters: dict[str, dict[str, float | None]] = {}
    for k, label in enumerate(table.labels):
        members = np.flatnonzero(main == k)
        if len(members):
            sizes = table.amounts[members].sum(axis=1)
            result = _METHODS[policy](sizes.tolist(), targets, diversity, weights)
            split[members] = result.split
            parameters[label] = {"mu": result.mu, "epsilon": result.epsilon}
    if not mixed:
        return split, parameters
    wanted, spread = (np.repeat(np.array(share)[:, None], len(table.labels), axis=1) for share in (targets, diversity))
    free = np.full(len(table.groups), -1)
    task = JointTask(table.groups, table.amounts.astype(float), wanted, spread, weights, free)
    split, _, missing = stratify(task, seed, start=split.tolist())
    _check_found(table, missing)
    return split, {}


def _given(manifest: pd.DataFrame, table: GroupTable) -> np.ndarray:
    faults = Faults("the given partition")
    names = manifest["split"].to_numpy(dtype=object)
    empty = manifest["file"][names == ""].tolist()
    if empty:
        faults.add(f"{counted(empty, 'image')} without a split")
    wrong = sorted({str(name) for name in names} - {"", *SPLITS})
    if wrong:
        faults.add(f"expected the splits train, valid and test, found {counted(wrong, 'other name')}")
    faults.extend(given_faults(manifest))
    faults.raise_if_any(f"Correct the splits: each group in one, every class in train and valid, {ANEW}")
    split_of = dict(zip(manifest["group"], names, strict=True))
    return np.array([SPLITS.index(split_of[group]) for group in table.groups])


def _missing(table: GroupTable, split: np.ndarray, column: int) -> list[str]:
    held = set(split[table.amounts[:, column] > 0].tolist())
    return [name for s, name in enumerate(SPLITS) if s not in held]


def _check_groups(table: GroupTable, least: int, why: str) -> None:
    faults = Faults("the classes cannot be divided by groups")
    for k, label in enumerate(table.labels):
        members = [table.groups[g] for g in np.flatnonzero(table.amounts[:, k])]
        if len(members) < least:
            has = counted(members, "group") if members else "no group"
            faults.add(f"class {label!r} has {has}, expected at least {least}: {why}")
    faults.raise_if_any(
        "Merge such a class with another or leave it out, add images of more groups, give a split column, "
        "or, if the groups are wrong, say what a group is with --group-by parent|REGEX|none."
    )


def _check_found(table: GroupTable, missing: Sequence[int]) -> None:
    faults = Faults("no partition found")
    faults.extend(f"class {table.labels[k]!r} cannot have a whole group in each split" for k in missing)
    faults.raise_if_any("Its groups hold several classes each: add groups, give a split column or use --group-by.")


def _check_shares(shares: Triple, what: str) -> None:
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise InputError(f"partition {what} {tuple(shares)}: expected three numbers above 0 that sum to 1")


def _partition(
    table: GroupTable,
    split: np.ndarray,
    policy: str,
    seed: int,
    targets: Triple,
    diversity: Triple,
    weights: tuple[float, float],
    parameters: dict[str, dict[str, float | None]],
) -> Partition:
    classes = {}
    for k, label in enumerate(table.labels):
        amounts = [int(table.amounts[split == s, k].sum()) for s in range(3)]
        groups = [int((table.amounts[split == s, k] > 0).sum()) for s in range(3)]
        shares = [amount / sum(amounts) for amount in amounts]
        away = filling.distance(shares, [number / sum(groups) for number in groups], targets, diversity, weights)
        classes[label] = {
            "shares": shares,
            "groups": groups,
            "proportion": away.proportion,
            "diversity": away.diversity,
            "distance": away.total,
            **parameters.get(label, {}),
        }
    unit = "images" if policy in _BY_IMAGES else "pixels"
    wanted = {"targets": list(targets), "diversity_targets": list(diversity), "weights": list(weights)}
    details = {"unit": unit, "classes": classes} if policy == "given" else {"unit": unit, **wanted, "classes": classes}
    groups_of = {group: SPLITS[s] for group, s in zip(table.groups, split.tolist(), strict=True)}
    return Partition(groups_of, policy, seed, details)
