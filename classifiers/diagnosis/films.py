"""Studies as the diagnosis network sees them, decoded once and kept on the training device.

A study's planes are its framed film, the lung mask and the bone layers on the film's frame, the lateral, and
where each finding is, as far as the set knows. Lungs and bones come from the installed stages, found by name,
or from the set's own truth. ``StudyFilms`` can be written to a file, which the runs of an ablation share.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from classifiers.diagnosis.bone_sources import DualEnergy, require_target
from classifiers.diagnosis.channels import BoneSource, bone_plane
from suite.datasets import phantom
from suite.datasets.manifest import Record
from suite.errors import DatasetError, WeightsError
from suite.findings import CODES
from suite.framing import Framed, frame
from suite.grid import Grid
from suite.stages.contract import Artifact
from suite.stages.plugins import load_stage
from suite.stages.weights import in_place_of_shipped, read_card, weights_in_use
from suite.storage import write_bytes
from suite.study import FloatImage, Mask, Radiograph
from suite.training.bank import Bank
from suite.training.films import load_film, open_film, read_mask

LungSource = Literal["stage", "true"]

MASK_STRIDE = 4
"""Finding masks are kept at a quarter of the films' size: a cell is 1 where any part of it is the finding."""

FORMAT = "radsuite.study_films/1"
_DUAL_ENERGY_FLOOR = 0.2
"""Grey of no bone in the dual-energy plane: what scatter leaves below zero is not cut off."""


@dataclass(frozen=True, slots=True)
class FilmSettings:
    """What the planes depend on beside the records.

    Attributes:
        size: side of the network's input.
        bones: which bone layers to make; ``copy`` needs none.
        lungs: whose lung mask: the installed stage's, or the set's own.
        bone_weights: model card of another generator for the bone stage; empty: the shipped one.
    """

    size: int
    bones: tuple[BoneSource, ...] = ("gan",)
    lungs: LungSource = "stage"
    bone_weights: str = ""

    def planes(self) -> tuple[str, ...]:
        """Names of the bone planes, ``bone_SOURCE``."""
        return tuple(f"bone_{source}" for source in self.bones if source != "copy")


def input_weights(settings: FilmSettings, planes: Sequence[str]) -> dict[str, str | None]:
    """sha256 of the weights that make the ``planes``, by stage; ``None`` for what is the set's own truth.

    The bone stage reads the lungs, so its layer depends on both.
    """
    from_stage = "bone-subtracted" in planes
    made: dict[str, str | None] = {}
    if from_stage or "lung-segmented" in planes:
        made["lungs"] = weights_in_use("lungs") if settings.lungs == "stage" else None
    if from_stage:
        own = settings.bone_weights
        made["bone"] = read_card(Path(own)).sha256 if own else weights_in_use("bone")
    elif {"true-bone", "dual-energy"} & set(planes):
        made["bone"] = None
    return made


class PlaneReader:
    """``reader(record)`` decodes one study; safe to call from several threads."""

    def __init__(
        self,
        settings: FilmSettings,
        records: Sequence[Record],
        device: str,
        calibration: Sequence[Record],
    ) -> None:
        self.settings = settings
        self._dual_energy: DualEnergy | None = None
        if "dual_energy" in settings.bones:
            for target in ("low", "high"):
                require_target(records, target, "bone_source=dual_energy")
            self._dual_energy = DualEnergy.calibrate(calibration)
        if "true" in settings.bones:
            require_target(records, "bone", "bone_source=true")
        if settings.lungs == "true":
            require_target(records, "lung_mask", "lung_source=true")
        self._lungs: Any = load_stage("lungs")(device) if settings.lungs == "stage" else None
        self._bone: Any = _bone_stage(device, settings.bone_weights) if "gan" in settings.bones else None

    def __call__(self, record: Record) -> Mapping[str, NDArray[Any]]:
        film = open_film(record.frontal)
        framed = frame(film.pixels, self.settings.size)
        lungs = self._lung_mask(record, film)
        planes: dict[str, NDArray[Any]] = {
            "film": framed.pixels[None],
            "lungs": framed.grid.apply((lungs > 0).astype(np.float32))[None],
        }
        for source, name in zip(self._sources, self.settings.planes(), strict=True):
            planes[name] = self._bone_plane(source, record, film, lungs, framed)[None]
        planes |= self._lateral(record)
        planes["masks"] = _finding_masks(record, "finding_", framed.grid, self.settings.size)
        planes["labels"] = np.array(record.labels, dtype=np.float32)
        planes["uncertain"] = np.array(record.uncertain, dtype=np.float32)
        planes["shape"] = np.array(film.shape, dtype=np.float32)
        planes["has_lateral"] = np.array([record.lateral is not None], dtype=np.float32)
        planes["has_masks"] = np.array(["truth" in record.targets], dtype=np.float32)
        return planes

    @property
    def _sources(self) -> tuple[BoneSource, ...]:
        return tuple(source for source in self.settings.bones if source != "copy")

    def _lung_mask(self, record: Record, film: Radiograph) -> Mask:
        if self._lungs is None:
            return read_mask(record.targets["lung_mask"])
        made = self._lungs.run([{"frontal": Artifact(film, Grid.of(film.shape))}])[0]
        return np.asarray(made["lung_mask"].value)

    def _bone_plane(
        self, source: BoneSource, record: Record, film: Radiograph, lungs: Mask, framed: Framed
    ) -> FloatImage:
        if source == "dual_energy" and self._dual_energy is not None:
            bone = framed.grid.apply(self._dual_energy(record))
            shown = _DUAL_ENERGY_FLOOR + (1.0 - _DUAL_ENERGY_FLOOR) * bone
            return np.clip(shown, 0.0, 1.0).astype(np.float32)
        if source == "true":
            return bone_plane(phantom.bone_layer(record), framed)
        grid = Grid.of(film.shape)
        made = self._bone.run([{"frontal": Artifact(film, grid), "lung_mask": Artifact(lungs, grid)}])[0]
        return bone_plane(made["bone_subtracted"].value, framed)

    def _lateral(self, record: Record) -> dict[str, NDArray[Any]]:
        size = self.settings.size
        if record.lateral is None:
            side = size // MASK_STRIDE
            return {
                "lateral": np.zeros((1, size, size), np.float32),
                "lateral_masks": np.zeros((len(CODES), side, side), np.uint8),
            }
        framed = frame(load_film(record.lateral), size)
        masks = _finding_masks(record, "lateral_finding_", framed.grid, size)
        return {"lateral": framed.pixels[None], "lateral_masks": masks}


