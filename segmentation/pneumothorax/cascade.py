"""The One-Case rule (algorithm 1): the mask network is believed only where the gate says yes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from segmentation.postprocessing import without_holes, without_islands
from segmentation.test_time import AS_IT_IS, Variant, mirrored
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
    return float(_looks(network, framed, _WAYS[tta]).mean())


def gate_probabilities(network: nn.Module, framed: FloatImage) -> tuple[float, float]:
    """``gate_probability`` of one framed film both ways: as it is, and the mean with its mirror image."""
    told = _looks(network, framed, _WAYS[True])
    return float(told[0]), float(told.mean())


def mask_probability(network: nn.Module, framed: FloatImage, *, tta: bool = False) -> FloatImage:
    """The probability of gas at each pixel of a framed film (size, size); as for ``gate_probability``."""
    return _looks(network, framed, _WAYS[tta])[:, 0].mean(0).numpy()


def mask_probabilities(network: nn.Module, framed: FloatImage) -> tuple[FloatImage, FloatImage]:
    """``mask_probability`` of one framed film both ways: as it is, and the mean with its mirror image."""
    shares = _looks(network, framed, _WAYS[True])[:, 0]
    return shares[0].numpy(), shares.mean(0).numpy()


def _looks(network: nn.Module, framed: FloatImage, ways: Sequence[Variant]) -> Tensor:
    """What a network says of a framed film in each way: (W,) of a gate, (W, 1, size, size) of masks."""
    with torch.inference_mode():
        film = _batch(framed, network)
        told = [network(way.forward(film)).sigmoid() for way in ways]
        # a gate answers without a grid, so that nothing has to be brought back to it
        back = [
            way.back(each) if each.ndim == film.ndim else each for way, each in zip(ways, told, strict=True)
        ]
        return torch.cat(back).float().cpu()


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
