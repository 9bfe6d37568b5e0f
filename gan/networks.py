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
    if network == "mca":
        return 2**depth
    return 32 if network == "resnet34-unet" else 2**UNET_DEPTH
