"""LPIPS (Zhang et al. 2018), where the user has its photograph network: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from suite.errors import WeightsError
from suite.study import FloatImage

TrunkName = Literal["alex", "vgg"]

FIRST = "features.0.weight"
TRUNKS: dict[tuple[int, ...], TrunkName] = {(64, 3, 11, 11): "alex", (64, 3, 3, 3): "vgg"}
"""The two networks by the shape of their first kernel."""

LEAST_SIDE = 64
"""Smaller pictures do not survive the networks' halvings."""

Distance = Callable[[FloatImage, FloatImage], float]


def load_lpips(path: Path) -> Distance:
    """LPIPS of two images (H, W) in [0, 1], 0 for equal ones; NaN below 64 pixels a side.

    Args:
        path: torchvision's ``alexnet`` or ``vgg16`` as a safetensors file; the weights of its layers come
            with torchmetrics.

    Raises:
        WeightsError: the file is neither.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path}: is no readable safetensors file ({error}); give torchvision's alexnet or vgg16 in that "
            "format."
        ) from error
    first = state.get(FIRST)
    name = None if first is None else TRUNKS.get(tuple(first.shape))
    if name is None:
        raise WeightsError(f"{path}: holds neither torchvision's alexnet nor its vgg16; give one of them.")
    network = _built(name, state, path)

    def distance(first: FloatImage, second: FloatImage) -> float:
        if min(first.shape) < LEAST_SIDE:
            return float("nan")
        with torch.inference_mode():
            return float(network(_colour(first), _colour(second), normalize=True))

    return distance


def _colour(image: FloatImage) -> Tensor:
    """A grey picture (H, W) as a colour one (1, 3, H, W)."""
    return torch.from_numpy(image).clamp(0, 1).expand(1, 3, *image.shape)


def _built(name: TrunkName, state: dict[str, Tensor], path: Path) -> nn.Module:
    """torchmetrics' network with the tensors of torchvision's, which are numbered as they are there."""
    from torchmetrics.functional.image.lpips import _LPIPS

    with torch.random.fork_rng(devices=[]):  # its numbers at random are replaced, and no draw depends on them
        network = _LPIPS(net=name, pnet_rand=True)
    trunk = {}
    for key in network.net.state_dict():  # sliceN.NUMBER.weight
        wanted = f"features.{key.partition('.')[2]}"
        if wanted not in state:
            raise WeightsError(f"{path}: lacks {wanted}; give the whole network.")
        trunk[key] = state[wanted].float()
    try:
        network.net.load_state_dict(trunk)
    except RuntimeError as error:
        raise WeightsError(f"{path}: is not torchvision's {name} whole; give that network.") from error
    return network.eval()
