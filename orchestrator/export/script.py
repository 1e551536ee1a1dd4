"""The `predict.py` of an exported model: reads images as a study does, and needs numpy, onnxruntime and Pillow alone.

It is the source of `decode.py` and `unread.py` of `trainables/data/`, with a main behind it: what it reads it reads by
the same lines. All that differs from model to model it takes from model.json.
"""

from __future__ import annotations

import inspect

from trainables.data import decode, unread

_IMPORTED = "\nfrom trainables.data.unread import unread_picture\n"

_USAGE = '''"""File, class and the probability of each class: python predict.py IMAGE …

Needs numpy, onnxruntime and Pillow (pip install numpy onnxruntime pillow), model.onnx and model.json. What cannot be
used, or is odd, is told on stderr; the exit status is 1 where an image could not be used.

'''

_MAIN = '''

import json
import sys

import onnxruntime


def main(files: list[str]) -> int:
    """Print a line for each file, tab-separated."""
    folder, failed = Path(__file__).parent, 0
    model = json.loads((folder / "model.json").read_bytes())
    steps = model["preprocessing"]
    intensity = Intensity(**steps["intensity"]) if steps["intensity"] else None
    network = onnxruntime.InferenceSession(folder / "model.onnx")
    for file in files:
        try:
            image = decode(Path(file), MAX_PIXELS, intensity)
        except RefusedImageError as error:
            print(f"{file}: {error.reason}", file=sys.stderr)
            failed = 1
            continue
        for remark in image.remarks:
            print(f"{file}: {remark}", file=sys.stderr)
        square = to_square(image.pixels, steps["store_size"], steps["interpolation"], steps["fit"])
        chances = network.run(["probabilities"], {"pixels": square[None]})[0][0]
        print(file, model["classes"][chances.argmax()], *(f"{chance:.6f}" for chance in chances), sep="\\t")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''


def predict_script() -> str:
    """`python predict.py IMAGE …` prints file, class and probabilities, tab-separated."""
    reading = inspect.getsource(decode).removeprefix('"""').replace(_IMPORTED, "")
    _, _, names = inspect.getsource(unread).partition("from pathlib import Path\n")
    return _USAGE + reading + "\nfrom collections.abc import Sequence\n" + names + _MAIN
