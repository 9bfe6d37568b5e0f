"""Computed chests as detectors of breaks are shown them: film, bone layers, and where bones are broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan.hardware import subtracted
from gan.networks import build_generator
from gan.pairs import AS_TRUE, framed_pair, pair_of
from gan.recipe import BoneRecipe
from gan.suppression import LARGEST_BONE
from suite.datasets.manifest import Record
from suite.framing import frame
from suite.stages.weights import ModelCard, rebuild
from suite.training.bank import FULL_SCALE, Bank, Planes

CHUNK = 8
"""Films that a network is shown at once."""


def decoded(records: Sequence[Record], size: int) -> Bank:
    """Film, true layer, the hardware's bone image and breaks of computed chests, each (1, size, size).

    The true layer is in units of the largest bone that the network may draw; the hardware's image has a
    window of its own, as it is displayed.
    """

    def read(record: Record) -> Planes:
        framed = framed_pair(pair_of(record), size)
        film, layer = framed["pair"]
        return {
            "film": film[None],
            "true": np.clip(layer / LARGEST_BONE, 0.0, 1.0)[None].astype(np.float32),
            "hardware": frame(subtracted(record)[1], size).pixels[None],
            "breaks": framed["regions"][1:],
        }

    return Bank.decode(records, read)


def network_layers(films: Tensor, network: nn.Module, convention: int, size: int, own: int) -> Tensor:
    """The network's layer of stored films (N, 1, H, W) int16, as the true one: int16 (N, 1, size, size).

    Films are shown to the network at its ``own`` size, whatever the detector's ``size`` is.
    """
    layers = []
    for chunk in films.split(CHUNK):
        film = _resized(chunk.float() / FULL_SCALE, own)
        asked = torch.full((len(film),), convention, dtype=torch.long, device=film.device)
        with torch.inference_mode():
            layer = _resized(network(film, asked).float(), size)
        layers.append((layer / LARGEST_BONE).clamp(0.0, 1.0).mul(FULL_SCALE).round().to(torch.int16))
    return torch.cat(layers)


def _resized(planes: Tensor, side: int) -> Tensor:
    if planes.shape[-1] == side:
        return planes
    return interpolate(planes, size=(side, side), mode="bilinear", antialias=True)


def banks_of(
    parts: Mapping[str, Sequence[Record]], card: ModelCard, size: int, device: torch.device
) -> dict[str, Bank]:
    """The parts on the device, the network's layers included."""
    generator = rebuild(build_generator, card).to(device)
    conventions = BoneRecipe.checked(card.content["recipe"]).conventions
    convention = conventions.index(AS_TRUE) if AS_TRUE in conventions else 0
    own = int(card.content["input"]["size"])
    banks = {}
    for part, records in parts.items():
        bank = decoded(records, size).to(device)
        films = bank.stored["film"] if size >= own else _films(records, own).to(device)
        layers = network_layers(films, generator, convention, size, own)
        banks[part] = Bank({**bank.stored, "network": layers})
    return banks


def _films(records: Sequence[Record], size: int) -> Tensor:
    def read(record: Record) -> Planes:
        return {"film": frame(pair_of(record).film, size).pixels[None]}

    return Bank.decode(records, read).stored["film"]
