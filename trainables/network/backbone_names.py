"""Names of image classifiers as timm, torchvision and our own declarations have them."""

from __future__ import annotations

import difflib
import re
from typing import Any, cast

from orchestrator.store.errors import InputError
from search_spaces.backbones import of_timm
from search_spaces.own_networks import is_own, own_names, whole_own_name


def resolve_name(name: str) -> str:
    """The full name of a backbone: `timm:resnet18.a1_in1k`, `torchvision:squeezenet1_1`.

    A bare name goes to timm where timm has it, else to torchvision; a timm name without a tag gets the library's
    default one, where there is any; a name that timm has given up becomes the new one. Nothing is downloaded. Raises
    InputError with the nearest names for an unknown one. What is declared here is meant by `own:NAME` alone.
    """
    name = of_timm(name)
    if is_own(name):
        return whole_own_name(name)
    library, _, bare = name.rpartition(":")
    if library in ("", "timm"):
        timm_name = _timm_name(bare)
        if timm_name:
            return f"timm:{timm_name}"
    if library in ("", "torchvision") and bare in _torchvision_names():
        return f"torchvision:{bare}"
    if library in ("hf-hub", "hf_hub"):
        raise InputError(
            f"backbone {name[:80]!r}: expected a repository of timm, hf-hub:timm/NAME, found {bare[:80]!r}",
            "Download its file and give it with --weights FILE, with the name of its architecture in timm as the "
            "backbone",
        )
    if library not in ("", "timm", "torchvision"):
        raise InputError(
            f"backbone {name[:80]!r}: expected timm:NAME, torchvision:NAME or own:NAME, "
            f"found {library[:40]!r} before the colon",
            f"Try {bare[:80]!r}, or a weights file with --weights FILE",
        )
    known = [] if library == "torchvision" else _timm_names()
    known += [] if library == "timm" else _torchvision_names()
    asked = re.sub(r"^[\w./-]*/", "", bare).partition(".")[0].lower().replace("-", "_")
    near = difflib.get_close_matches(asked, sorted(set(known)), n=4, cutoff=0.5)
    near = [*(name for name in own_names() if not library and name.partition(":")[2] == asked), *near]
    where = library or "timm and torchvision"
    raise InputError(
        f"backbone {name[:80]!r}: expected the name of an image classifier, found no such name in {where}",
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

    architecture, _, tag = _today(bare).partition(".")
    if not timm.is_model(architecture):
        return None
    tags = timm.list_pretrained(f"{architecture}.*")
    if not tag:
        default = timm_config(architecture).tag
        return f"{architecture}.{default}" if default and f"{architecture}.{default}" in tags else architecture
    if f"{architecture}.{tag}" in tags:
        return f"{architecture}.{tag}"
    raise InputError(
        f"backbone {bare[:80]!r}: expected a weights tag that timm has for {architecture}, found {tag[:60]!r}",
        f"It has: {', '.join(name.partition('.')[2] for name in tags) or 'none'}",
    )


def _today(bare: str) -> str:
    """What timm calls a name today that it has given up; any other as it is.

    timm leaves out some tags, and gives some that it has renamed since: what the old name says beyond the architecture
    is looked for in the tags that there are.
    """
    import timm
    from timm.models import _registry

    old, _, given = bare.partition(".")
    new = _registry._deprecated_models.get(old)
    if not new:
        return bare
    architecture, _, tag = new.partition(".")
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{architecture}.*")]
    if given or tag in tags:
        return f"{architecture}.{given or tag}"
    said = old.removeprefix(f"{architecture}_")
    fitting = [one for one in tags if said in one.split("_")]
    return f"{architecture}.{fitting[0]}" if len(fitting) == 1 else architecture


def _torchvision_names() -> list[str]:
    import torchvision

    return cast(list[str], torchvision.models.list_models(module=torchvision.models))
