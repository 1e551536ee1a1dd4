"""What a study keeps of maps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from orchestrator.maps.drawn import deviation_picture, over
from orchestrator.maps.images import Wanted
from orchestrator.maps.record import DRAWN, MapsRecord, read_maps, record_of, write_maps
from orchestrator.maps.redrawn import framed, redrawn
from orchestrator.maps.sanity import Mean, Sanity
from orchestrator.store.storage import LocalStorage
from tests.orchestrator.maps.test_explained import explained
from tests.support.finished_study import FinishedStudy
from trainables.bundles.prediction import squares_of
from trainables.data.decode import MAX_PIXELS, read_rgb
from trainables.features.pixels import ViewReader

NOW = "2026-01-01T00:00:00+00:00"
MAPS = np.random.default_rng(3).random((4, 12, 5, 5), dtype=np.float32)


def recorded(maps: np.ndarray = MAPS, **changes: object) -> MapsRecord:
    return record_of(replace(explained(maps), **changes), Wanted(), NOW)  # type: ignore[arg-type]


def test_what_is_kept_of_a_map_is_it_within_a_255th() -> None:
    record, found = recorded(), explained(MAPS)
    assert found.deviation is not None
    for kept in record.kept:
        np.testing.assert_allclose(record.values(kept.mean), found.mean[kept.image], atol=0.5 / 255 + 1e-6)
        np.testing.assert_allclose(record.values(kept.deviation), found.deviation[kept.image], atol=0.5 / 255 + 1e-6)
    assert {kept.deviation for kept in recorded(MAPS[:1]).kept} == {""}
    assert record.agreement == found.mean_agreement


def test_as_many_of_each_kind_are_kept() -> None:
    """Two of four kinds have more images than others; one image is of two kinds."""
    kinds = [("best",)] * 5 + [("worst", "random")] + [("worst",)] * 5 + [("random",)]
    images = tuple(replace(one, kinds=kind) for one, kind in zip(explained(MAPS).images, kinds, strict=True))
    kept = [one.image for one in recorded(images=images).kept]
    assert kept == [0, 1, 2, 3, 5, 6, 7, 8, 11]
    assert len(kept) == DRAWN


def test_the_last_answer_to_the_same_stands(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    few, other = recorded(MAPS[:, :3]), recorded(method="Occlusion")
    assert few.id == recorded().id != other.id
    for record in (recorded(), other, few):
        write_maps(storage, record)
    assert {record.id: record for record in read_maps(storage)} == {few.id: few, other.id: other}


def test_checks_are_kept_with_what_each_image_has() -> None:
    values = tuple(float(place) for place in range(12))
    mean = Mean(5.5, 1.0, 2.0, values)
    record = recorded(sanity=Sanity(None, mean, mean, mean, mean, (1.0, 0.5), (1.0, 0.75)))
    assert record.sanity is not None
    assert record.sanity.random_network.model_dump() == {"value": 5.5, "low": 1.0, "high": 2.0}
    assert (record.sanity.random_head, record.sanity.curve) == (None, (1.0, 0.5))
    assert [image.random_network for image in record.images] == list(values)
    assert {image.random_head for image in record.images} == {None}


def test_a_map_is_drawn_again_over_what_networks_see(study: FinishedStudy) -> None:
    """The same bits as a reader of the study's squares gives."""
    bench, c = study.tiny.bench(), study.configurations["plain"].with_values({"image.size": 80})
    frozen = bench.frozen_ready(study.configurations["plain"], study.tiny.partition)
    images = frozen.samples.images.head(2)
    views = np.array([(0, 0), (1, 0)], dtype=np.int32)
    record = recorded()
    with squares_of(bench, frozen, images, study.tiny.data) as store:
        plain = ViewReader(store, views, c, frozen.mean, frozen.std, bench.device).plain(np.arange(2))
    seen = plain.mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    for file, pixels in zip(images["file"], seen, strict=True):
        raw = read_rgb(study.tiny.data / file, MAX_PIXELS)
        assert np.array_equal(framed(raw, c), pixels)
        image, mean, deviation = redrawn(raw, c, record, record.kept[0])
        assert (image[0], mean[0], deviation[0]) == ("image", "mean map", "deviation")
        assert np.array_equal(mean[1], over(pixels, record.values(record.kept[0].mean)))
        assert np.array_equal(deviation[1], deviation_picture(record.values(record.kept[0].deviation), 80))
