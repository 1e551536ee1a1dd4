"""Whether a configuration can begin from the weights of another one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from torch import nn

from search_spaces.configuration import Configuration, by_path, settings_of
from search_spaces.form import Form
from search_spaces.live import Scope
from trainables.learning.bodies.network import is_trained_norm
from trainables.learning.heads.head import layers_of
from trainables.learning.heads.layer import Layers
from trainables.network.backbone import skeleton
from trainables.network.frontier import places_to_cut

_ALIKE = ("data", "network", "image")
"""Parts in which both agree: the same images, as the same network sees them."""
_STANDARDISED = ("image.mean", "image.std")
"""What nobody gives: they follow from how images are standardised."""
_SAME_ADAPTERS = ("adaptation.rank", "adaptation.alpha")
"""Settings that say what an adapter's weights are worth: others would make another network of the same ones."""


def unfit(child: Configuration, parent: Configuration | None, width: int) -> Iterator[str]:
    """Why not, a fault each; none where it can. parent: None where there is no such configuration. width: D of the
    features.

    What is trained or moves of the parent is trained or moves on, so that all else, the frozen part, is as named and
    alike for all repeats.
    """
    if parent is None:
        yield f"parent: expected a configuration of the study, found {child.parent}, which is none"
        return
    if parent.id == child.id:
        yield f"parent: expected another configuration, found {child.id} itself"
        return
    follows = _STANDARDISED if child.image.standardisation != parent.image.standardisation else ()
    for one in settings_of(Configuration):
        mine, others = child.value(one.path), parent.value(one.path)
        if one.part in _ALIKE and mine != others and one.path not in follows:
            yield f"{one.path}: expected {others}, as its parent {parent.id} has it, found {mine}"
    if child.head.is_fitted:
        yield f'head.name: expected one that is trained in steps, found "{child.head.name}", which begins from nothing'
        return
    mine, others = (layers_of(one, width) for one in (child, parent))
    if _computed(mine) != _computed(others):
        told = [" – ".join(layer.words() for layer in layers) for layers in (mine, others)]
        yield f"head: expected that of its parent {parent.id} ({told[1]}), found {told[0]}"
    if child.adaptation != parent.adaptation:
        yield from _unfit_adaptation(child, parent)


def _unfit_adaptation(child: Configuration, parent: Configuration) -> Iterator[str]:
    before, now = changing(parent), changing(child)
    if left := before - now:
        yield (
            f"adaptation: expected at least what its parent {parent.id} trained or moved, found {_named(left)} left out"
        )
        return
    if child.adaptation.start == "drawn" and (new := now - before):
        yield (
            "adaptation.start: expected weights, since the drawn ones would take the place of what its parent "
            f"{parent.id} left as it was, found drawn ({_named(new)})"
        )
    for path in _SAME_ADAPTERS:
        one = by_path()[path]
        if all(c.matters(one) for c in (child, parent)) and child.value(path) != parent.value(path):
            yield f"{path}: expected {parent.value(path)}, as its parent {parent.id} has it, found {child.value(path)}"


def changing(configuration: Configuration) -> frozenset[str]:
    """Names of all parameters of the backbone that are trained, and of the statistics that move with them."""
    c = configuration
    if not c.live.trains_body:
        return frozenset()
    network, live = _network(c.form, c.live.scope)
    if not c.adaptation.norms_move:
        return live
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in live)
    norms = {name: part for name, part in network.named_modules() if is_trained_norm(part) and list(part.parameters())}
    return live | {
        f"{name}.{buffer}" for name, part in norms.items() for buffer, _ in part.named_buffers(recurse=False)
    }


def _named(names: frozenset[str]) -> str:
    return f"{min(names)} and {len(names) - 1} more" if len(names) > 1 else min(names)


def _computed(layers: Layers) -> Layers:
    """What a trained head computes: dropout is no part of it."""
    return tuple(layer for layer in layers if layer.kind != "Dropout")


@lru_cache(16)
def _network(form: Form, scope: Scope) -> tuple[nn.Module, frozenset[str]]:
    """Without weights, and the names of what is trained of it."""
    network = skeleton(form)
    assert form.image_size is not None  # a configuration always has one
    return network, frozenset(places_to_cut(network, form.image_size, scope)[-1].live)
