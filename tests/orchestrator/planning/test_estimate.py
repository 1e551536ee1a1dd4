"""What `orch plan` says: counts, sizes and frontiers agree with the product's own, and nothing is written."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from orchestrator.planning import costs, precision_notes
from orchestrator.planning.companions import companions
from orchestrator.planning.costs import BackboneCosts
from orchestrator.planning.estimate import Estimate, estimate
from orchestrator.planning.estimate_text import estimate_text
from orchestrator.planning.rates import between, head_rate
from orchestrator.proposing.deciding import Deciding, Divide, Machine
from orchestrator.resolved import Search
from orchestrator.results.amounts import duration
from orchestrator.results.decided import Decided
from orchestrator.results.names import counted
from orchestrator.results.news import NewsReader
from orchestrator.running.progress import Display
from orchestrator.search import SearchOptions, resolve_search
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import RepeatState
from orchestrator.store.segments import Segment
from orchestrator.study.asked import Given
from orchestrator.study.preparation import DataRequest
from search_spaces.changes import Changes
from tests.support.configurations import asked, changed, configured
from tests.support.handing_out import as_wanted
from trainables.bundles.memory import INPUT_COPIES, UNUSED_PASSES
from trainables.bundles.stacks import divide_into_stacks
from trainables.data.options import DatasetOptions
from trainables.features.frozen import FrozenParts
from trainables.network.division import FEATURES, PIXELS

BACKBONE = "timm:test_resnet.r160_in1k"
REPEATS, EPOCHS = 3, 4


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests run beside this one as it is."""
    monkeypatch.setattr("orchestrator.planning.estimate.companions", lambda _: nullcontext())


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two classes of twelve images in six groups; some of them in the test split."""
    for index, label in enumerate("ab"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(12):
            pixels = np.random.default_rng(100 * index + number).integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / label / f"g{number // 2}_{number}.png")
    return tmp_path / "data"


def searched(
    images: Path,
    *,
    writes: bool = False,
    epochs: int = EPOCHS,
    changes: Changes | None = None,
    backbone: str = BACKBONE,
    partitions: int | None = None,
    **settings: Any,
) -> Search:
    """A search over n = 0, 1 and u = 2, with two batch sizes; or by other changes."""
    changes = changes or asked(
        strategies=("straightforward", "extension", "unfreezing"),
        non_linearities=(1,),
        unfrozen=(2,),
        lr=(0.01, 0.1),
        batch_size=(4, 8),
        repeats=REPEATS,
        epochs=epochs,
        **settings,
    )
    options = SearchOptions(
        study="mine",
        backbones=(backbone,),
        studies=images.parent / "studies",
        cache=images.parent / "cache",
        data=DataRequest(images, DatasetOptions(group_by=r"(g\d)"), partitions=partitions),
        changes=changes,
        given=Given(weights="none", precision="fp32"),
    )
    return resolve_search(options, Display(), writes=writes)


@pytest.fixture
def search(images: Path) -> Search:
    return searched(images)


@pytest.fixture
def found(search: Search) -> Estimate:
    return estimate(search)


def dividing(search: Search, workers: int) -> Divide:
    bench = search.bench()
    return lambda wanted: divide_into_stacks(bench, wanted, workers)


def test_counts_are_those_of_the_search(search: Search, found: Estimate) -> None:
    assert found.configurations == len(search.asked.configurations) == 12
    assert (found.repeats_asked, found.repeats_done, found.repeats_owed) == (36, 0, 36)
    assert found.epochs_owed == 36 * EPOCHS
    segments = search.segments(Machine(found.cpus, "cpu", dividing(search, found.gpus or found.cpus)))
    assert found.segments_owed == len(segments)
    assert sorted(lane for segment in segments for lane in segment.lanes) == sorted(search.owed_lanes())
    unfrozen = [one for one in segments if search.asked.configurations[one.configurations[0]].adaptation.unfrozen]
    assert len(unfrozen) == 4 * REPEATS, "each repeat in its turn"
    assert len(segments) - len(unfrozen) < 8, "what differs in the learning rate is stacked"
    for name in ("configurations", "repeats_asked", "repeats_owed", "epochs_owed", "study_bytes"):
        assert sum(getattr(depth, name) for depth in found.depths) == getattr(found, name), name


def test_nothing_is_written(search: Search, images: Path) -> None:
    estimate(search)
    assert [path for path in images.parent.rglob("*") if path.is_file() and images not in path.parents] == []
    assert not (images.parent / "studies").exists()


def test_seconds_add_up(found: Estimate) -> None:
    parts = found.start_seconds + found.images_seconds + found.features_seconds + found.training_seconds
    assert found.wall_seconds == pytest.approx(parts)
    assert found.images_seconds > 0
    assert found.features_seconds > 0
    assert sum(depth.training_seconds for depth in found.depths) > 0
    assert all(depth.training_seconds > depth.seconds_per_epoch > 0 for depth in found.depths)
    assert found.shapes_measured == 5
    assert (found.gpu_hours is None) == (not torch.cuda.is_available())


def test_more_epochs_take_proportionally_longer(search: Search, images: Path, found: Estimate) -> None:
    more = estimate(searched(images, epochs=50 * EPOCHS))
    assert more.epochs_owed == 50 * found.epochs_owed
    ratio = sum(depth.training_seconds for depth in more.depths) / sum(depth.training_seconds for depth in found.depths)
    assert 10 < ratio < 120


def test_it_says_that_repeats_may_stop_early(images: Path, found: Estimate) -> None:
    notes = estimate(searched(images, ending=("patience",), **{"ending.patience": (2,)})).notes
    assert [note for note in notes if "may stop early" in note] == [*set(notes) - set(found.notes)]


def test_a_fit_is_one_epoch_however_many_are_asked(images: Path) -> None:
    both = {"strategies": ("extension",), "repeats": REPEATS, "epochs": EPOCHS, "non_linearities": (1,)}
    found = estimate(searched(images, changes=asked(**both, head=("logistic", "halving"), lr=(0.01, 0.1))))
    fitted, stepped = sorted(found.depths, key=lambda depth: depth.non_linearities)
    assert (fitted.configurations, fitted.repeats_owed, fitted.epochs_owed) == (1, REPEATS, REPEATS)
    assert stepped.epochs_owed == stepped.repeats_owed * EPOCHS
    assert fitted.training_seconds > fitted.seconds_per_epoch > 0
    assert fitted.memory_per_trial_bytes > 4 * fitted.feature_bytes
    assert not any("may stop early" in note for note in found.notes)


def test_images_that_change_are_computed_in_each_step(images: Path) -> None:
    several = (("none",), ("flips", "randaugment", "cutmix"))
    asked_for = asked(
        strategies=("straightforward",), repeats=REPEATS, epochs=EPOCHS, augmentation=several, lr=0.1, batch_size=8
    )
    found = estimate(searched(images, changes=asked_for))
    assert sum(depth.configurations for depth in found.depths) == 2
    assert all(depth.seconds_per_epoch > 0 for depth in found.depths)


def test_whole_networks_and_adapters_are_planned(images: Path) -> None:
    asked_for = asked(
        strategies=("finetune", "adapters"),
        adaptation=("scale_and_shift", "bias"),
        repeats=REPEATS,
        epochs=EPOCHS,
        lr=0.01,
        batch_size=8,
    )
    found = estimate(searched(images, changes=asked_for))
    by_name = {(depth.strategy, depth.beside): depth for depth in found.depths}
    assert [*by_name] == [
        ("finetune", "adaptation whole"),
        ("adapters", "adaptation scale_and_shift"),
        ("adapters", "adaptation bias"),
    ]
    assert by_name["finetune", "adaptation whole"].cached_up_to == PIXELS
    assert all(depth.seconds_per_epoch > 0 and depth.memory_per_trial_bytes > 0 for depth in found.depths)


def test_frontier_and_size_are_those_of_the_workbench(images: Path) -> None:
    search = searched(images, writes=True)
    told = {(depth.non_linearities, depth.unfrozen): depth for depth in estimate(search).depths}
    bench = search.bench()
    for c in search.asked.configurations.values():
        frozen = bench.frozen_ready(c, search.study.record.partition)
        depth = told[c.head.non_linearities, c.adaptation.unfrozen]
        assert frozen.features is not None
        assert depth.cached_up_to == frozen.layer
        assert depth.feature_bytes == frozen.features.total_bytes
        assert depth.views == depth.views_to_compute == frozen.samples.rows


def test_what_is_cached_is_not_computed_again(images: Path) -> None:
    search = searched(images, writes=True)
    bench = search.bench()
    for c in search.asked.configurations.values():
        bench.material(c, search.study.record.partition)
    again = estimate(search)
    assert again.images_to_decode == 0
    assert again.cache_bytes == 0
    assert again.images_seconds == again.features_seconds == 0
    assert all(depth.views_to_compute == 0 for depth in again.depths)
    assert "(in the cache)" in estimate_text(again)


def views_to_compute(search: Search) -> list[int]:
    return [depth.views_to_compute for depth in estimate(search).depths]


def test_partitions_and_balances_that_share_rows_are_counted_once(images: Path) -> None:
    """What is said is what is computed: of all partitions together the views that the cache does not have."""
    fixed: dict[str, Any] = {
        "standardisation": "half",
        "views": 2,
        "lr": 0.1,
        "batch_size": 8,
        "repeats": 1,
        "epochs": 2,
    }
    vit = {"backbone": "timm:test_vit.r160_in1k", "writes": True}
    changes = asked(strategies=("straightforward",), **fixed)
    first = searched(images, changes=changes, **vit)
    (c,), own = first.asked.configurations.values(), first.study.record.partition
    rows = first.bench().samples(c, own).rows
    assert views_to_compute(first) == [rows]
    first.bench().material(c, own)
    assert views_to_compute(first) == [0]
    told = views_to_compute(searched(images, changes=changes, partitions=3, **{**vit, "writes": False}))
    several = searched(images, changes=changes, partitions=3, **vit)
    bench, partitions = several.bench(), list(dict.fromkeys(key.partition for key in several.epochs))
    assert len(partitions) == 3
    every = {name for partition in partitions for name in bench.samples(c, partition).names}
    (depth,) = estimate(several).depths
    assert depth.views == len(every)
    assert [depth.views_to_compute] == told == [len(every) - rows]
    assert told != [0]
    assert depth.feature_bytes == len(every) * 4 * depth.values_per_view
    for partition in partitions:
        bench.material(c, partition)
    assert views_to_compute(several) == [0]
    weighted = asked(strategies=("straightforward",), balance=("class_weights", "subsample"), **fixed)
    assert views_to_compute(searched(images, changes=weighted, partitions=3, **vit)) == [0, 0]


def test_pooled_features_are_the_frontier_of_a_head(found: Estimate) -> None:
    head = next(depth for depth in found.depths if not depth.unfrozen)
    assert head.cached_up_to == FEATURES
    assert head.why == "nothing of the backbone is trained"
    deep = next(depth for depth in found.depths if depth.unfrozen)
    assert deep.cached_up_to not in (FEATURES, PIXELS)
    assert deep.why == "all before the first trained layer"
    assert deep.memory_per_trial_bytes > 0


def test_memory_of_a_trained_network_grows_with_its_batch(search: Search) -> None:
    asked = list(search.asked.configurations.values())
    of = BackboneCosts(search, asked, [], torch.device("cpu"))
    every = {"adaptation.unfrozen": of.facts.weight_layers}
    small, large = (
        next(c for c in asked if c.adaptation.unfrozen).with_values({**every, "optimiser.batch_size": batch})
        for batch in (8, 16)
    )
    need = [of.memory_bytes(c, of.frozen(c), 1) for c in (small, large)]
    behind = of.bench.activations(small, PIXELS)
    each = INPUT_COPIES * behind.read + behind.step + UNUSED_PASSES * behind.passing
    assert need[1] - need[0] == 8 * each


def test_without_room_it_says_that_the_whole_network_is_trained(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FrozenParts, "_fits", lambda *_: False)
    told = estimate(search)
    deep = next(depth for depth in told.depths if depth.unfrozen)
    assert deep.cached_up_to == PIXELS
    assert deep.why == "no features fit"
    assert deep.feature_bytes == 0
    assert "the whole network is computed in every step instead, which is slow" in estimate_text(told)


def test_everything_done(images: Path) -> None:
    search = searched(images, writes=True)
    storage = search.study.storage
    for (partition, configuration), epochs in search.epochs.items():
        for repeat, count in epochs.items():
            storage.create(BundleKey.of_repeat(partition, configuration, repeat).final(repeat, count), b"")
    told = estimate(search, reading_s=1.0)
    assert told.is_done
    assert told.repeats_done == told.repeats_asked == 36
    assert told.wall_seconds == pytest.approx(1.0)
    assert told.shapes_measured == 0
    assert estimate_text(told).endswith("Everything asked for is already trained; nothing is left to do.")
    assert told.as_json()["done"] is True


def decided(search: Search) -> list[Segment]:
    """Decide it as a driver does, and give what is trained for it."""
    (name,) = search.searches
    storage = search.study.storage
    deciding = Deciding(storage, Decided.of(storage), name, NewsReader(storage), Machine(1, "cpu", as_wanted))
    decision = deciding.decide()
    assert decision is not None
    return list(decision.segments())


def finish(search: Search, segments: Iterable[Segment]) -> None:
    for segment in segments:
        for lane in segment.lanes:
            search.study.storage.create(segment.final(lane, RepeatState.FINISHED), b"")


def test_a_part_that_is_done_is_not_owed(images: Path) -> None:
    """What was decided stays divided as it was, whichever machine goes on."""
    segments = decided(searched(images, writes=True))
    storage, begun = searched(images).study.storage, segments[0]
    storage.create(begun.final(begun.lanes[0], RepeatState.FINISHED), b"")
    storage.create(f"{begun.attempt(1)}/e3.p0.b9.checkpoint", b"")
    told = estimate(searched(images))
    assert (told.repeats_done, told.repeats_owed) == (1, 35)
    assert told.segments_owed == len(segments) == 12
    # one repeat is finished, two of its segment have a checkpoint after three of four epochs
    assert told.epochs_owed == 33 * EPOCHS + 2


def test_more_epochs_begin_where_repeats_are(images: Path) -> None:
    search = searched(images, writes=True)
    finish(search, decided(search))
    told = estimate(searched(images, epochs=EPOCHS + 5))
    assert (told.repeats_done, told.repeats_owed) == (0, 36)
    assert told.epochs_owed == 36 * 5


def test_states_that_are_kept_are_counted_and_that_some_are_not_is_said(search: Search) -> None:
    none, every = (estimate(search, kept_bytes=kept) for kept in (0.0, 1e9))
    assert none.study_bytes < every.study_bytes
    assert [sum("--keep-gb" in note for note in told.notes) for told in (none, every)] == [1, 0]


def test_what_another_search_finishes_meanwhile_costs_nothing(images: Path) -> None:
    """What is owed is looked up when it is asked, not when the search was resolved."""
    segments = decided(searched(images, writes=True))
    search = searched(images)
    finish(search, segments[:3])
    told = estimate(search)
    assert told.repeats_owed == 36 - 3 * REPEATS
    assert told.epochs_owed == told.repeats_owed * EPOCHS


def test_json_holds_the_same_and_is_plain(found: Estimate) -> None:
    told = json.loads(json.dumps(found.as_json()))
    assert told["repeats_owed"] == found.repeats_owed
    assert told["done"] is False
    assert len(told["depths"]) == 3
    assert told["depths"][0]["backbone"] == BACKBONE


def test_text_says_all_of_it(found: Estimate) -> None:
    text = estimate_text(found)
    assert "12 configurations, 36 repeats, 0 done, 36 to train (144 epochs)" in text
    for depth in ("linear probe:", "MLP head n=1:", "partial fine-tuning u=2:"):
        assert depth in text
    for part in ("cached up to the pooled features", "Disk:", "Time:", "In all about", "trials at a time"):
        assert part in text
    assert estimate_text(dataclasses.replace(found, gpu_hours=1.5)).count("1.50 GPU hours") == 1


def test_the_range_allows_for_what_others_do(search: Search, found: Estimate) -> None:
    least, most = found.wall_seconds_range
    assert (least, most) == pytest.approx((found.wall_seconds / 1.3, found.wall_seconds * 1.3))
    assert "others use this machine" not in estimate_text(found)
    busy = estimate(search, load=3.0 * found.cores)
    workers = busy.concurrent_trials / busy.cores
    assert busy.wall_seconds_range[1] == pytest.approx(busy.wall_seconds * 1.3 * (workers + 3))
    text = estimate_text(busy)
    cores = counted(busy.cores, "core")
    assert f"Load before measuring: {busy.load:.1f} on {cores}; others use this machine" in text
    assert f"about {duration(busy.wall_seconds)}, {duration(busy.wall_seconds_range[0])} to " in text


def test_steps_are_timed_beside_as_many_as_will_run_with_them(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread each, and the other workers' processes are gone afterwards."""
    threads, beside = set(), list[list[psutil.Process]]()

    def timed(*given: Any) -> Any:
        threads.add(torch.get_num_threads())
        beside.append([one for one in psutil.Process().children() if "np.matmul" in " ".join(one.cmdline())])
        return head_rate(*given)

    monkeypatch.setattr("orchestrator.planning.estimate.companions", companions)
    monkeypatch.setattr(costs, "head_rate", timed)
    monkeypatch.setattr("orchestrator.planning.estimate.allocation.cpus", lambda: 3)
    found = estimate(search)
    assert (found.cpus, found.concurrent_trials) == (3, 3)
    assert threads == {1}
    assert {len(several) for several in beside} == {2}
    assert not any(one.is_running() for several in beside for one in several)


