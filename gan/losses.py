"""Adversarial losses (hinge, least squares, logistic), and an error that looks where bone is."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, relu, softplus

from gan.discriminator import SobelPlanes

Adversarial = Literal["hinge", "least_squares", "logistic"]

LEAST_CHANGE = 1e-3
"""Of a film, in film units: what changes less does not show."""

LEAST_SIZE = 2e-6
"""Of the mean change of a film that counts: less than a break without a step makes."""


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


LEAST_SQUARE = 1e-8
"""Added under the root of a film's mean squared error, whose slope has no end at 0."""


class BoneError(torch.nn.Module):
    """Error of the bone layer and of its Sobel gradients, weighted by trust.

    Each film counts the same, however much of it is trusted. Absolute errors pull at every pixel alike;
    ``square_weight`` adds the root of each film's mean squared error, which is what PSNR measures.

    Args:
        edge_weight: weight of the gradients' error; fractures and suppression ghosts live at bone edges.
        square_weight: weight of the root mean squared error.

    Shape:
        - **predicted**, **target** - (B, 1, H, W)
        - **trust** - (B, 1, H, W), or (B, 3, H, W) for the horizontal and vertical gradient and the layer
          itself; >= 0, says how far the target is believed
    """

    def __init__(self, edge_weight: float = 1.0, square_weight: float = 0.0) -> None:
        super().__init__()
        self.edge_weight = edge_weight
        self.square_weight = square_weight
        self.planes = SobelPlanes()

    def forward(self, predicted: Tensor, target: Tensor, trust: Tensor) -> Tensor:
        signed = self.planes(predicted - target)  # (B, 3, H, W)
        horizontal, vertical, plain = _film_means(signed.abs() * trust, trust).mean(0)
        error = plain + self.edge_weight * (horizontal + vertical)
        if self.square_weight:
            believed = trust[:, -1:]
            square = _film_means(signed[:, 2:] ** 2 * believed, believed)
            error = error + self.square_weight * (square + LEAST_SQUARE).sqrt().mean()
        return error


def _film_means(weighted: Tensor, trust: Tensor) -> Tensor:
    """Means (B, C) of errors that are multiplied by trust, both (B, C, H, W)."""
    return weighted.sum((2, 3)) / trust.sum((2, 3)).clamp_min(1.0)


def change_error(predicted: Tensor, true: Tensor, films: Tensor) -> Tensor:
    """How far a layer changes otherwise than it should when a film does.

    Squared error where breaks change the layer, as a share of what they change, plus the same where soft
    tissue changes the film alone: 1 for a layer that never changes, 0 for one that shows breaks as they are
    and no soft tissue. Squares, because a break that may be there is then drawn as strongly as it is likely;
    absolute errors leave it out until it is more likely than not, which is how L1 heals breaks. What else
    is wrong with a layer cancels out in the difference, so that faint breaks are learned too.

    Args:
        predicted, true: layers (2 B, 1, H, W), those of B changed films before those of the same films as
            they were.
        films: the films themselves, of the same shape.
    """
    own, wanted, shown = ((half[0] - half[1]) for half in (x.chunk(2) for x in (predicted, true, films)))
    wrong, tissue = (own - wanted) ** 2, shown - wanted
    broken = _around(wanted)
    return _share_of(wrong, wanted, broken) + _share_of(wrong, tissue, _around(tissue) * (1.0 - broken))


def _around(change: Tensor) -> Tensor:
    """1 where something changes and next to it, (B, 1, H, W)."""
    return max_pool2d((change.abs() > LEAST_CHANGE).float(), 9, stride=1, padding=4)


def _share_of(wrong: Tensor, change: Tensor, where: Tensor) -> Tensor:
    """What is wrong as a share of a change's square, all (B, 1, H, W); films with hardly any do not count."""
    size = (change**2 * where).sum((1, 2, 3))
    changed = (change.abs() * where).sum((1, 2, 3)) > LEAST_SIZE * change[0].numel()
    return ((wrong * where).sum((1, 2, 3))[changed] / size[changed]).sum() / changed.sum().clamp_min(1)
