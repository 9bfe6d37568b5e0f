"""Squares around the places of breaks: of the film, of true layers, and of what the bone network draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from benchmarks.breaks.chests import SIZE
from gan.networks import build_generator
from gan.pairs import AS_BSE, AS_TRUE
from gan.suppression import LARGEST_BONE
from suite.errors import InputError
from suite.stages.weights import read_card, rebuild
from suite.storage import write_bytes
from suite.training.bank import FULL_SCALE

SQUARE = 96
"""Side of the squares that are kept around a place."""

PLANES = ("film", "true", "hardware", "network", "shown")
"""Of each square; ``network`` is in the true convention, ``shown`` in the stage's."""


@dataclass(frozen=True, slots=True)
class Squares:
    """Squares around the places of some patients' breaks.

    Attributes:
        planes: int16 (M, 2, 5, SQUARE, SQUARE): of each place broken and whole, of each the ``PLANES``.
        patients: (M,) whose each place is.
    """

    planes: Tensor
    patients: npt.NDArray[np.intp]

    def of(self, chosen: npt.NDArray[np.bool_]) -> Squares:
        """Those of some places."""
        return Squares(self.planes[torch.from_numpy(chosen)], self.patients[chosen])


class Layers:
    """The bone network, asked for both conventions of a layer."""

    def __init__(self, card_path: Path) -> None:
        card = read_card(card_path)
        if int(card.content["input"]["size"]) != SIZE:
            raise InputError(
                f"{card_path}: reads films of another size than {SIZE}; give weights that do not."
            )
        self.sha256 = card.sha256
        self.network = rebuild(build_generator, card)

    def __call__(self, films: Tensor) -> Tensor:
        """The layers (N, 2, H, W) int16 of films (N, H, W) int16: as true, as shown."""
        shown = films[:, None].float() / FULL_SCALE
        drawn = []
        with torch.inference_mode():
            for convention in (AS_TRUE, AS_BSE):
                asked = torch.full((len(films),), convention, dtype=torch.long)
                drawn.append(self.network(shown, asked).float())
        return (torch.cat(drawn, 1) / LARGEST_BONE).clamp(0.0, 1.0).mul(FULL_SCALE).round().to(torch.int16)


def kept_squares(path: Path, chests: Sequence[Path], layers: Layers) -> Squares:
    """``read_squares`` of the chests, or what it found before, in the file ``path``."""
    if not path.is_file():
        squares = read_squares(chests, layers)
        stored = {"planes": squares.planes, "patients": torch.from_numpy(squares.patients)}
        write_bytes(path, save(stored))
    kept = load_file(path)
    return Squares(kept["planes"], kept["patients"].numpy())


def read_squares(paths: Sequence[Path], layers: Layers) -> Squares:
    """All squares of the chests of ``paths``, which are in the order of their patients."""
    found: list[Tensor] = []
    owners: list[int] = []
    for index, path in enumerate(paths):
        with np.load(path) as chest:
            stacks = [
                np.stack([chest[f"{name}_{state}"] for name in PLANES[:3]]) for state in ("broken", "whole")
            ]
            places = chest["places"]
        planes = torch.from_numpy(np.stack(stacks))
        planes = torch.cat((planes, layers(planes[:, 0])), 1)  # (2, 5, H, W)
        for place in places:
            top, left = (int(np.clip(at - SQUARE // 2, 0, SIZE - SQUARE)) for at in place)
            found.append(planes[..., top : top + SQUARE, left : left + SQUARE])
            owners.append(index)
    return Squares(torch.stack(found), np.array(owners))
