"""The `predict.py` of an exported model: ten lines that need onnxruntime and Pillow, and nothing of this project."""

from __future__ import annotations

from orchestrator.export.model import Model
from trainables.data.decode import FILL

_SCRIPT = '''\
"""File, class and the probability of each class: python predict.py IMAGE …   (pip install onnxruntime pillow)"""

import sys
from pathlib import Path

import numpy, onnxruntime
from PIL import Image, ImageOps

network = onnxruntime.InferenceSession(Path(__file__).with_name("model.onnx"))
for file in sys.argv[1:]:
    image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    pixels = numpy.asarray({square})
    chances = network.run(["probabilities"], {{"pixels": pixels[None]}})[0][0]
    print(file, {classes}[chances.argmax()], *chances.round(4), sep="\\t")
'''
_SQUARE = {
    "crop": "ImageOps.fit(image, {})",
    "pad": f"ImageOps.pad(image, {{}}, {FILL})",
    "squash": "image.resize({})",
}


def predict_script(model: Model) -> str:
    """`python predict.py IMAGE …` prints file, class and probabilities, tab-separated."""
    steps = model.preprocessing
    how = f"({steps.store_size}, {steps.store_size}), Image.Resampling.{steps.interpolation.upper()}"
    return _SCRIPT.format(square=_SQUARE[steps.fit].format(how), classes=ascii(list(model.classes)))
