"""What backbones and their families are called where several stand side by side."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from dashboards.figures.choice import Choice, Source, backbones
from dashboards.figures.markup import backbone_text
from orchestrator.results.configuration_summary import ConfigurationSummary

_FAMILY = re.compile(r"[A-Za-z]+?(?=v?\d|[_.\-]|$)")


def family_of(backbone: str) -> str:
    """The letters that a backbone's name begins with: "resnet" of `timm:resnet18.tv_in1k`; for grouping rows only."""
    name = backbone_text(backbone)
    match = _FAMILY.match(name)
    return match[0].lower() if match else name


def backbone_names(members: Sequence[ConfigurationSummary]) -> dict[str, str]:
    """What backbones are called: whole names where two would look the same, as of two libraries."""
    every = {member.configuration.network.backbone for member in members}
    short = Counter(backbone_text(name) for name in every)
    return {name: backbone_text(name) if short[backbone_text(name)] == 1 else name for name in every}


def several_backbones(source: Source, choice: Choice) -> bool:
    """Whether there is anything to stand side by side."""
    return len(backbones(source.members(choice))) > 1
