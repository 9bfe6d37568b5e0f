"""A detector that is shown one square and says whether a bone is broken there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from benchmarks.breaks.squares import PLANES, SQUARE, Squares
from suite.training.bank import FULL_SCALE
from suite.training.batch_augment import Geometry, quantum_noise, warp
from suite.training.precision import fastest_precision

SEEN = 64
"""Side of the part of a kept square that a detector is shown."""

KINDS: Mapping[str, tuple[str, ...]] = {
    "film": ("film",),
    "true layer": ("true",),
    "film + true layer": ("film", "true"),
    "network's layer": ("network",),
    "film + network's layer": ("film", "network"),
    "layer as shown": ("shown",),
    "dual-energy": ("hardware",),
}
"""Planes of each kind of input."""

BATCH, EPOCHS = 64, 16
GEOMETRY = Geometry(degrees=12.0, shift=0.06, scale=(0.9, 1.1))


def detector(planes: int) -> nn.Module:
    """A small residual network that does not pool before its first block, as breaks are small."""
    network = timm.create_model("resnet10t", in_chans=planes, num_classes=1, channels=(32, 64, 128, 256))
    network.maxpool = nn.Identity()
    return network.to(memory_format=torch.channels_last)


def learn(squares: Squares, kind: str, seed: int) -> nn.Module:
    """A detector of breaks in one kind of image.

    Of each place in a batch both squares are there, turned and bent alike, and the broken one has to score
    higher: what they share, which is nearly all of them, teaches nothing wrong.
    """
    torch.manual_seed(seed)
    rows = [PLANES.index(name) for name in KINDS[kind]]
    network = detector(len(rows)).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
    steps = EPOCHS * max(1, 2 * len(squares.planes) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    truth = torch.tensor([1.0, 0.0]).repeat(BATCH // 2)
    for _ in range(steps):
        chosen = torch.randint(len(squares.planes), (BATCH // 2,))
        pairs = squares.planes[chosen][:, :, rows].flatten(1, 2).float() / FULL_SCALE
        pairs = warp(pairs, GEOMETRY.grid(pairs))
        pairs = torch.where(torch.rand(len(pairs), 1, 1, 1) < 0.5, pairs.flip(-1), pairs)
        batch = quantum_noise(_middle(pairs).unflatten(1, (2, -1)).flatten(0, 1), sigma=0.01)
        image = batch.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fastest_precision() == "bf16-mixed"):
            logits = network(image)[:, 0]
        apart = logits.float().view(-1, 2)
        loss = (
            binary_cross_entropy_with_logits(logits.float(), truth)
            + softplus(apart[:, 1] - apart[:, 0]).mean()
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def scores(network: nn.Module, squares: Squares, kind: str) -> npt.NDArray[np.float64]:
    """Logits (M, 2) of each place broken and whole, the mean of a square and its mirror image."""
    rows = [PLANES.index(name) for name in KINDS[kind]]
    found = []
    with torch.inference_mode():
        for part in squares.planes.split(BATCH):
            image = _middle(part[:, :, rows].flatten(0, 1).float() / FULL_SCALE)
            found.append((network(image) + network(image.flip(-1))).reshape(-1, 2) / 2)
    return torch.cat(found).double().numpy()


def _middle(squares: Tensor) -> Tensor:
    edge = (SQUARE - SEEN) // 2
    return squares[..., edge : edge + SEEN, edge : edge + SEEN]