def test_a_study_that_does_not_fit_on_the_disk_is_said_so(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    full = shutil._ntuple_diskusage(100, 99, 1)  # type: ignore[attr-defined]
    monkeypatch.setattr("orchestrator.planning.room_notes.shutil.disk_usage", lambda _: full)
    notes = " ".join(estimate(search).notes)
    assert "the study needs" in notes
    assert "choose another place: --studies DIR" in notes


def test_the_other_precision_is_told_where_a_gpu_is_faster_at_it(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_notes, "multiplies_bf16", lambda: True)
    assert [note for note in estimate(search).notes if "--precision bf16" in note] == [precision_notes.FASTER]
    plain, every_step = configured(), configured(augmentation="flips")
    half = changed(plain, precision="bf16")
    told = [([plain], 1.0), ([half], 1.0), ([half, plain], 1.0), ([plain], 0.0), ([every_step], 0.0)]
    assert [len(precision_notes.precision_notes(*one)) for one in told] == [1, 0, 1, 0, 1]
    monkeypatch.setattr(precision_notes, "multiplies_bf16", lambda: False)
    assert precision_notes.precision_notes([plain], 1.0) == []


def test_a_machine_without_tf32_says_so(search: Search) -> None:
    assert precision_notes.NO_TF32 not in estimate(search).notes
    wide, half = (configured(unfrozen=1, arithmetic=one) for one in ("tf32", "bf16"))
    cpu = torch.device("cpu")
    told = [precision_notes.arithmetic_notes(owing, cpu) for owing in ([half, wide], [half], [configured()])]
    assert told == [[precision_notes.NO_TF32], [], []]


@pytest.mark.parametrize(("capability", "faster"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_gpus_multiply_bfloat16_since_ampere(
    capability: tuple[int, int], faster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: capability)
    assert precision_notes.multiplies_bf16() == faster
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert not precision_notes.multiplies_bf16()


def test_rates_are_positive_and_wider_stacks_cost_more(search: Search) -> None:
    c = next(c for c in search.asked.configurations.values() if c.strategy == "extension")
    cpu = torch.device("cpu")
    rates = [head_rate(c, 512, stack, (64, {"train": 64, "valid": 16}), 64, cpu) for stack in ((1, 1), (1, 10))]
    assert all(rate.step_s > 0 and rate.score_s > 0 for rate in rates)
    assert rates[1].checkpoint_bytes > 5 * rates[0].checkpoint_bytes


def test_depths_between_measured_ones_lie_on_lines() -> None:
    assert between(3, {1: 10.0, 5: 20.0}) == 15.0
    assert between(9, {1: 10.0, 5: 20.0}) == 20.0
    heads = [costs.Computed(("head", True), size) for size in (5, 4, 3, 2, 1)]
    bodies = [costs.Computed(("body", False), size) for size in (2, 1)]
    assert costs._spread([*heads, *bodies]) == [*bodies[::-1], *heads[::-2]], "at most three of each kind"
