"""Hinge (SAGAN), least squares (MCA-Net) or logistic loss (pix2pix), and an L1 that looks where bone is."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from gan.discriminator import SobelPlanes

Adversarial = Literal["hinge", "least_squares", "logistic"]


def discriminator_loss(real: Tensor, fake: Tensor, kind: Adversarial) -> Tensor:
    """Loss of the discriminator on patch logits of any shape."""
    if kind == "hinge":
        return relu(1.0 - real).mean() + relu(1.0 + fake).mean()
    if kind == "logistic":
        return softplus(-real).mean() + softplus(fake).mean()
    return 0.5 * ((real - 1.0) ** 2).mean() + 0.5 * (fake**2).mean()


def generator_loss(fake: Tensor, kind: Adversarial) -> Tensor:
    """Adversarial loss of the generator on patch logits of any shape."""
    if kind == "hinge":
        return -fake.mean()
    return softplus(-fake).mean() if kind == "logistic" else ((fake - 1.0) ** 2).mean()


class BoneL1(torch.nn.Module):
    """Mean absolute error of the bone layer and of its Sobel gradients, weighted by trust.

    Each film counts the same, however much of it is trusted.

    Args:
        edge_weight: weight of the gradients' error; fractures and suppression ghosts live at bone edges.

    Shape:
        - **predicted**, **target** - (B, 1, H, W)
        - **trust** - (B, 1, H, W), or (B, 3, H, W) for the horizontal and vertical gradient and the layer
          itself; >= 0, says how far the target is believed
    """

    def __init__(self, edge_weight: float = 1.0) -> None:
        super().__init__()
        self.edge_weight = edge_weight
        self.planes = SobelPlanes()

    def forward(self, predicted: Tensor, target: Tensor, trust: Tensor) -> Tensor:
        error = self.planes(predicted - target).abs() * trust  # (B, 3, H, W)
        horizontal, vertical, plain = (error.sum((2, 3)) / trust.sum((2, 3)).clamp_min(1.0)).mean(0)
        return plain + self.edge_weight * (horizontal + vertical)


def change_error(predicted: Tensor, true: Tensor, where: Tensor) -> Tensor:
    """How far a layer changes otherwise than it should when bones are broken, as a share of the true change.

    0 for a network that shows breaks as they are, 1 for one that heals them all. What else is wrong with a
    layer cancels out in the difference, so that breaks are learned however faint they are.

    Args:
        predicted, true: layers (2 B, 1, H, W), those of B broken films before those of the same films whole.
        where: 1 around the breaks of the broken films, (B, 1, H, W); films without any do not count.
    """
    changes = [half[0] - half[1] for half in (predicted.chunk(2), true.chunk(2))]
    error = ((changes[0] - changes[1]).abs() * where).sum((1, 2, 3))
    size = (changes[1].abs() * where).sum((1, 2, 3))
    broken = size > 0
    return (error[broken] / size[broken]).sum() / broken.sum().clamp_min(1)
