"""One film through a bone network: the layer on the film's own grid and scale."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import nn

from gan.residual import ResidualEnergy, residual_energy
from suite.framing import Framed, frame
from suite.grid import Grid
from suite.study import FloatImage, Mask

LARGEST_BONE = 0.35
"""Share of the film's used range that bone can add; BSE-JSRT's layers stay below 0.3."""

SMALL_SIDE = 256
MARGIN = 7
"""Pixels at ``SMALL_SIDE`` by which the lungs are widened before the layer fades out."""


def bone_layer(
    network: nn.Module,
    pixels: FloatImage,
    size: int,
    device: torch.device,
    lungs: Mask | None,
    convention: int = 0,
) -> tuple[FloatImage, Framed]:
    """What the bones add to a film (H, W), in film units: at least 0, at most the film itself.

    The layer fades out around ``lungs`` (H, W) where they are given: a network that learned from BSE-JSRT,
    whose layers are empty elsewhere, has nothing to say there, and instance normalisation lets it draw bright
    spots where no loss looks.

    Args:
        convention: which of the conventions the network learned it is asked for.
    """
    framed = frame(pixels, size)
    film = torch.from_numpy(framed.pixels)[None, None].to(device, memory_format=torch.channels_last)
    asked = torch.full((1,), convention, dtype=torch.long, device=device)
    with torch.inference_mode():
        predicted = network(film, asked)[0, 0].float().cpu().numpy()
    believed = np.clip(predicted, 0.0, LARGEST_BONE)
    if lungs is not None:
        believed = believed * framed.grid.apply(near_lungs(lungs))
    layer = framed.grid.invert(believed) * np.float32(framed.levels.width)
    return np.clip(layer, 0.0, pixels).astype(np.float32), framed


def taken_layer(
    network: nn.Module, pixels: FloatImage, size: int, device: torch.device, lungs: Mask
) -> tuple[FloatImage, Framed, ResidualEnergy]:
    """What the stage takes from a film, and how much that is; what is left is looked at once more.

    Args:
        pixels, lungs: of the film, (H, W).
        size: side of the network's input in pixels.

    Returns:
        The layer (H, W) in film units, the film as the network saw it, and what was taken in numbers.
    """
    layer, framed = bone_layer(network, pixels, size, device, lungs)
    second, _ = bone_layer(network, pixels - layer, size, device, lungs)
    return layer, framed, residual_energy(layer, pixels, lungs, second)


def near_lungs(lungs: Mask) -> FloatImage:
    """1 in the lungs (H, W) and a margin around them, fading to 0 over about a centimetre."""
    grid = Grid.of(lungs.shape).square().resize(SMALL_SIDE)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * MARGIN + 1, 2 * MARGIN + 1))
    widened = cv2.dilate((grid.apply(lungs, "nearest") > 0).astype(np.uint8), kernel)
    faded = cv2.GaussianBlur(widened.astype(np.float32), (0, 0), MARGIN / 3)
    return np.asarray(grid.invert(faded), dtype=np.float32)
