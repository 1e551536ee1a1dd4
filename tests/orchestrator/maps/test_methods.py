"""The other ways to make a map, each against an independent computation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from orchestrator.maps.methods import activations, integrated, occlusion, rollout
from orchestrator.store.errors import InputError
from tests.orchestrator.maps.conftest import Opened

Open = Callable[..., Opened]


@pytest.mark.parametrize("name", ["plain", "deep"])
def test_integrated_gradients_add_up_to_what_the_score_gains(opened: Open, name: str) -> None:
    """From the grey image to this one (the method's axiom of completeness)."""
    found = opened(name, "integrated", 3)
    pixels = integrated.attributions(found.repeats, found.images, found.targets, steps=128)
    assert pixels.shape == (2, 3, 96, 96)
    for repeat in range(2):
        network = found.backbone(repeat)
        with torch.no_grad():
            gained = found.score(repeat, network(found.images)) - found.score(
                repeat, network(torch.zeros_like(found.images))
            )
        torch.testing.assert_close(pixels[repeat].sum(dim=(1, 2)), gained, rtol=0.05, atol=0.05)
    shown = integrated.maps(found.repeats, found.images, found.targets)
    assert shown.shape == (2, 3, 28, 28)
    assert (shown >= 0).all()


def test_occlusion_is_what_the_score_loses(opened: Open) -> None:
    found = opened("deep", "occlusion", 3)
    maps = occlusion.maps(found.repeats, found.images, found.targets)
    assert maps.shape == (2, 3, 8, 8)
    for repeat in range(2):
        network = found.backbone(repeat)
        for row, column in ((0, 0), (3, 5), (7, 7)):
            covered = found.images.clone()
            covered[:, :, 12 * row : 12 * row + 12, 12 * column : 12 * column + 12] = 0
            with torch.no_grad():
                lost = found.score(repeat, network(found.images)) - found.score(repeat, network(covered))
            torch.testing.assert_close(maps[repeat, :, row, column], lost.clamp(min=0), rtol=1e-4, atol=1e-5)


def test_activations_are_shared_by_repeats_of_a_frozen_network(opened: Open) -> None:
    found = opened("plain")
    maps = activations.maps(found.repeats, found.images, found.targets)
    with torch.no_grad():
        values = found.backbone(0).forward_features(found.images)
    torch.testing.assert_close(maps[0], values.abs().mean(dim=1))
    assert torch.equal(maps[0], maps[1])
    other = opened("deep")
    ours = activations.maps(other.repeats, other.images, other.targets)
    assert not torch.equal(ours[0], ours[1])


def test_rollout_is_the_product_of_all_attentions(opened: Open) -> None:
    """By the weights of queries and keys, block by block."""
    found = opened("vit", "rollout", 3)
    maps = rollout.maps(found.repeats, found.images, found.targets)
    network = found.backbone(0)
    with torch.no_grad():
        tokens = network.norm_pre(network.patch_drop(network._pos_embed(network.patch_embed(found.images))))
        reached = torch.eye(tokens.shape[1]).expand(3, -1, -1)
        for block in network.blocks:
            attention = block.attn
            given = attention.qkv(block.norm1(tokens)).reshape(3, tokens.shape[1], 3, attention.num_heads, -1)
            query, key = given[:, :, 0].transpose(1, 2), given[:, :, 1].transpose(1, 2)
            query, key = attention.q_norm(query), attention.k_norm(key)
            shares = (query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5).softmax(dim=-1).mean(dim=1)
            reached = (0.5 * shares + 0.5 * torch.eye(tokens.shape[1])) @ reached
            tokens = block(tokens)
    assert maps.shape == (2, 3, 2, 2)
    assert torch.equal(maps[0], maps[1])
    torch.testing.assert_close(maps[0].flatten(1), reached[:, 0, 1:], rtol=1e-4, atol=1e-6)
    assert all(part.fused_attn for part in rollout.attention_of(network, "vit")) == network.blocks[0].attn.fused_attn


def test_a_network_without_attention_is_refused(opened: Open) -> None:
    with pytest.raises(InputError, match=r"test_resnet.*expected a timm transformer.*found no such attention"):
        opened("plain", "rollout")
