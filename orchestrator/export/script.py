"""The `predict.py` of an exported model: a few lines that need timm or torchvision, and nothing of this project."""

from __future__ import annotations

from orchestrator.export.model import Model

_SCRIPT = """\
import json, sys, torch, {library}
from pathlib import Path
from PIL import Image, ImageOps
from safetensors.torch import load_file
from torchvision.transforms.functional import normalize, to_tensor

here = Path(__file__).parent
m = json.loads((here / "model.json").read_text())
p = m["preprocessing"]
{backbone}
backbone.load_state_dict(load_file(here / "backbone.safetensors"))
head = torch.nn.Sequential(*[getattr(torch.nn, kind)(*values) for kind, *values in m["layers"]])
head.load_state_dict(load_file(here / "head.safetensors"))
network = torch.nn.Sequential(backbone, head).eval()
for file in sys.argv[1:]:
    image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    square = ImageOps.fit(image, (p["store_size"],) * 2, Image.Resampling[p["interpolation"].upper()])
    logits = network(normalize(to_tensor(square.crop(p["crop"])), p["mean"], p["std"])[None])[0].detach()
    chances = {chances}
    print(file, m["classes"][chances.argmax()], *[f"{{chance:.4f}}" for chance in chances], sep="\\t")
"""
_TIMM = 'backbone = timm.create_model(m["architecture"], num_classes=0, **m["arguments"])'
_TORCHVISION = """\
backbone = torchvision.models.get_model(m["architecture"], weights=None, **m["arguments"])
backbone.set_submodule(m["replaced"], torch.nn.Identity())"""
_BINARY = "torch.cat([1 - logits.sigmoid(), logits.sigmoid()])"
_MULTICLASS = "logits.softmax(0)"


def predict_script(model: Model) -> str:
    """`python predict.py IMAGE …` prints file, class and probabilities, tab-separated."""
    return _SCRIPT.format(
        library=model.library,
        backbone=_TIMM if model.library == "timm" else _TORCHVISION,
        chances=_BINARY if model.task == "binary" else _MULTICLASS,
    )
