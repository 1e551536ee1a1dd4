"""The `predict.py` of an exported model: reads images as a study does, and needs numpy, onnxruntime and Pillow alone.

It is the source of the files of `trainables/data/` that read images, one after the other, with a main behind them: what
it reads it reads by the same lines. All that differs from model to model it takes from model.json.
"""

from __future__ import annotations

import ast
import inspect
from types import ModuleType

from orchestrator.results.reference_mode import NEW_IMAGES
from trainables.data import borders, decode, dicom, pages, pillow_file, reading, shades, unread

PARTS = (unread, reading, shades, pages, dicom, pillow_file, borders, decode)
"""What uses another part stands behind it."""

_USAGE = '''"""Print file, class and the probability of each class: python predict.py IMAGE …

Needs numpy, onnxruntime and Pillow (pip install numpy onnxruntime pillow), pydicom for DICOM images, and model.onnx and
model.json in the same folder. Images that are odd or cannot be used are reported on stderr; the exit status is 1 if an
image could not be used.
"""

from __future__ import annotations
'''

_MAIN = '''

import json
import os
import sys

import onnxruntime


def main(files: list[str]) -> int:
    """Print a line for each file, tab-separated."""
    folder, failed = Path(__file__).parent, 0
    model = json.loads((folder / "model.json").read_bytes())
    steps = model["preprocessing"]
    reading = Reading.parse(steps["reading"])
    if steps["standardisation"] == "each_split":
        print(NEW_IMAGES, file=sys.stderr)
    network = onnxruntime.InferenceSession(folder / "model.onnx")
    for file in files:
        try:
            image = decode(Path(file), MAX_PIXELS, reading)
        except RefusedImageError as error:
            print(f"{file}: {error.reason}", file=sys.stderr)
            failed = 1
            continue
        for remark in image.remarks:
            print(f"{file}: {remark}", file=sys.stderr)
        square = to_square(
            image.pixels, steps["store_size"], steps["interpolation"], steps["fit"], steps["borders"]
        )
        chances = network.run(["probabilities"], {"pixels": square[None]})[0][0]
        print(file, model["classes"][chances.argmax()], *(f"{chance:.6f}" for chance in chances), sep="\\t")
    return failed


if __name__ == "__main__":
    try:
        failed = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # whoever read the output has enough of it; the interpreter must not complain at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        failed = 0
    sys.exit(failed)
'''


def predict_script(description: str = "model.json") -> str:
    """`python predict.py IMAGE …` prints file, class and probabilities, tab-separated.

    description: name of the file with classes and preprocessing.
    """
    text = _USAGE + "".join(map(_carried, PARTS)) + _MAIN.replace("NEW_IMAGES", repr(NEW_IMAGES))
    return text.replace("model.json", description)


def _carried(part: ModuleType) -> str:
    """Its source without what the parts import from each other; its docstring as a text among the lines."""
    source = inspect.getsource(part)
    lines = source.splitlines(keepends=True)
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("trainables", "__future__"):
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return "\n\n" + "".join(lines)
