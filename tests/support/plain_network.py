"""A whole network trained as anyone would write it: images, plain modules, autograd, torch.optim, in its own loop."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from timm.optim import param_groups_weight_decay
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from search_spaces.configuration import Configuration
from tests.support.tiny_study import TinyStudy
from trainables.learning.draws import body_seed, dropout_masks, epoch_order, initial_layer, low_rank_factor, mask_keys
from trainables.network.backbone import open_backbone
from trainables.network.tracing import trace
from trainables.network.weight_layers import layers_of_trace

Change = Callable[[int, int, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""(epoch, first position, images or features, soft targets) → both in their place."""


class GivenMask(nn.Module):
    """Dropout whose mask is set before each batch."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.mask: torch.Tensor | None = None

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden if self.mask is None else hidden * self.mask


def losses(
    study: TinyStudy,
    c: Configuration,
    repeat: int,
    epochs: int,
    head: nn.Sequential,
    change: Change | None = None,
    mix: Change | None = None,
) -> np.ndarray:
    """Cross entropy [epochs + 1, 2] of train and valid. head: linear layers as drawn for the repeat are put in, those
    within others last.

    change: of images from 0 to 1, before they are standardised. mix: of the features.
    """
    bench = study.bench()
    frozen = bench.frozen_ready(c, study.partition)
    samples, reader = frozen.samples, frozen.reader(bench.device)
    body = copy.deepcopy(bench.network(frozen)).eval()
    _put_plain_adapters(c, repeat, body)
    _put_autocast(c, body)
    live = trained_names(c, body)
    for name, parameter in body.named_parameters():
        parameter.requires_grad_(name in live)
    if c.adaptation.start == "drawn":
        fresh = open_backbone(c.form, "none", body_seed(c.data.seed, repeat)).module
        new = dict(fresh.named_parameters()) | dict(fresh.named_buffers())
        norms = [name for name, part in body.named_modules() if isinstance(part, nn.BatchNorm2d)]
        learned = [
            name for name in new if name.rpartition(".")[0] in norms and f"{name.rpartition('.')[0]}.weight" in live
        ]
        own = dict(body.named_parameters()) | dict(body.named_buffers())
        for name in {*live, *learned}:
            own[name].data.copy_(new[name])
    linears = [part for part in head if isinstance(part, nn.Linear)]
    linears += [part for part in head.modules() if isinstance(part, nn.Linear) and part not in linears]
    for place, linear in enumerate(linears):
        weight, bias = initial_layer(c.data.seed, repeat, place, linear.in_features, linear.out_features)
        linear.weight.data, linear.bias.data = torch.from_numpy(weight.T.copy()), torch.from_numpy(bias)
    o, whole = c.optimiser, nn.ModuleList([head, body])
    trained: Any = [p for p in whole.parameters() if p.requires_grad]
    if o.decay_on == "weights":
        trained = param_groups_weight_decay(whole, o.weight_decay)
    if c.adaptation.lr_decay < 1:
        trained = _decaying(c, head, body)
    optimiser = torch.optim.SGD(trained, lr=o.lr, momentum=o.momentum, weight_decay=o.weight_decay)
    labels = torch.from_numpy(samples.labels)

    def set_mode(training: bool) -> None:
        head.train(training)
        for part in body.modules():
            if isinstance(part, nn.BatchNorm2d) and part.weight.requires_grad and c.adaptation.norms == "moving":
                part.training = training

    def probabilities(rows: np.ndarray) -> torch.Tensor:
        """Soft targets of two classes or more."""
        return functional.one_hot(labels[rows], max(2, c.outputs)).float()

    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (frozen.mean, frozen.std))
    set_mode(False)
    averaged = AveragedModel(whole, multi_avg_fn=get_ema_multi_avg_fn(o.average), use_buffers=True)

    def features_of(images: torch.Tensor, below: nn.Module = body) -> torch.Tensor:
        all_of_it = c.adaptation.arithmetic == "bf16" and not c.adaptation.layers
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=all_of_it):
            features: torch.Tensor = below(images)
        return features.float()

    def logits_of(features: torch.Tensor, above: nn.Module = head) -> torch.Tensor:
        logits: torch.Tensor = above(features)
        return torch.cat([torch.zeros_like(logits), logits], dim=1) if c.outputs == 1 else logits

    def each(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        above, below = averaged.module if o.average else (head, body)
        return functional.cross_entropy(logits_of(features_of(images, below), above), targets, reduction="none")

    counts = labels[samples.training].bincount()

    def lost(features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """What a step makes smaller, of a batch."""
        logits = logits_of(features)
        if c.loss.name == "logit_adjusted":
            logits = logits + c.loss.tau * (counts / counts.sum()).log()
        logs = logits.log_softmax(dim=1)
        left = (1 - logs.exp()) ** c.loss.gamma if c.loss.name == "focal" else 1.0
        return -(targets * left * logs).sum(dim=1).mean()

    def scored() -> list[float]:
        set_mode(False)
        for part in head:
            if isinstance(part, GivenMask):
                part.mask = None
        with torch.no_grad():
            rows = (samples.scoring[name] for name in ("train", "valid"))
            return [float(each(reader.batch(one), probabilities(one)).mean()) for one in rows]

    found = [scored()]
    for epoch in range(1, epochs + 1):
        set_mode(True)
        order = samples.training[epoch_order(c.data.seed, repeat, epoch, len(samples.training))]
        for rows, first in _batches(order, o.batch_size, joins=_has_norm(head) or c.adaptation.norms == "moving"):
            _set_masks(head, c, repeat, epoch, first, len(rows))
            images, targets = reader.batch(rows), probabilities(rows)
            if change is not None:
                images, targets = change(epoch, first, reader.plain(rows), targets)
                images = (images - mean) / std
            features = features_of(images)
            if mix is not None:
                features, targets = mix(epoch, first, features, targets)
            optimiser.zero_grad()
            lost(features, targets).backward()
            if o.clip:
                nn.utils.clip_grad_norm_([p for p in whole.parameters() if p.requires_grad], o.clip)
            optimiser.step()
            averaged.update_parameters(whole)
        found.append(scored())
    return np.array(found)


class _Autocast(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found: torch.Tensor = self.layer(values)
        return found


def _put_autocast(c: Configuration, body: nn.Module) -> None:
    """Around layers that are trained by name; without names all of the body is."""
    for name in c.adaptation.layers if c.adaptation.arithmetic == "bf16" else ():
        setattr(body, name, _Autocast(body.get_submodule(name)))


class _Scaled(nn.Module):
    """A layer and what its channels are multiplied with and moved by, as a wrapper."""

    def __init__(self, layer: nn.Module, channels: int, dims: int) -> None:
        super().__init__()
        self.layer = layer
        self.factor = nn.Parameter(torch.ones(channels, *[1] * dims))
        self.offset = nn.Parameter(torch.zeros(channels, *[1] * dims))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layer(values) * self.factor + self.offset
        return found


class _LowRank(nn.Module):
    """W + α/r·B·A in the place of W."""

    def __init__(self, layer: nn.Linear, down: np.ndarray, alpha: float) -> None:
        super().__init__()
        self.layer, self.alpha = layer, alpha
        self.down = nn.Parameter(torch.from_numpy(down))
        self.up = nn.Parameter(torch.zeros(layer.out_features, len(down)))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        weight = self.layer.weight + self.alpha / len(self.down) * self.up @ self.down
        return functional.linear(values, weight, self.layer.bias)


def _put_plain_adapters(c: Configuration, repeat: int, body: nn.Module) -> None:
    asked = c.adaptation
    for name, part in [*body.named_modules()]:
        holder, _, last = name.rpartition(".")
        if asked.name == "scale_and_shift" and isinstance(part, nn.Conv2d | nn.Linear):
            channels = len(part.weight)
            setattr(body.get_submodule(holder), last, _Scaled(part, channels, 2 if isinstance(part, nn.Conv2d) else 0))
        elif asked.name == "lora" and last in ("qkv", "proj") and isinstance(part, nn.Linear):
            down = low_rank_factor(c.data.seed, repeat, f"{name}.lora_a", asked.rank, part.in_features)
            setattr(body.get_submodule(holder), last, _LowRank(part, down, asked.alpha))


def _decaying(c: Configuration, head: nn.Module, body: nn.Module) -> list[dict[str, Any]]:
    """Groups of torch.optim: a rate of its own for each weight layer of the body, in the order of computation."""
    order = list(layers_of_trace(body, trace(body, c.image.size)).owner.items())
    last = max(index for _, index in order)
    groups: list[dict[str, Any]] = [{"params": list(head.parameters())}]
    for name, index in order:
        parameter = body.get_parameter(name)
        if parameter.requires_grad:
            rate = c.optimiser.lr * c.adaptation.lr_decay ** (1 + last - index)
            groups.append({"params": [parameter], "lr": rate})
    return groups


def trained_names(c: Configuration, body: nn.Module) -> list[str]:
    """Of the body's own parameters, as a reader of the help would pick them."""
    names = [name for name, _ in body.named_parameters()]
    asked = c.adaptation
    if asked.name == "whole":
        return names
    if asked.name == "layers":
        return [name for name in names if name.startswith(tuple(f"{layer}." for layer in asked.layers))]
    if asked.name in ("scale_and_shift", "lora"):
        return [name for name in names if name.rpartition(".")[2] in ("factor", "offset", "down", "up")]
    if asked.name == "bias":
        return [name for name in names if name.endswith("bias")]
    layers = layers_of_trace(body, trace(body, c.image.size))
    return list(layers.last(asked.unfrozen)) if asked.unfrozen else []


def _has_norm(head: nn.Sequential) -> bool:
    return any(isinstance(part, nn.BatchNorm1d) for part in head)


def _batches(order: np.ndarray, size: int, *, joins: bool) -> list[tuple[np.ndarray, int]]:
    """(rows, first position) of each; a single row left over goes with those before it where batch norm moves."""
    found: list[Any] = [(order[first : first + size], first) for first in range(0, len(order), size)]
    if joins and len(found[-1][0]) == 1:
        (rows, first), (left, _) = found[-2:]
        found[-2:] = [(np.concatenate([rows, left]), first)]
    return found


def _set_masks(head: nn.Sequential, c: Configuration, repeat: int, epoch: int, first: int, rows: int) -> None:
    width = 0
    masked = 0
    for part in head:
        if isinstance(part, nn.Linear):
            width = part.out_features
        elif isinstance(part, GivenMask):
            keys = mask_keys(c.data.seed, (repeat,), epoch, masked)
            part.mask = dropout_masks(keys, first, rows, width, part.share)[0]
            masked += 1
