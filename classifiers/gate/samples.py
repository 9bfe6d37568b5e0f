"""What the gate learns from and is measured on: films with what was done to them, and what is no chest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from classifiers.gate import distortions
from classifiers.gate.network import VIEWS
from classifiers.gate.pictures import contact_sheet, draw_picture, scramble
from classifiers.gate.radiographs import draw_radiograph
from suite.datasets.manifest import FilmFile
from suite.framing import frame
from suite.study import FloatImage
from suite.training.films import load_film

STORED_SIDE = 160
SHARES = {"frontal": 0.44, "lateral": 0.16, "part": 0.1, "other": 0.3}
"""How often each view is drawn in training."""


def small(pixels: FloatImage) -> NDArray[np.uint16]:
    """A film (H, W) in [0, 1] with its longest side brought to 160 pixels."""
    scale = STORED_SIDE / max(pixels.shape)
    shape = tuple(max(16, round(side * scale)) for side in pixels.shape)
    resized = cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return np.rint(np.clip(resized, 0.0, 1.0) * 65535).astype(np.uint16)


def open_small(stored: NDArray[np.uint16]) -> FloatImage:
    """The film of ``small`` back in [0, 1]."""
    return stored.astype(np.float32) / np.float32(65535)


@dataclass(slots=True)
class FilmStore:
    """Films of one part of the split, small, in memory."""

    frontal: list[NDArray[np.uint16]] = field(default_factory=list)
    lateral: list[NDArray[np.uint16]] = field(default_factory=list)
    phantom_frontal: list[NDArray[np.uint16]] = field(default_factory=list)
    phantom_lateral: list[NDArray[np.uint16]] = field(default_factory=list)

    def pick(self, rng: np.random.Generator, view: str) -> FloatImage:
        """Any film of a view: half of the laterals are real, seven eighths of the frontals."""
        real, drawn = (
            (self.frontal, self.phantom_frontal)
            if view == "frontal"
            else (self.lateral, self.phantom_lateral)
        )
        share = 0.875 if view == "frontal" else 0.5
        films = real if real and (not drawn or rng.random() < share) else drawn
        return open_small(films[int(rng.integers(len(films)))])


def read_films(files: Iterable[FilmFile]) -> list[NDArray[np.uint16]]:
    """Films from their files."""
    return [small(load_film(file)) for file in files]


def phantom_films(seeds: Sequence[int]) -> tuple[list[NDArray[np.uint16]], list[NDArray[np.uint16]]]:
    """Frontal and lateral films of computed thoraces, one pair a seed."""
    from suite.phantom import render_study

    frontals, laterals = [], []
    for seed in seeds:
        study = render_study(seed, size=128, lateral=True, oversample=1)
        frontals.append(small(study.frontal))
        if study.lateral is not None:
            laterals.append(small(study.lateral))
    return frontals, laterals


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture and what is true of it; ``turn`` -1 and NaN mean that the question does not arise."""

    picture: FloatImage
    view: int
    turn: int = -1
    inverted: float = float("nan")
    mirrored: float = float("nan")


def draw_sample(store: FilmStore, rng: np.random.Generator) -> Sample:
    """One training picture; half of the frontals are as they should be."""
    view = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    if view == "other":
        return Sample(draw_other(store, rng), VIEWS.index("other"))
    source = view if view != "part" else ("frontal" if rng.random() < 0.75 else "lateral")
    film = store.pick(rng, source)
    if view == "part":
        film = distortions.part_of_chest(film, rng)
    film = distortions.permitted(film, rng, 0.82 if view != "part" else 0.95)
    turn = 0 if rng.random() < 0.55 else int(rng.integers(1, 4))
    inverted, mirrored = bool(rng.random() < 0.25), bool(rng.random() < 0.35)
    picture = distortions.oriented(film, turn, mirrored=mirrored, inverted=inverted)
    if rng.random() < 0.1:
        picture = distortions.margin(picture, rng, 0.15)
    return Sample(
        picture,
        VIEWS.index(view),
        turn if view != "part" else -1,
        float(inverted),
        # Sides are asked of films that otherwise lie as they should; of the others it is too hard a riddle.
        float(mirrored) if view == "frontal" and turn == 0 and not inverted else float("nan"),
    )


def draw_other(store: FilmStore, rng: np.random.Generator) -> FloatImage:
    """Something that is no single chest film."""
    kind = rng.random()
    if kind < 0.6:
        picture = draw_radiograph(rng)
        if rng.random() < 0.7:
            picture = distortions.bend(picture, rng)
        if rng.random() < 0.4:
            picture = distortions.collimate(picture, rng, 0.4, white=0.6)
    elif kind < 0.82:
        picture = draw_picture(rng)
    elif kind < 0.91:
        picture = scramble(store.pick(rng, "frontal"), rng)
    else:
        views = ("frontal", "lateral") if rng.random() < 0.5 else ("frontal",) * int(rng.choice((2, 4)))
        picture = contact_sheet([store.pick(rng, view) for view in views])
    turn = int(rng.integers(0, 4))
    picture = distortions.oriented(
        picture, turn, mirrored=bool(rng.random() < 0.5), inverted=bool(rng.random() < 0.15)
    )
    return distortions.permitted(picture, rng, 0.7)


class GateSet(Dataset[Mapping[str, Tensor]]):
    """Drawn anew for every item: ``film`` (1, size, size), and the ``Sample``'s truths as tensors."""

    def __init__(self, store: FilmStore, pictures: int, size: int) -> None:
        self.store = store
        self.pictures = pictures
        self.size = size

    def __len__(self) -> int:
        return self.pictures

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        # The loop gives each item its own torch stream; numpy's follows from it.
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        sample = draw_sample(self.store, rng)
        return {
            "film": torch.from_numpy(frame(sample.picture, self.size).pixels)[None],
            "view": torch.tensor(sample.view),
            "turn": torch.tensor(sample.turn),
            "inverted": torch.tensor(sample.inverted),
            "mirrored": torch.tensor(sample.mirrored),
        }
