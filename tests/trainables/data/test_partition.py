"""Groups are never divided, every image has a split, and a bad input is told in full."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.store.errors import DamagedRecordError, InputError
from tests.support.checkout import SHARED
from trainables.data.partition import SPLITS, Partition, describe, splits
from trainables.data.partitioning import Policy, make_partition

DATA = SHARED / "data"
FAMILIES = [162, 151, 98, 60, 39, 29, 7, 7, 6, 5, 5, 3, 3, 3, 3, 1]


def _manifest(sizes: dict[str, list[int]], side: int = 250) -> pd.DataFrame:
    """One group per number, with that many square images of its class."""
    rows = [
        (f"{label}/{group:02}/{image:03}.png", label, f"{label}{group:02}")
        for label, groups in sizes.items()
        for group, images in enumerate(groups)
        for image in range(images)
    ]
    return _framed(rows, side)


def _framed(rows: list[tuple[str, str, str]], side: int = 250) -> pd.DataFrame:
    manifest = pd.DataFrame(rows, columns=["file", "label", "group"]).sort_values("file", ignore_index=True)
    return manifest.assign(split="", width=side, height=side, content=[f"{i:064x}" for i in range(len(manifest))])


def _mixed() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for group in range(40):
        for label, mean in (("RBC", 4), ("WBC", 1), ("Platelets", 1)):
            rows += [(f"{group:02}/{label}{i}.png", label, f"{group:02}") for i in range(rng.poisson(mean))]
    return _framed(rows)


def test_ifp_by_pixels_gives_the_worked_example() -> None:
    manifest = _manifest({"D": FAMILIES})
    partition = make_partition(manifest, "ifp")
    table = describe(manifest, partition).set_index("split")
    assert table["images"].tolist() == [420, 82, 80]
    assert table["groups"].tolist() == [6, 5, 5]
    assert table["pixels"].tolist() == [420 * 62500, 82 * 62500, 80 * 62500]
    found = partition.details["classes"]["D"]
    assert found["groups"] == [6, 5, 5]
    assert found["epsilon"] == 0
    assert found["distance"] == pytest.approx((found["proportion"] + found["diversity"]) / 2)


def test_psp_by_pixels_gives_the_worked_example() -> None:
    manifest = _manifest({"D": FAMILIES, "PD": FAMILIES})
    table = describe(manifest, make_partition(manifest, "psp"))
    assert table["groups"].tolist() == [3, 2, 11] * 2
    assert table["label"].tolist() == ["D"] * 3 + ["PD"] * 3


def test_the_filling_policies_weigh_pixels_not_images() -> None:
    manifest = _manifest({"D": [4] * 8})
    wide = manifest.assign(width=np.where(manifest["group"] == "D05", 2500, 250))
    found = make_partition(wide, "ifpo")
    assert found.groups["D05"] == "train"
    assert found.groups != make_partition(manifest, "ifpo").groups


@pytest.mark.parametrize("policy", ["stratified", "ifpo", "psp", "ifp"])
def test_row_order_plays_no_part(policy: Policy) -> None:
    for manifest in (_manifest({"a": FAMILIES, "b": [9, 8, 7, 3, 2, 2, 1, 1]}), _mixed()):
        shuffled = manifest.sample(frac=1, random_state=1)
        first, second = make_partition(manifest, policy, seed=2), make_partition(shuffled, policy, seed=2)
        assert first == second
        assert first.id == second.id
        named = splits(shuffled, first)
        assert named.index.equals(shuffled.index)
        assert named.sort_index().tolist() == splits(manifest, first).tolist()


def test_stratified_brings_every_class_of_mixed_groups_near_its_targets() -> None:
    manifest = _mixed()
    partition = make_partition(manifest, "stratified")
    for found in partition.details["classes"].values():
        np.testing.assert_allclose(found["shares"], [0.70, 0.15, 0.15], atol=0.03)
        assert min(found["groups"]) >= 1


@pytest.mark.parametrize("policy", ["psp", "ifp", "ifpo"])
def test_the_filling_policies_take_mixed_groups_whole(policy: Policy) -> None:
    manifest = _mixed()
    even = make_partition(manifest, policy)
    proportional = make_partition(manifest, policy, weights=(1.0, 0.0))
    assert splits(manifest, even).groupby(manifest["group"]).nunique().eq(1).all()
    for label in ("RBC", "WBC", "Platelets"):
        a, b = even.details["classes"][label], proportional.details["classes"][label]
        assert b["proportion"] < a["proportion"] < 0.3
        assert a["diversity"] < b["diversity"]
        assert "mu" not in a


def test_seeds_give_other_stratified_partitions_of_the_same_quality() -> None:
    manifest = _mixed()
    partitions = [make_partition(manifest, "stratified", seed=seed) for seed in range(4)]
    assert len({partition.id for partition in partitions}) > 1
    assert [partition.seed for partition in partitions] == [0, 1, 2, 3]


def test_a_fixed_test_split_stays_and_the_rest_is_divided() -> None:
    manifest = _mixed()
    test = frozenset(f"{group:02}" for group in range(6))
    partition = make_partition(manifest, "stratified", fixed_test=test)
    assert {group for group, split in partition.groups.items() if split == "test"} == test
    for found in partition.details["classes"].values():
        train, valid, _ = found["shares"]
        assert train / (train + valid) == pytest.approx(0.70 / 0.85, abs=0.04)
    with pytest.raises(InputError, match="1 group \\('nobody'\\) not in the data"):
        make_partition(manifest, "stratified", fixed_test=frozenset(["nobody"]))
    with pytest.raises(InputError, match="needs the policy stratified"):
        make_partition(manifest, "ifpo", fixed_test=test)


@pytest.mark.parametrize("policy", ["stratified", "psp", "ifp", "ifpo"])
def test_all_classes_with_too_few_groups_are_told_at_once(policy: Policy) -> None:
    manifest = _manifest({"fine": [3, 3, 3, 3], "one": [5], "two": [2, 9]})
    with pytest.raises(InputError) as caught:
        make_partition(manifest, policy)
    text = str(caught.value)
    assert "class 'one' has 1 group ('one00'), expected at least 3" in text
    assert "class 'two' has 2 groups ('two00', 'two01'), expected at least 3" in text
    assert "'fine'" not in text
    for way_out in ("Merge", "add images of more groups", "split column", "--group-by"):
        assert way_out in text


def test_a_policy_that_leaves_a_class_out_of_a_split_says_so() -> None:
    with pytest.raises(InputError, match="class 'D' gets no group in valid and test") as caught:
        make_partition(_manifest({"D": [7] * 6}), "ifp")
    assert "ifpo" in caught.value.advice


def test_mixed_groups_that_cannot_be_divided_are_refused() -> None:
    held = {"g1": "abc", "g2": "abd", "g3": "acd", "g4": "bcd"}
    rows = [(f"{group}{label}.png", label, group) for group, labels in held.items() for label in labels]
    with pytest.raises(InputError, match="cannot have a whole group in each split"):
        make_partition(_framed(rows), "stratified")


def _given(names: dict[str, str]) -> pd.DataFrame:
    manifest = _manifest({"a": [2, 2, 2], "b": [2, 2, 2]})
    return manifest.assign(split=manifest["group"].map(names).fillna("train"))


def test_a_given_partition_is_honoured() -> None:
    manifest = _given({"a01": "valid", "b01": "valid", "a02": "test", "b02": "test"})
    partition = make_partition(manifest, "given")
    assert splits(manifest, partition).tolist() == manifest["split"].tolist()
    assert partition.policy == "given"


def test_a_given_partition_may_lack_the_test_split() -> None:
    manifest = _given({"a01": "valid", "b01": "valid"})
    partition = make_partition(manifest, "given")
    assert set(partition.groups.values()) == {"train", "valid"}
    assert describe(manifest, partition).query("split == 'test'")["images"].tolist() == [0, 0]


def test_a_given_group_in_two_splits_is_named_up_to_ten() -> None:
    manifest = _manifest({"a": [2] * 13})
    manifest["split"] = np.where(np.arange(len(manifest)) % 2, "train", "valid")
    with pytest.raises(InputError) as caught:
        make_partition(manifest, "given")
    assert "13 groups (a00 (train, valid), a01 (train, valid)" in caught.value.message
    assert "a09 (train, valid) and 3 more) in more than one split" in caught.value.message
    assert "a10" not in caught.value.message


def test_faults_of_a_given_partition_are_told_together() -> None:
    manifest = _given({"a01": "dev", "a02": "", "b01": "valid"})
    manifest.loc[manifest["group"] == "b02", "split"] = ["train", "test"]
    with pytest.raises(InputError) as caught:
        make_partition(manifest, "given")
    for part in ("2 images ('a/02/000.png', 'a/02/001.png') without a split", "'dev'", "b02 (test, train)"):
        assert part in caught.value.message
    with pytest.raises(InputError, match="class 'a' has no image in valid"):
        make_partition(_given({"b01": "valid"}), "given")


def test_impossible_arguments_are_refused() -> None:
    manifest = _manifest({"a": [2, 2, 2]})
    with pytest.raises(InputError, match="expected one of stratified, psp, ifp, ifpo, given"):
        make_partition(manifest, "random")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"targets .* sum to 1"):
        make_partition(manifest, "stratified", targets=(0.7, 0.2, 0.2))
    with pytest.raises(InputError, match="not both 0"):
        make_partition(manifest, "ifpo", weights=(0.0, 0.0))
    with pytest.raises(InputError, match="no images"):
        make_partition(manifest.iloc[:0], "stratified")


def test_unknown_groups_are_named() -> None:
    partition = make_partition(_manifest({"a": [2, 2, 2]}), "stratified")
    with pytest.raises(InputError, match="does not know 1 group \\('a03'\\)"):
        splits(_manifest({"a": [2, 2, 2, 2]}), partition)


def test_the_file_gives_back_what_was_written_and_is_plain_parquet(tmp_path: Path) -> None:
    partition = make_partition(_manifest({"é <b>": FAMILIES}), "ifpo", seed=7)
    content = partition.to_bytes()
    assert Partition.from_bytes(content) == partition
    assert partition.to_bytes() == content
    json.dumps(partition.details, allow_nan=False)
    (tmp_path / "p.parquet").write_bytes(content)
    frame = pd.read_parquet(tmp_path / "p.parquet")
    assert dict(zip(frame["group"], frame["split"], strict=True)) == partition.groups
    assert list(frame.columns) == ["group", "split"]


def test_the_id_covers_the_mapping_alone() -> None:
    first = Partition({"a": "train", "b": "valid"}, "given")
    assert first.id == Partition({"b": "valid", "a": "train"}, "stratified", 3, {"x": 1}).id
    assert first.id != Partition({"a": "train", "b": "test"}, "given").id
    assert len(first.id) == 12


def test_a_damaged_file_is_found_wherever_it_is_damaged() -> None:
    partition = make_partition(_manifest({"a": FAMILIES}), "stratified")
    content = partition.to_bytes()
    for length in (0, 3, len(content) // 2, len(content) - 1):
        with pytest.raises(DamagedRecordError, match=r"partitions/x\.parquet is not a whole"):
            Partition.from_bytes(content[:length], "partitions/x.parquet")
    for position in range(0, len(content), 41):
        flipped = bytearray(content)
        flipped[position] ^= 0x10
        try:
            assert Partition.from_bytes(bytes(flipped)) == partition  # a byte that carries nothing
        except DamagedRecordError:
            continue


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 6), min_size=2, max_size=2).filter(any), min_size=6, max_size=25),
    st.integers(0, 100),
    st.sampled_from(["stratified", "psp", "ifp", "ifpo"]),
)
def test_a_group_is_never_divided_and_every_image_has_a_split(
    counts: list[list[int]], seed: int, policy: Policy
) -> None:
    counts = [[3, 0]] * 3 + [[0, 3]] * 3 + counts
    rows = [
        (f"{g:02}/{label}{i}.png", label, f"{g:02}")
        for g, held in enumerate(counts)
        for label, number in zip("ab", held, strict=True)
        for i in range(number)
    ]
    manifest = _framed(rows)
    try:
        partition = make_partition(manifest, policy, seed=seed)
    except InputError as error:
        if policy not in ("psp", "ifp") or "gets no group" not in error.message:
            raise
        return
    named = splits(manifest, partition)
    assert len(named) == len(manifest)
    assert named.isin(SPLITS).all()
    assert named.groupby(manifest["group"]).nunique().eq(1).all()
    assert (named.groupby(manifest["label"]).nunique() == 3).all()
    table = describe(manifest, partition)
    assert table["images"].sum() == len(manifest)
    assert len(table) == 6


@pytest.mark.parametrize(("name", "most"), [("bccd_cells", 0.01), ("ana_iif_tiles", 0.37)])
def test_real_data_come_as_near_as_their_groups_allow(name: str, most: float) -> None:
    """Some patterns of the ANA tiles come from three fields, which leaves a third for each split."""
    file = DATA / name / "labels.csv"
    if not file.is_file():
        pytest.skip(f"{file} is not here")
    labels = pd.read_csv(file, dtype=str).rename(columns={"class": "label"})
    partition = make_partition(_framed(labels[["file", "label", "group"]].values.tolist()), "stratified")
    for found in partition.details["classes"].values():
        assert min(found["groups"]) >= 1
        assert abs(found["shares"][0] - 0.70) < most
