"""The One-Case rule (algorithm 1): the mask network is believed only where the gate says yes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from segmentation.postprocessing import without_holes, without_islands
from segmentation.test_time import AS_IT_IS, averaged, mirrored
from suite.framing import Framed, frame
from suite.study import FloatImage, Mask

_WAYS = {False: (AS_IT_IS,), True: (AS_IT_IS, mirrored())}
"""Both networks learn from mirrored films too, so that they may be asked about them."""

SPECK = 0.0005
"""Share of the film below which a piece of gas is left out and a hole in it filled."""


def gate_probability(network: nn.Module, framed: FloatImage, *, tta: bool = False) -> float:
    """The gate's output in [0, 1] for one framed film; not calibrated, so not called a probability outside.

    Args:
        network: a ``PneumothoraxGate`` in evaluation mode.
        framed: (size, size) in [0, 1].
        tta: mean of the film and its mirror image.
    """
    with torch.inference_mode():
        film = _batch(framed, network)
        told = [network(way.forward(film)).sigmoid() for way in _WAYS[tta]]
        return float(torch.stack(told).mean())


def mask_probability(network: nn.Module, framed: FloatImage, *, tta: bool = False) -> FloatImage:
    """The probability of gas at each pixel of a framed film (size, size); as for ``gate_probability``."""
    with torch.inference_mode():
        film = _batch(framed, network)
        probability = averaged(lambda films: network(films).sigmoid(), film, _WAYS[tta])
        return probability[0, 0].float().cpu().numpy()


def gate_probabilities(network: nn.Module, framed: FloatImage) -> tuple[float, float]:
    """The gate's output for one framed film: as it is, and the mean with its mirror image."""
    with torch.inference_mode():
        film = _batch(framed, network)
        told = network(torch.cat((film, film.flip(-1)))).sigmoid()
        return float(told[0]), float(told.mean())


def gate_places(network: nn.Module, pixels: FloatImage, size: int) -> Mask:
    """Where a gate sees gas on a film (H, W), 0 or 1: empty for one that only answers whether there is some.

    Args:
        network: a ``PneumothoraxGate`` in evaluation mode.
        pixels: the film in [0, 1].
        size: side of the network's input.
    """
    if not network.localised:
        return np.zeros(pixels.shape, np.uint8)
    framed = frame(pixels, size)
    with torch.inference_mode():
        _, places = network(_batch(framed.pixels, network), places=True)  # (1, 1, size / 16, size / 16)
        shares = interpolate(places.sigmoid(), size=(size, size), mode="bilinear", align_corners=False)
    return (framed.grid.invert(shares[0, 0].float().cpu().numpy()) > 0.5).astype(np.uint8)


def mask_probabilities(network: nn.Module, framed: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Gas at each pixel of a framed film (size, size): as it is, and the mean with its mirror image."""
    with torch.inference_mode():
        film = _batch(framed, network)
        plain, other = network(torch.cat((film, film.flip(-1)))).sigmoid()[:, 0].float()
        return plain.cpu().numpy(), ((plain + other.flip(-1)) / 2).cpu().numpy()


def _batch(framed: FloatImage, network: nn.Module) -> Tensor:
    device = next(network.parameters()).device
    return torch.from_numpy(framed)[None, None].to(device, memory_format=torch.channels_last)


@dataclass(frozen=True, slots=True)
class Cascade:
    """Both networks with their input sizes and operating points.

    Attributes:
        gate, mask: networks in evaluation mode.
        gate_size, mask_size: sides of their inputs.
        gate_threshold: least output of the gate that counts as yes, in [0, 1].
        mask_threshold: gas is where the probability lies above it, in [0, 1].
        tta: whether each looks at the mirrored film too.
    """

    gate: nn.Module
    mask: nn.Module
    gate_size: int
    mask_size: int
    gate_threshold: float = 0.5
    mask_threshold: float = 0.5
    tta: bool = True

    def read(self, pixels: FloatImage) -> tuple[float, Mask, Framed]:
        """The gate's output, the mask (H, W) of 0 and 1 on the film's grid, and the mask network's frame.

        The mask is empty where the gate says no.
        """
        told = gate_probability(self.gate, frame(pixels, self.gate_size).pixels, tta=self.tta)
        framed = frame(pixels, self.mask_size)
        if told < self.gate_threshold:
            return told, np.zeros(pixels.shape, np.uint8), framed
        on_film = framed.grid.invert(mask_probability(self.mask, framed.pixels, tta=self.tta))
        return told, outlined(on_film, self.mask_threshold), framed


def outlined(probability: FloatImage, threshold: float) -> Mask:
    """Gas (H, W), 0 or 1: where the probability lies above the threshold, without specks and pinholes."""
    gas = (probability > np.float32(threshold)).astype(np.uint8)
    smallest = round(SPECK * gas.size)
    return without_islands(without_holes(gas, smallest), smallest)
