"""Predictions of test images as Parquet: one row per repeat, image and view."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.evaluation.calibration import probabilities
from orchestrator.store.errors import DamagedRecordError, first_line
from orchestrator.store.parquet import read_parquet
from orchestrator.store.parsing import json_object
from search_spaces.settings.data import TASKS

_KEY = b"orch"


def predictions_bytes(
    look: str,
    images: pd.DataFrame,
    logits: np.ndarray,
    repeats: Sequence[int],
    views: Sequence[int],
    classes: Sequence[str],
) -> bytes:
    """Columns file, content, group, label, repeat, view, predicted, "probability CLASS" (of the softmax, unscaled) and
    "logit" of the positive class or "logit CLASS".

    images: columns file, content, group, label. logits: float32 [repeats, images, views, outputs].
    """
    shape = len(repeats), len(images), len(views)
    repeat, image, view = (axis.ravel() for axis in np.indices(shape))
    chances = probabilities(logits).reshape(-1, len(classes))
    columns: dict[str, object] = {
        name: images[name].to_numpy()[image] for name in ("file", "content", "group", "label")
    }
    columns["repeat"] = np.asarray(repeats, dtype=np.int32)[repeat]
    columns["view"] = np.asarray(views, dtype=np.int32)[view]
    columns["predicted"] = np.asarray(classes, dtype=object)[chances.argmax(axis=1)]
    columns |= {f"probability {name}": chances[:, number] for number, name in enumerate(classes)}
    flat = logits.reshape(-1, logits.shape[-1])
    columns |= {name: flat[:, number] for number, name in enumerate(_logit_names(flat.shape[1], classes))}
    meta = {"look": look, "repeats": list(repeats), "views": list(views), "images": len(images)}
    table = pa.table(columns)
    kept = {**(table.schema.metadata or {}), _KEY: json.dumps(meta).encode()}
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(kept), sink, compression="zstd")
    return sink.getvalue()


def read_predictions(
    content: bytes,
    path: str,
    look: str,
    images: pd.DataFrame,
    repeats: Sequence[int],
    classes: Sequence[str],
    task: str,
) -> tuple[np.ndarray, tuple[int, ...]]:
    """(logits float32 [repeats, images, views, outputs], views); raises DamagedRecordError where they are of others."""
    try:
        names = _logit_names(TASKS.variants[task].outputs(len(classes)), classes)
        table = read_parquet(content, path, {"content": "text", **dict.fromkeys(names, "number")})
        meta = json_object((table.schema.metadata or {}).get(_KEY, b""), path)
        flat = np.stack([table.column(name).to_numpy() for name in names], axis=1)
        views = tuple(int(view) for view in meta["views"])
        logits = flat.reshape(len(repeats), len(images), len(views), len(names))
        order = table.column("content").to_numpy().reshape(logits.shape[:3])[0, :, 0]
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedRecordError(f"{path} does not hold predictions of look {look}: {first_line(error)}") from error
    if meta.get("look") != look or meta.get("repeats") != list(repeats) or order.tolist() != images["content"].tolist():
        raise DamagedRecordError(f"the predictions of look {look} belong to other images or models")
    return logits, views


def _logit_names(outputs: int, classes: Sequence[str]) -> list[str]:
    return ["logit"] if outputs == 1 else [f"logit {name}" for name in classes]
