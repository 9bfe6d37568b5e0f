"""Films that nobody outlined teach too: what is said of a plain film must hold for it as published.

FixMatch (Sohn 2020) for outlines: the network's own answer to the plain film, where it is sure, is the truth
for the film as other people show it. So real films of other machines are learned from without an outline.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from suite.training.batch_augment import warp

SURE = 0.9
"""Least probability of an answer that is learned from."""

START, FULL = 0.2, 0.4
"""Shares of a run at which agreement begins to count, when the network knows lungs, and counts in full."""


def ramp(progress: float) -> float:
    """The weight of agreement at ``progress`` (0 to 1) of a run, in [0, 1]."""
    return min(1.0, max(0.0, (progress - START) / (FULL - START)))


def told(network: nn.Module, film: Tensor) -> Tensor:
    """A network's probabilities (B, M, H, W) for plain films, as in use: nothing is learned here."""
    learning = network.training
    network.eval()
    with torch.no_grad():
        probability = network(film).float().sigmoid()
    network.train(learning)
    return probability


def agreement_loss(logits: Tensor, probability: Tensor, grid: Tensor, seen: Tensor | None = None) -> Tensor:
    """Cross-entropy of the changed films' logits against what was surely said of the plain ones.

    Shape:
        - **logits** - (B, M, H, W) of films that were moved by ``grid`` and changed
        - **probability** - (B, M, H, W) of the plain films
        - **grid** - (B, H, W, 2); what it brings in from outside the film is not learned from
        - **seen** - (B, 1, H, W); neither is what lies where this is 0, beneath frames and collimators
    """
    there = warp(torch.ones_like(probability[:, :1]), grid, nearest=True)
    if seen is not None:
        there = there * seen
    moved = warp(probability, grid)
    sure = ((moved > SURE) | (moved < 1 - SURE)).to(moved.dtype) * there
    each = binary_cross_entropy_with_logits(logits.float(), (moved > 0.5).to(moved.dtype), reduction="none")
    return (each * sure).sum() / sure.sum().clamp_min(1.0)