def _bone_stage(device: str, weights: str) -> Any:
    """The installed bone stage, with the generator of the card ``weights`` when one is named."""
    if not weights:
        return load_stage("bone")(device)
    with in_place_of_shipped("bone", Path(weights)):
        return load_stage("bone")(device)


def _finding_masks(record: Record, prefix: str, grid: Grid, size: int) -> Mask:
    """Where each finding shows (13, size/4, size/4), 0 or 1."""
    side = size // MASK_STRIDE
    planes = np.zeros((len(CODES), side, side), np.uint8)
    for index, code in enumerate(CODES):
        path = record.targets.get(prefix + code)
        if path is not None:
            planes[index] = _shrunk(read_mask(path), grid, size)
    return planes


def _shrunk(mask: Mask, grid: Grid, size: int) -> Mask:
    """A mask (H, W) on a quarter of the frame, by maximum: no speck is lost."""
    square = grid.steps[0].apply(np.asarray(mask > 0, np.uint8), "nearest")
    reach = max(1, -(-len(square) * MASK_STRIDE // size))
    if reach > 1:
        square = cv2.dilate(square, np.ones((reach, reach), np.uint8))
    side = size // MASK_STRIDE
    at = np.minimum(((np.arange(side) + 0.5) * len(square) / side).astype(int), len(square) - 1)
    return np.asarray(square[np.ix_(at, at)])


class StudyFilms:
    """Decoded studies by record, on one device.

    Attributes:
        rows: the row of each study in the bank, by its frontal film as a word.
        bank: the planes.
    """

    def __init__(self, rows: Mapping[str, int], bank: Bank) -> None:
        self.rows = rows
        self.bank = bank

    @classmethod
    def decode(
        cls,
        records: Sequence[Record],
        settings: FilmSettings,
        device: str,
        calibration: Sequence[Record] | None = None,
    ) -> Self:
        """Read all ``records``; stages run on ``device``, where the planes are then kept.

        Dual energy is calibrated on ``calibration``, or on the records themselves.

        Raises:
            DatasetError: a record lacks what the settings ask of it.
        """
        reader = PlaneReader(settings, records, device, calibration or records)
        bank = Bank.decode(records, reader, threads=min(16, os.cpu_count() or 1))
        rows = {str(record.frontal): row for row, record in enumerate(records)}
        return cls(rows, bank.to(torch.device(device)))

    def rows_of(self, records: Iterable[Record]) -> list[int]:
        """The rows of ``records``, in their order."""
        return [self.rows[str(record.frontal)] for record in records]

    def save(self, path: Path, key: str) -> None:
        """Write all planes to ``path``; ``key`` says what they were made of."""
        metadata = {"format": FORMAT, "key": key, "rows": json.dumps(dict(self.rows))}
        write_bytes(path, save({name: value.cpu() for name, value in self.bank.stored.items()}, metadata))

    @classmethod
    def load(cls, path: Path, key: str, device: str, names: Sequence[str] | None = None) -> Self:
        """Planes that ``save`` wrote; only those in ``names``, when given.

        Raises:
            WeightsError: the file is damaged, or was made of something else than ``key``.
        """
        try:
            with safe_open(path, framework="pt", device=device) as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT or metadata.get("key") != key:
                    raise WeightsError(f"{path}: holds other films than asked for; remove it.")
                kept = [name for name in file.keys() if names is None or name in names]  # noqa: SIM118
                stored = {name: file.get_tensor(name) for name in kept}
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{path}: is no readable file of films ({error}); remove it.") from error
        return cls(json.loads(metadata["rows"]), Bank(stored))

    def batch(self, rows: Tensor, bone: str) -> dict[str, Tensor]:
        """Planes of ``rows`` (B,) with the bone layer ``bone_SOURCE`` as ``bone``; without one, the film."""
        names = [name for name in self.bank.stored if not name.startswith("bone_")]
        chosen = {name: self.bank.stored[name] for name in names}
        chosen["bone"] = self.bank.stored.get(bone, self.bank.stored["film"])
        return Bank(chosen).gather(rows)


def check_films(films: StudyFilms, records: Sequence[Record]) -> None:
    """Fail unless all ``records`` are there.

    Raises:
        DatasetError: one is not.
    """
    for record in records:
        if str(record.frontal) not in films.rows:
            raise DatasetError(f"{record.id}: is not among the decoded films; decode them again.")
