"""Images that the training never saw go through the same network: valid images give the logits of the final record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from orchestrator.store.errors import InputError
from tests.support.tiny_study import SIZE, TinyStudy, make_tiny_study
from trainables.bundles.prediction import predict
from trainables.bundles.trained import trained
from trainables.data.views import apply_views

SETTINGS = [
    pytest.param({}, id="head"),
    pytest.param({"non_linearities": 2, "dropout": 0.4}, id="deep head"),
    pytest.param({"unfrozen": 2, "lr": 0.01}, id="unfrozen"),
    pytest.param({"unfrozen": 40, "lr": 0.001}, id="from the pixels"),
    pytest.param({"precision": "bf16"}, id="half precision"),
    pytest.param({"precision": "bf16", "unfrozen": 2, "lr": 0.01}, id="unfrozen, half precision"),
    pytest.param({"unfrozen": 2, "lr": 0.01, "arithmetic": "bf16"}, id="unfrozen, trained in bfloat16"),
    pytest.param({"standardisation": "half"}, id="half and half"),
    pytest.param({"standardisation": "each_split"}, id="each split by its own"),
    pytest.param({"standardisation": "each_split", "unfrozen": 40, "lr": 0.001}, id="each split, from the pixels"),
    pytest.param(
        {"standardisation": "each_split", "augmentation": "flips", "lr": 0.01}, id="each split, changed images"
    ),
    pytest.param({"store_size": SIZE + 4, "crops": 3, "views": 4}, id="crops"),
]


@pytest.fixture
def study(tmp_path: Path) -> TinyStudy:
    return make_tiny_study(tmp_path, ("few", "many", "some"))


@pytest.mark.parametrize("settings", SETTINGS)
def test_valid_images_give_the_logits_of_the_final_record(study: TinyStudy, settings: dict[str, object]) -> None:
    if settings.get("unfrozen") == 40:
        probe = study.bench().facts(study.configuration()).weight_layers
        settings = {**settings, "unfrozen": probe}
    configuration = study.configuration(**settings)
    finals = study.train(configuration, (0, 1), 2)
    bench = study.bench()
    models = trained(bench, study.partition, configuration.id, [0, 1])
    frozen = bench.frozen_ready(configuration, study.partition, finals[0].meta["recipe"]["frontier"])
    valid = frozen.samples.images.iloc[frozen.samples.views[frozen.samples.scoring["valid"], 0]]
    logits = predict(bench, frozen, valid, study.data, [models[r].weights for r in (0, 1)])
    assert logits.shape == (2, len(valid), 1, 3)
    for repeat in (0, 1):
        np.testing.assert_allclose(logits[repeat, :, 0], finals[repeat].logits, rtol=2e-3, atol=2e-3)
    assert np.abs(logits[0] - logits[1]).max() > 1e-3, "two repeats are not one model"


def test_a_view_of_an_image_is_the_image_moved(study: TinyStudy, tmp_path: Path) -> None:
    configuration = study.configuration(unfrozen=1)
    study.train(configuration, (0,), 1)
    bench = study.bench()
    weights = [trained(bench, study.partition, configuration.id, [0])[0].weights]
    frozen = bench.frozen_ready(configuration, study.partition)
    images = frozen.samples.images.head(3)
    square = np.stack([np.asarray(Image.open(study.data / f).convert("RGB"))[2:34] for f in images["file"]])
    moved = apply_views(torch.from_numpy(square).permute(0, 3, 1, 2), torch.tensor([5, 5, 5]), SIZE, 1)
    names = []
    for index, pixels in enumerate(moved.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
        names.append(f"{index}.png")
    from trainables.data.decode import content_hash, read_rgb

    copies = images.assign(file=names, content=[content_hash(read_rgb(tmp_path / n, 10**6)) for n in names])
    by_view = predict(bench, frozen, images, study.data, weights, views=(0, 5))
    by_file = predict(bench, frozen, copies, tmp_path, weights)
    np.testing.assert_allclose(by_view[:, :, 1], by_file[:, :, 0], rtol=1e-5, atol=1e-5)
    assert np.abs(by_view[:, :, 0] - by_view[:, :, 1]).max() > 1e-5


def test_many_images_go_through_in_parts_and_leave_nothing(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = study.configuration()
    study.train(configuration, (0,), 1)
    bench = study.bench()
    weights = [trained(bench, study.partition, configuration.id, [0])[0].weights]
    frozen = bench.frozen_ready(configuration, study.partition)
    whole = predict(bench, frozen, frozen.samples.images, study.data, weights)
    before = sorted(study.cache.rglob("*"))
    monkeypatch.setattr("trainables.bundles.prediction.CHUNK_IMAGES", 7)
    seen: list[tuple[int, int]] = []
    parts = predict(bench, frozen, frozen.samples.images, study.data, weights, progress=lambda *at: seen.append(at))
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
    assert seen[0][0] == 7
    assert seen[-1] == (len(whole[0]), len(whole[0]))
    assert sorted(study.cache.rglob("*")) == before
    assert predict(bench, frozen, frozen.samples.images.head(0), study.data, weights).shape == (1, 0, 1, 3)


def test_a_split_is_standardised_by_all_of_its_images(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many go through at a time; and another split's images give an image other logits."""
    configuration = study.configuration(standardisation="each_split")
    study.train(configuration, (0,), 1)
    bench = study.bench()
    weights = [trained(bench, study.partition, configuration.id, [0])[0].weights]
    frozen = bench.frozen_ready(configuration, study.partition)
    whole = predict(bench, frozen, frozen.samples.images, study.data, weights)
    monkeypatch.setattr("trainables.bundles.prediction.CHUNK_IMAGES", 7)
    parts = predict(bench, frozen, frozen.samples.images, study.data, weights)
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
    few = predict(bench, frozen, frozen.samples.images.head(5), study.data, weights)
    assert np.abs(few - whole[:, :5]).max() > 1e-3
    assert predict(bench, frozen, frozen.samples.images.head(0), study.data, weights).shape == (1, 0, 1, 3)


def test_another_image_under_the_name_is_refused(study: TinyStudy) -> None:
    configuration = study.configuration()
    study.train(configuration, (0,), 1)
    bench = study.bench()
    weights = [trained(bench, study.partition, configuration.id, [0])[0].weights]
    frozen = bench.frozen_ready(configuration, study.partition)
    image = frozen.samples.images.head(1)
    Image.new("RGB", (SIZE, SIZE)).save(study.data / image["file"].iloc[0])
    with pytest.raises(InputError, match="is not the image that the study was made from"):
        predict(bench, frozen, image, study.data, weights)
