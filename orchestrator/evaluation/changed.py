"""What test images are changed by before they are predicted: test-time views, and an augmented test set beside the
clean one. Both are asked for by the names and strengths of augmentations of training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from orchestrator.store.errors import InputError
from search_spaces.changes import Typed, changes_of
from search_spaces.faults import did_you_mean, expected_of, nearest
from search_spaces.settings.augmentation import AUGMENTATIONS, Augmentation, AugmentationVariant

DRAWN = 8
"""How many views are drawn where nobody says."""
_NAMES = "augmentation.names"
_ALONE = tuple(name for name, one in AUGMENTATIONS.variants.items() if not one.mixes)
_SETTINGS = "orch spaces settings describes the augmentations and their strengths"


@dataclass(frozen=True)
class Views:
    """Several views of each image, over whose predictions the mean is taken.

    exact: as numbers of `trainables.data.views`, where the augmentation makes no others; () where `count` are drawn.
    """

    same: Augmentation
    count: int
    exact: tuple[int, ...] = ()

    @property
    def numbers(self) -> tuple[int, ...]:
        return self.exact or tuple(range(self.count))

    @property
    def words(self) -> str:
        return f"{self.count} views ({in_words(self.same.names, strengths_of(self))})"


EIGHT = Views(Augmentation(names=("dihedral",)), 8, AUGMENTATIONS.variants["dihedral"].views)
"""Flips and rotations, which nobody needs to ask for."""


def changes_asked(
    tta: str, views: int | None, augmented: str, settings: Iterable[Typed] = ()
) -> tuple[Views | None, Augmentation | None]:
    """Test-time views and the augmented test set, None where the names are "none"; names and settings as typed.

    Raises InputError for unknown names, for augmentations that mix images, for a number of views that there is not and
    for settings that none of these uses.
    """
    wanted, once = _names("--tta", tta), _names("--augmented", augmented)
    exact = _exact(wanted, views)
    if views is not None and not (wanted and views >= 1):
        expected, typed = ("--tta as well", "none") if views >= 1 else ("1 or more", str(views))
        raise InputError(f"--views {views}: expected {expected}, found {typed}", "orch evaluate STUDY --tta dihedral")
    drawn, values = [*(() if exact else wanted), *once], _strengths(settings)
    for name in values:
        if not any(name in variant.uses for variant in drawn):
            named = ", ".join(variant.name for variant in drawn) or "no random augmentation"
            raise InputError(
                f"--set augmentation.{name}: expected --augmented or --tta with an augmentation that uses it, found "
                f"{named}",
                _SETTINGS,
            )
    seen = Views(_augmentation(wanted, values), len(exact) or views or DRAWN, exact) if wanted else None
    return seen, _augmentation(once, values) if once else None


def exact_views(tta: str, views: int | None) -> tuple[int, ...]:
    """Numbers of `trainables.data.views`, (0,) for "none"; raises InputError for views that would have to be drawn."""
    advice = "orch predict MODEL IMAGES --tta dihedral"
    there = [name for name, one in AUGMENTATIONS.variants.items() if one.views]
    if tta.strip() not in (*there, "none"):
        told = f"--tta {tta}: expected {' or '.join(there)} alone, since its views are not random"
        raise InputError(told + did_you_mean(nearest(tta, there)), advice)
    try:
        seen, _ = changes_asked(tta, views, "none")
    except InputError as error:
        raise InputError(error.message, advice) from error
    return (0,) if seen is None else seen.exact


def strengths_of(asked: Views | Augmentation) -> dict[str, Any]:
    """By name, of the settings that matter; views that are exact have none."""
    if isinstance(asked, Views):
        return {} if asked.exact else strengths_of(asked.same)
    return {name: getattr(asked, name) for variant in asked.variants for name in variant.uses}


def in_words(names: Sequence[str], strengths: Mapping[str, Any]) -> str:
    """`brightness 0.2, colour (saturation 0.2, hue 0.05)`"""
    said = []
    for name in names:
        uses = [(one, strengths[one]) for one in AUGMENTATIONS.variants[name].uses if one in strengths]
        if [one for one, _ in uses] == [name]:
            said.append(f"{name} {_shown(uses[0][1])}")
        else:
            told = ", ".join(f"{one} {_shown(value)}" for one, value in uses)
            said.append(f"{name} ({told})" if told else name)
    return ", ".join(said)


def _names(option: str, text: str) -> tuple[AugmentationVariant, ...]:
    """The variants that are named, in the order in which they are applied; none for "none"."""
    names, known = [part.strip() for part in text.split(",") if part.strip()], ", ".join(_ALONE)
    if not names or ("none" in names and len(names) > 1):
        raise InputError(
            f"{option}: expected one or more of {known} (none only by itself), found {text.strip() or 'nothing'}",
            _SETTINGS,
        )
    for name in names:
        if name not in AUGMENTATIONS.names:
            meant = did_you_mean(nearest(name, _ALONE))
            raise InputError(f"{option}: expected one or more of {known}, found {name!r}{meant}", _SETTINGS)
        if AUGMENTATIONS.variants[name].mixes:
            raise InputError(
                f"{option}: expected augmentations of single images, found {name}, which mixes images",
                f"Choose from {known}",
            )
    try:
        return tuple(one for one in Augmentation(names=tuple(names)).variants if one.name != "none")
    except ValidationError as error:
        (wrong,) = error.errors()
        raise InputError(
            f"{option}: expected {expected_of(wrong)}, found {wrong['ctx']['found']}", _SETTINGS
        ) from error


def _strengths(settings: Iterable[Typed]) -> dict[str, Any]:
    """By name within the part."""
    values = {}
    for path, several in changes_of(tuple(settings)).values.items():
        part, _, name = path.partition(".")
        if part != "augmentation" or path == _NAMES:
            raise InputError(
                f"--set {path}: expected the strength of an augmentation, found another setting", _SETTINGS
            )
        if len(several) > 1:
            raise InputError(f"--set {path}: expected one value, found {len(several)}", f"--set {path}={several[0]}")
        values[name] = several[0]
    return values


def _exact(variants: Sequence[AugmentationVariant], views: int | None) -> tuple[int, ...]:
    """The first so many of the views that the one augmentation makes, () of any other and of several."""
    if len(variants) != 1 or not variants[0].views:
        return ()
    there = variants[0].views
    if views is not None and not 2 <= views <= len(there):
        raise InputError(
            f"--views {views}: expected 2 to {len(there)}, as {variants[0].name} makes {len(there)} views of an image",
            f"orch evaluate STUDY --tta {variants[0].name}",
        )
    return tuple(sorted(there[:views]))


def _augmentation(variants: Sequence[AugmentationVariant], values: Mapping[str, Any]) -> Augmentation:
    used = {name for variant in variants for name in variant.uses}
    own = {name: value for name, value in values.items() if name in used}
    return Augmentation(names=tuple(variant.name for variant in variants), **own)


def _shown(value: Any) -> str:
    return "–".join(f"{one:.3g}" for one in value) if isinstance(value, tuple) else f"{value:.3g}"
