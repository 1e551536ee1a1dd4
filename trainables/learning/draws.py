"""Every random draw of learning, as a function of (study seed, repeat, purpose, epoch, position, layer).

No generator state exists between calls, so nothing has to be saved, and a draw does not depend on which repeats,
configurations, workers or attempts ran beside it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from orchestrator.store.record import canonical_json


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A counter-based generator (Philox) whose key is the hash of its arguments."""
    digest = hashlib.sha256(canonical_json([seed, *purpose]).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def image_seeds(seed: int, purpose: str, repeat: int, epoch: int, first: int, count: int) -> NDArray[np.int64]:
    """What augmentations draw from, int64 [count], 0 or more: of the places first, first + 1, … of an epoch."""
    bits = generator(seed, "image", purpose, repeat, epoch).bit_generator
    assert isinstance(bits, np.random.Philox)
    bits.advance(first)  # one counter for each place, of which the first of four words is taken
    return (bits.random_raw(4 * count)[::4] >> np.uint64(1)).astype(np.int64)


def epoch_order(seed: int, repeat: int, epoch: int, rows: int) -> NDArray[np.int64]:
    """The order in which training rows are visited, int64 [rows]; the same for every configuration."""
    return generator(seed, "order", repeat, epoch).permutation(rows)


def initial_layer(seed: int, repeat: int, layer: int, inputs: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Weight float32 [inputs, outputs] and bias float32 [outputs], uniform within ±1/√inputs (PyTorch's default)."""
    bound = 1.0 / math.sqrt(inputs)
    draw = generator(seed, "weights", repeat, layer, inputs, outputs)
    weight = draw.uniform(-bound, bound, size=(inputs, outputs)).astype(np.float32)
    bias = draw.uniform(-bound, bound, size=outputs).astype(np.float32)
    return weight, bias


def low_rank_factor(seed: int, repeat: int, name: str, rank: int, inputs: int) -> np.ndarray:
    """The first factor of a low-rank update, float32 [rank, inputs], uniform within ±1/√inputs as in the code of its
    authors (loralib)."""
    bound = 1.0 / math.sqrt(inputs)
    factor = generator(seed, "adapter", repeat, name).uniform(-bound, bound, size=(rank, inputs))
    return factor.astype(np.float32)


def body_seed(seed: int, repeat: int) -> int:
    """What a library draws the initial weights of a backbone from."""
    return int(generator(seed, "body", repeat).integers(2**31))


def mask_keys(seed: int, repeats: Sequence[int], epoch: int, layer: int) -> torch.Tensor:
    """Two key words per repeat for `dropout_masks`, int32 [repeats, 2]."""
    keys = [hashlib.sha256(canonical_json([seed, "dropout", r, epoch, layer]).encode()).digest()[:8] for r in repeats]
    return torch.from_numpy(np.frombuffer(b"".join(keys), dtype="<i4").reshape(len(keys), 2).astype(np.int32))


def dropout_masks(
    keys: torch.Tensor, first: int | torch.Tensor, batch: int, width: int, dropout: float
) -> torch.Tensor:
    """Masks float32 [repeats, batch, width]: 0 with probability `dropout`, else 1 / (1 − dropout).

    keys: int32 [repeats, 2] on the device of the result. first: position of the batch's first sample within the epoch;
    a number, or int32 there too. An entry depends on its repeat's keys, the sample's position and the unit
    alone, not on the batch it came in. The hash is the 32-bit finaliser `lowbias32` of Chris Wellons (2018), the second
    key word mixed in half-way, so that no two repeats walk the same sequence at an offset; int32 products wrap around.
    """
    start = torch.as_tensor(first, dtype=torch.int32, device=keys.device) * width
    counter = torch.arange(batch * width, dtype=torch.int32, device=keys.device) + start
    bits = (counter * -1640531535).unsqueeze(0) + keys[:, :1]
    bits.bitwise_xor_((bits >> 16).bitwise_and_(0xFFFF)).mul_(0x7FEB352D).bitwise_xor_(keys[:, 1:])
    bits.bitwise_xor_((bits >> 15).bitwise_and_(0x1FFFF)).mul_(-2073254261)
    bits.bitwise_xor_((bits >> 16).bitwise_and_(0xFFFF)).bitwise_and_(0x7FFFFFFF)
    kept = bits >= int(dropout * 2**31)
    return (kept.to(torch.float32) * (1.0 / (1.0 - dropout))).view(len(keys), batch, width)
