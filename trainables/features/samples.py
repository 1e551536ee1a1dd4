"""Which images, in which views, a configuration trains on and is scored on, for one partition.

The test split is not among them: its rows are dropped here, before anything reads a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from orchestrator.store.errors import InputError
from orchestrator.store.record import short_hash
from search_spaces.configuration import Configuration
from search_spaces.settings.declaration import Touch
from trainables.data.balance import check_count, class_weights, subsample, views_per_image, views_to_count
from trainables.data.views import assign_views

SYMMETRIES = 8


@dataclass(frozen=True)
class Samples:
    """Images and views of one configuration on one partition.

    images: the manifest's train and valid rows, in manifest order; image indices below count in it.
    views: int32 [rows, 2], (image index, view number); view 0 of every image is among them.
    labels: int64 [rows], the class index of each view's image.
    training: int64, rows that are trained on. scoring: per split name, rows that are scored (view 0 of each image; all
    balanced views in "valid_views"). weights: float32 [K] class weights of the loss, or None.
    """

    images: pd.DataFrame
    views: np.ndarray
    labels: np.ndarray
    training: np.ndarray
    scoring: dict[str, np.ndarray]
    weights: np.ndarray | None

    @property
    def rows(self) -> int:
        return len(self.views)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of each row what alone its features are of: the image's content and the view."""
        contents = self.images["content"].tolist()
        return tuple(f"{contents[image]} {view}" for image, view in self.views.tolist())

    @property
    def names_by_split(self) -> tuple[str, ...]:
        """The same, and the split, where images are standardised by their own."""
        is_valid = np.isin(self.views[:, 0], self.views[self.scoring["valid"], 0])
        return tuple(f"{'valid' if of else 'train'} {name}" for of, name in zip(is_valid, self.names, strict=True))

    def shares(self, classes: int) -> np.ndarray:
        """What each class is of the rows that are trained on, float32 [classes]."""
        counts = np.bincount(self.labels[self.training], minlength=classes)
        shares: np.ndarray = (counts / max(1, counts.sum())).astype(np.float32)
        return shares


def samples_key(configuration: Configuration, partition_id: str) -> str:
    """Covers every setting that changes the samples of one study."""
    return short_hash([partition_id, configuration.key(Touch.SAMPLES)])


def collect(manifest: pd.DataFrame, splits: pd.Series[str], configuration: Configuration) -> Samples:
    """Lay out the samples; `splits` is aligned with the manifest. Raises InputError where train or valid is empty."""
    seen = splits.isin(["train", "valid"]).to_numpy()
    images = manifest.loc[seen].reset_index(drop=True)
    split = splits.loc[seen].to_numpy()
    index_of = {name: index for index, name in enumerate(configuration.data.classes)}
    labels = images["label"].map(index_of).to_numpy()
    for name in ("train", "valid"):
        if not (split == name).any():
            raise InputError(f"the {name} split of this partition has no images", "Choose another partition.")
    trained = split == "train"
    if configuration.balance.name == "subsample":
        kept = np.zeros(len(images), dtype=bool)
        rows = np.flatnonzero(trained)
        kept[rows[subsample(images.iloc[rows], configuration.data.seed)]] = True
        trained = kept
    per_image = _views_per_image(images, split, configuration)
    if configuration.balance.name == "count":
        rows = np.flatnonzero(trained)
        check_count(images.iloc[rows]["label"], configuration.balance.count)
        number = views_to_count(images.iloc[rows], configuration.balance.count, configuration.data.seed)
        per_image[rows] = np.maximum(number, 1)
        trained[rows[number == 0]] = False
    views = assign_views(
        images["content"].tolist(), per_image.tolist(), configuration.image.crops, configuration.data.seed
    )
    image, view = views[:, 0], views[:, 1]
    scoring = {name: np.flatnonzero((split[image] == name) & (view == 0)) for name in ("train", "valid")}
    if configuration.balance.score_augmented:
        scoring["valid_views"] = np.flatnonzero(split[image] == "valid")
    weights = None
    if configuration.balance.name == "class_weights":
        counts = images.loc[trained, "label"].value_counts()
        weights = class_weights({name: int(counts.get(name, 0)) for name in configuration.data.classes})
    return Samples(
        images=images,
        views=views,
        labels=labels[image].astype(np.int64),
        training=np.flatnonzero(trained[image]),
        scoring=scoring,
        weights=None if weights is None else np.asarray(weights, dtype=np.float32),
    )


def _views_per_image(images: pd.DataFrame, split: np.ndarray, configuration: Configuration) -> np.ndarray:
    """How many views each image has, int64 [images]: as balance says in train, one in valid unless it is scored so."""
    per_image = np.ones(len(images), dtype=np.int64)
    for name in ("train", "valid"):
        if name == "valid" and not configuration.balance.score_augmented:
            continue
        rows = split == name
        if configuration.balance.name == "ngca":
            counts = images.loc[rows, "label"].value_counts()
            views = views_per_image({str(label): int(count) for label, count in counts.items()}, SYMMETRIES - 1)
            per_image[rows] = images.loc[rows, "label"].map(views).to_numpy()
        else:
            per_image[rows] = configuration.image.views
    return per_image
