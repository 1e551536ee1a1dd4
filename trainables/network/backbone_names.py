"""Names of image classifiers as timm and torchvision have them."""

from __future__ import annotations

import difflib
from typing import Any, cast

from orchestrator.store.errors import InputError


def resolve_name(name: str) -> str:
    """The full name of a backbone: `timm:resnet18.a1_in1k`, `torchvision:squeezenet1_1`.

    A bare name goes to timm where timm has it, else to torchvision; a timm name without a tag gets the library's
    default one, where there is any. Nothing is downloaded. Raises InputError with the nearest names for an unknown one.
    """
    library, _, bare = name.rpartition(":")
    if library in ("", "timm"):
        found = _timm_name(bare)
        if found:
            return f"timm:{found}"
    if library in ("", "torchvision") and bare in _torchvision_names():
        return f"torchvision:{bare}"
    if library not in ("", "timm", "torchvision"):
        raise InputError(
            f"backbone {name[:80]!r}: expected timm:NAME or torchvision:NAME, found {library[:40]!r} before the colon",
            f"Try {bare[:80]!r}, or a file of weights with --weights FILE",
        )
    known = [] if library == "torchvision" else _timm_names()
    known += [] if library == "timm" else _torchvision_names()
    near = difflib.get_close_matches(bare, sorted(set(known)), n=4, cutoff=0.5)
    where = library or "timm and torchvision"
    raise InputError(
        f"backbone {name[:80]!r}: expected the name of an image classifier, found none such in {where}",
        f"Nearest names: {', '.join(near)}" if near else "timm.list_models() lists the names",
    )


def timm_config(bare: str) -> Any:
    """What timm says of the weights of `architecture.tag`."""
    import timm

    return timm.get_pretrained_cfg(bare)


def _timm_names() -> list[str]:
    import timm

    return timm.list_models()


def _timm_name(bare: str) -> str | None:
    """`architecture.tag` as timm has it, the default tag where none is given; none for an unknown name."""
    import timm

    architecture, _, tag = bare.partition(".")
    if not timm.is_model(architecture):
        return None
    tags = timm.list_pretrained(f"{architecture}.*")
    if not tag:
        default = timm_config(architecture).tag
        return f"{architecture}.{default}" if default and f"{architecture}.{default}" in tags else architecture
    if bare in tags:
        return bare
    raise InputError(
        f"backbone {bare[:80]!r}: expected a tag of weights that timm has for {architecture}, found {tag[:60]!r}",
        f"It has: {', '.join(name.partition('.')[2] for name in tags) or 'none'}",
    )


def _torchvision_names() -> list[str]:
    import torchvision

    return cast(list[str], torchvision.models.list_models(module=torchvision.models))
