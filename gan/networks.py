"""Generators and discriminators by name, as recipes and model cards name them."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn

from gan.baselines import UNET_DEPTH, PlainUNet, ResNetUNet
from gan.generator import DEPTH, MultiScaleGenerator

NetworkName = Literal["mca", "unet", "resnet34-unet", "pix2pix"]


def build_generator(network: NetworkName = "mca", **arguments: Any) -> nn.Module:
    """A network from film to bone layer; ``arguments`` are its class's own.

    Raises:
        TypeError: an argument the network does not have.
    """
    if network == "mca":
        return MultiScaleGenerator(**arguments)
    return ResNetUNet(**arguments) if network == "resnet34-unet" else PlainUNet(**arguments)


def least_size(network: NetworkName, depth: int = DEPTH) -> int:
    """The smallest side of a network's input: instance normalisation needs two pixels at the bottom."""
    return stride_of(network, depth) * (2 if network == "mca" else 1)


def stride_of(network: NetworkName, depth: int = DEPTH) -> int:
    """What both sides of a network's input must divide by."""
    return 32 if network == "resnet34-unet" else 2**depth


def halvings(network: NetworkName, depth: int, size: int) -> int:
    """How often a network halves films of ``size``: pix2pix's eight times, seven where that cannot be."""
    if network == "mca":
        return depth
    return UNET_DEPTH if size % 2**UNET_DEPTH == 0 else UNET_DEPTH - 1
