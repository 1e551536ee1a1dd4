"""Draws depend on what they are for and on nothing else, and are as random as they should be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trainables.learning.draws import dropout_masks, epoch_order, generator, initial_layer, mask_keys

PINNED_ORDER = [5, 4, 3, 7, 6, 2, 1, 0]
PINNED_WEIGHT = [-0.348432, -0.3793731, 0.13580853, -0.26041114]
PINNED_MASK = [2.0, 0.0, 0.0, 2.0, 2.0, 2.0, 2.0, 2.0, 0.0, 2.0, 0.0, 0.0, 2.0, 0.0, 2.0, 0.0]


def test_a_mask_does_not_depend_on_its_batch() -> None:
    keys = mask_keys(7, (0, 3, 12), epoch=2, layer=1)
    whole = dropout_masks(keys, 0, 100, 37, 0.4)
    assert whole.shape == (3, 100, 37)
    for batch in (1, 7, 16, 100):
        parts = [dropout_masks(keys, first, min(batch, 100 - first), 37, 0.4) for first in range(0, 100, batch)]
        assert torch.equal(torch.cat(parts, dim=1), whole)


def test_a_mask_does_not_depend_on_its_neighbours() -> None:
    alone = dropout_masks(mask_keys(7, (3,), 2, 1), 8, 16, 20, 0.5)
    beside = dropout_masks(mask_keys(7, (0, 3, 12), 2, 1), 8, 16, 20, 0.5)
    assert torch.equal(alone[0], beside[1])


def test_positions_beyond_the_32_bit_counter_are_drawn_too() -> None:
    masks = dropout_masks(mask_keys(0, (0,), 1, 0), 2**21, 4, 2048, 0.5)
    assert 0.45 < (masks > 0).float().mean() < 0.55


@pytest.mark.parametrize("dropout", [0.0, 0.1, 0.5, 0.9])
def test_the_share_and_the_scale_kept(dropout: float) -> None:
    masks = dropout_masks(mask_keys(1, range(4), 1, 0), 0, 256, 512, dropout)
    kept = masks > 0
    count = masks.numel()
    assert abs(kept.double().mean() - (1 - dropout)) <= 5 * (dropout * (1 - dropout) / count) ** 0.5
    assert torch.equal(masks[kept], torch.full_like(masks[kept], 1 / (1 - dropout)))
    for rate in (kept.double().mean(dim=(0, 1)), kept.double().mean(dim=(0, 2))):  # per unit, per position
        spread = 6 * (dropout * (1 - dropout) / (count / len(rate))) ** 0.5
        assert (rate - (1 - dropout)).abs().max() <= spread


def test_masks_are_uncorrelated() -> None:
    """Between repeats, epochs, layers, seeds, and between neighbouring positions and units."""
    batch, width = 256, 256
    bits = {
        (seed, repeat, epoch, layer): dropout_masks(mask_keys(seed, (repeat,), epoch, layer), 0, batch, width, 0.5)[0]
        .gt(0)
        .double()
        .sub(0.5)
        .mul(2)
        for seed in (0, 1)
        for repeat in (0, 1)
        for epoch in (1, 2)
        for layer in (0, 1)
    }
    limit = 5 / (batch * width) ** 0.5
    names = sorted(bits)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert abs((bits[one] * bits[other]).mean()) < limit, (one, other)
        b = bits[one]
        for shift in (1, 2, 3, 8, 64):
            assert abs((b[shift:] * b[:-shift]).mean()) < 1.1 * limit
            assert abs((b[:, shift:] * b[:, :-shift]).mean()) < 1.1 * limit


def test_keys_differ_by_everything_they_are_for() -> None:
    keys = {
        tuple(mask_keys(seed, (repeat,), epoch, layer)[0].tolist())
        for seed in range(3)
        for repeat in range(10)
        for epoch in range(10)
        for layer in range(3)
    }
    assert len(keys) == 900


def test_orders_are_permutations_and_all_different() -> None:
    orders = [epoch_order(seed, repeat, epoch, 50) for seed in (0, 1) for repeat in (0, 1, 11) for epoch in (1, 2, 12)]
    for order in orders:
        assert order.dtype == np.int64
        assert np.array_equal(np.sort(order), np.arange(50))
    assert len({tuple(order) for order in orders}) == len(orders)
    assert np.array_equal(epoch_order(1, 11, 2, 50), orders[9 + 7])


def test_orders_put_every_row_everywhere() -> None:
    positions = np.stack([np.argsort(epoch_order(0, repeat, epoch, 20)) for repeat in range(20) for epoch in range(50)])
    assert np.abs(positions.mean(axis=0) - 9.5).max() < 5 * np.sqrt((20**2 - 1) / 12 / 1000)


def test_initial_layers() -> None:
    weight, bias = initial_layer(3, 4, 0, 400, 30)
    again, again_bias = initial_layer(3, 4, 0, 400, 30)
    assert np.array_equal(weight, again)
    assert np.array_equal(bias, again_bias)
    assert (weight.shape, bias.shape, weight.dtype, bias.dtype) == ((400, 30), (30,), np.float32, np.float32)
    assert np.abs(weight).max() <= 0.05
    assert abs(weight.std() - 0.05 / 3**0.5) < 0.001
    assert abs(weight.mean()) < 0.001
    others = [initial_layer(*which)[0] for which in ((2, 4, 0, 400, 30), (3, 5, 0, 400, 30), (3, 4, 1, 400, 30))]
    for other in others:
        assert abs(np.corrcoef(weight.ravel(), other.ravel())[0, 1]) < 0.05


def test_the_text_of_a_purpose_cannot_be_shifted() -> None:
    first = [generator(0, *purpose).integers(2**62) for purpose in (("a", 11), ("a", 1, 1), ("a1", 1), ("a", "11"))]
    assert len(set(first)) == 4


def test_draws_leave_the_global_generators_alone() -> None:
    torch.manual_seed(0)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[union-attr]
    initial_layer(0, 0, 0, 4, 4)
    epoch_order(0, 0, 1, 9)
    dropout_masks(mask_keys(0, (0,), 1, 0), 0, 4, 4, 0.5)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # type: ignore[arg-type]


def test_values_are_pinned() -> None:
    """Results of earlier searches are extended: a change of any draw needs a new ENGINE number."""
    assert epoch_order(0, 0, 1, 8).tolist() == PINNED_ORDER
    assert initial_layer(0, 0, 0, 4, 1)[0].ravel().tolist() == pytest.approx(PINNED_WEIGHT, abs=1e-7)
    assert dropout_masks(mask_keys(0, (1,), 1, 0), 5, 2, 8, 0.5).ravel().tolist() == PINNED_MASK
