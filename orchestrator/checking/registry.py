"""What is looked for, in the order in which findings of one weight are told; a new one is a function and a line."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.checking.black_borders import black_borders
from orchestrator.checking.conflicts import conflicting_labels
from orchestrator.checking.confounders import confounders
from orchestrator.checking.copies import across_groups, across_splits, within_groups
from orchestrator.checking.finding import Finding
from orchestrator.checking.group_names import other_grouping
from orchestrator.checking.group_sizes import dominant_group, few_groups, groups_are_classes
from orchestrator.checking.material import Material
from orchestrator.checking.odd_images import intensity_rule, odd_intensities
from orchestrator.checking.outliers import outliers
from orchestrator.checking.search_warnings import search_warnings
from orchestrator.checking.sizes import odd_sizes

FINDINGS: tuple[Callable[[Material], Finding | None], ...] = (
    conflicting_labels,
    across_splits,
    groups_are_classes,
    search_warnings,
    across_groups,
    other_grouping,
    dominant_group,
    confounders,
    few_groups,
    outliers,
    odd_intensities,
    odd_sizes,
    within_groups,
    black_borders,
    intensity_rule,
)
"""Each says what it finds of the material, None where there is nothing."""
