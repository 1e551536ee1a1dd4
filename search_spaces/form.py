"""How a network is built: everything that says so but its weights. What is known without weights is known of a form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Form(NamedTuple):
    """backbone: its name, resolved or as asked. image_size: side of the input in pixels, the network's own by
    default. ends_at, pooling, joined: the settings of these names."""

    backbone: str
    image_size: int | None = None
    ends_at: str = ""
    pooling: str = "own"
    joined: int = 1

    def __str__(self) -> str:
        """`resnet18.tv_in1k up to layer3`: the name without its library, and what is not as the library has it."""
        told = [self.backbone.partition(":")[2]]
        told += [f"up to {self.ends_at}"] if self.ends_at else []
        told += [f"pooling {self.pooling}"] if self.pooling != "own" else []
        told += [f"{self.joined} joined"] if self.joined > 1 else []
        return " ".join(told)

    @property
    def is_plain(self) -> bool:
        """Whether the network is as its library has it."""
        return self[2:] == ("", "own", 1)


def form_of(backbone: str, value: Callable[[str], Any]) -> Form:
    """Of values of settings by path; a size that is left out is None there and the network's own."""
    return Form(
        backbone, value("image.size"), value("network.ends_at"), value("network.pooling"), value("network.joined")
    )
