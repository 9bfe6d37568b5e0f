"""How lung outlines are measured: overlap and distance by side, and how much of a hidden lung is found."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from segmentation.films import answers, over_films, plane_dice
from segmentation.lungs.parting import midline, missed_medially, share_of
from segmentation.lungs.stage import SIDES, Lungs, read_lungs
from segmentation.lungs.truth import knows_whole, lung_planes
from segmentation.scores import dice, outline_distances
from segmentation.test_time import AS_IT_IS, NOTE, UNMIRRORED, Variant, changes
from suite.datasets.manifest import Record
from suite.datasets.outlines import has_sides, lung_union
from suite.datasets.phantom import finding_mask
from suite.findings import CODES
from suite.study import Mask
from suite.training.bank import Bank
from suite.training.cross_table import figures_by_dataset
from suite.training.evaluation import Evaluation, Figure
from suite.training.films import check_aspect, load_film
from suite.training.gallery import GalleryFilm, Overlay
from suite.training.intervals import mean_figure

SCORES = ("dice", "right", "left")
"""Dice of both lungs as one mask, and of each: what every set of outlines has."""

PARTED = ("covid-lungs",)
"""Sets without sides of which right lungs are compared all the same, parted at the midline."""

POOR_DICE = 0.8
"""Below this an outline is of no use; the share of such films says more than a mean."""

OPAQUE = ("pleural_effusion", "consolidation", "atelectasis")
"""Findings that hide a lung: its outline is cut short where a network takes what is white for no lung."""

JSRT_MILLIMETRES = 2048 * 0.175
"""Side of a JSRT film: 2048 pixels of 0.175 mm."""

NOTE_OF_ALL = (
    "Dice per film at the outlines' own resolution, hd95 the 95th-percentile Hausdorff distance in mm at "
    "the detector; intervals by bootstrap over patients."
)

NOTES_OF_SETS = {
    "covid-lungs": "covid_lungs: sides are parted at the midline between the lungs; its left outlines "
    "include the lung behind the heart, so that right lungs are compared; right_whole, left_whole: whole "
    "lungs against the same outlines; right_missed_medially: share of what is missed of right lungs that "
    "lies between outline and midline.",
    "phantom": "found_*: share of the visible field under a finding that the visible outline has, whole_*: "
    "of the whole lung under it that the whole outline has; found_hidden: share of the lung behind heart "
    "and diaphragm that the whole outline has. All on computed films.",
}
"""What the figures of a data set are, where it is measured on."""

Rows = Sequence[Mapping[str, Any]]

UNSCORED = ("dataset", "film", "patient")
"""Columns of a row that are no figures."""


@dataclass(frozen=True, slots=True)
class Reader:
    """By which network films are read, at what side of its input, and in which ways."""

    model: nn.Module
    size: int
    ways: tuple[Variant, ...] = (AS_IT_IS,)

    def lungs(self, record: Record, truth: Mask) -> Lungs:
        """What it finds on the film of an outline."""
        film = load_film(record.frontal)
        check_aspect(truth, film.shape, record)
        return read_lungs(self.model, film, self.size, next(self.model.parameters()).device, self.ways)


Measure = Callable[[Reader, Record], dict[str, Any]]


def validated(model: nn.Module, bank: Bank) -> Evaluation:
    """Mean Dice of the visible fields on the network's own grid, real and computed films weighing the same.

    The two kinds are told apart by what is known of them; where no side is, both lungs are one mask.
    """
    if not len(bank):
        return Evaluation({"dice": Figure(math.nan)})
    scores, fields, kinds = [], [], []
    for batch, logits in answers(model, bank):
        claimed, drawn = logits > 0, batch["mask"][:, : logits.shape[1]] > 0.5
        scores.append(plane_dice(claimed, drawn).cpu())
        either = plane_dice(claimed[:, :2].any(1, keepdim=True), drawn[:, :1])[:, 0].cpu()
        sided = batch["known"].amax(1).cpu() > 0
        fields.append(torch.where(sided, scores[-1][:, :2].mean(1), either))
        kinds.append(batch["known"][:, -1].cpu() > 0)
    every, visible, whole = torch.cat(scores), torch.cat(fields), torch.cat(kinds)
    parts = [float(visible[kind].mean()) for kind in (whole, ~whole) if kind.any()]
    figures = {"dice": Figure(sum(parts) / len(parts), n=len(every))}
    if whole.any() and every.shape[1] > 2:
        figures["dice_whole"] = Figure(float(every[whole][:, 2:].mean()), n=int(whole.sum()))
    return Evaluation(figures)


def measured_on(
    model: nn.Module,
    size: int,
    films: Mapping[str, tuple[Record, ...]],
    seed: int,
    *,
    tta: bool = False,
) -> Evaluation:
    """Figures of every data set, the first one's without a prefix.

    Args:
        model: the network.
        size: side of its input.
        films: the records of each set.
        seed: of the bootstrap.
        tta: read every film in the ways of ``UNMIRRORED``; what that changes is measured, too.
    """
    reader = Reader(model, size, UNMIRRORED if tta else (AS_IT_IS,))
    rng = np.random.default_rng(seed)
    figures: dict[str, Figure] = {}
    every: list[dict[str, Any]] = []
    gallery: list[GalleryFilm] = []
    for dataset, records in films.items():
        row = _sided_row if all(map(has_sides, records)) else _parted_row if dataset in PARTED else _row
        measure = partial(_with_changes, row) if tta else row
        rows = [{"dataset": dataset, **each} for each in over_films(partial(measure, reader), records)]
        prefix = f"{dataset.replace('-', '_')}_" if every or dataset != "jsrt" else ""
        figures |= _figures(rows, prefix, rng)
        gallery += [
            GalleryFilm(f"{dataset} {record.id}", _telling(each), partial(_overlay, reader, record))
            for record, each in zip(records, rows, strict=True)
        ]
        every += rows
    notes = [NOTE_OF_ALL, *(note for name, note in NOTES_OF_SETS.items() if name in films)]
    return Evaluation(
        figures,
        every,
        (*notes, NOTE) if tta else tuple(notes),
        spread=SCORES,
        gallery=gallery,
        by_dataset=figures_by_dataset(every, SCORES, rng),
    )


def _figures(rows: Rows, prefix: str, rng: np.random.Generator) -> dict[str, Figure]:
    """Means over the films that have each figure; a figure no film has is left out."""
    if not rows:
        return {f"{prefix}{key}": Figure(math.nan) for key in SCORES}
    owners = [str(row["patient"]) for row in rows]
    columns = dict.fromkeys(key for row in rows for key in row if key not in UNSCORED)
    values = {key: np.array([float(row.get(key, math.nan)) for row in rows]) for key in columns}
    known = {key: each for key, each in values.items() if not np.isnan(each).all()}
    found = {f"{prefix}{key}": mean_figure(each, owners, rng) for key, each in known.items()}
    if "right" not in values:
        return found
    poor = (values["right"] < POOR_DICE).astype(np.float64)
    return {**found, f"{prefix}share_below_{POOR_DICE:.2f}_right": mean_figure(poor, owners, rng)}


def _telling(row: Mapping[str, Any]) -> float:
    """The score by which a film gets into the gallery."""
    return float(row["right"] if "left_whole" in row else row["dice"])


def _with_changes(row: Measure, reader: Reader, record: Record) -> dict[str, Any]:
    """What ``row`` measures on a film, and how much of that is due to its being read in several ways."""
    found, once = row(reader, record), row(replace(reader, ways=(AS_IT_IS,)), record)
    return found | changes(found, once, [key for key in found if key not in UNSCORED])


def _sided_row(reader: Reader, record: Record) -> dict[str, Any]:
    """What is measured on a film whose sides are told apart."""
    truth = lung_planes(record)
    lungs = reader.lungs(record, truth)
    rows, columns = truth.shape[:2]
    visible = at_shape(lungs.visible, (rows, columns))
    row: dict[str, Any] = {
        "film": record.id,
        "patient": record.patient_id,
        "dice": dice((visible > 0).astype(np.uint8), truth[..., :2].max(axis=-1)),
    }
    spacing = _spacing(record, rows, columns)
    for plane, (side, value) in enumerate(SIDES.items()):
        own = (visible == value).astype(np.uint8)
        row[side] = dice(own, truth[..., plane])
        if spacing is not None:
            row[f"hd95_{side}_mm"] = outline_distances(own, truth[..., plane], spacing).hd95
    if knows_whole(record):
        row |= _hidden(record, truth, visible, lungs.whole)
    return row


def _hidden(record: Record, truth: Mask, visible: Mask, whole: Mask | None) -> dict[str, float]:
    """How much of what a film hides is found, on a computed film that knows it."""
    field, lung = truth[..., :2].max(axis=-1) > 0, truth[..., 2:].max(axis=-1) > 0
    every = None if whole is None else at_shape(whole, (truth.shape[0], truth.shape[1])) > 0
    found = {}
    for code in OPAQUE:
        if record.labels[CODES.index(code)] == 1.0:
            under = finding_mask(record, code) > 0
            found[f"found_{code}"] = share_of(visible > 0, field & under)
            if every is not None:
                found[f"whole_{code}"] = share_of(every, lung & under)
    if every is not None:
        found["whole"] = dice(every.astype(np.uint8), lung.astype(np.uint8))
        found["found_hidden"] = share_of(every, lung & ~field)
    return found


def _row(reader: Reader, record: Record) -> dict[str, Any]:
    """Both lungs as one mask, where the outline does not tell them apart."""
    truth = _union(record)
    visible = at_shape(reader.lungs(record, truth).visible, (truth.shape[0], truth.shape[1]))
    overlap = dice((visible > 0).astype(np.uint8), truth)
    return {"film": record.id, "patient": record.patient_id, "dice": overlap}


def _parted_row(reader: Reader, record: Record) -> dict[str, Any]:
    """Right and left Dice where the truth does not tell the sides apart: each half is judged by the midline.

    The midline is halfway between the two lungs of the human outline.
    """
    truth = _union(record)
    lungs = reader.lungs(record, truth)
    shape = (truth.shape[0], truth.shape[1])
    visible = (at_shape(lungs.visible, shape) > 0).astype(np.uint8)
    middle = midline(truth)
    row = {
        "film": record.id,
        "patient": record.patient_id,
        "dice": dice(visible, truth),
        "right": dice(visible[:, :middle], truth[:, :middle]),
        "left": dice(visible[:, middle:], truth[:, middle:]),
        "right_missed_medially": missed_medially(visible[:, :middle], truth[:, :middle]),
        "right_whole": math.nan,
        "left_whole": math.nan,
    }
    if lungs.whole is not None:
        whole = (at_shape(lungs.whole, shape) > 0).astype(np.uint8)
        row["right_whole"] = dice(whole[:, :middle], truth[:, :middle])
        row["left_whole"] = dice(whole[:, middle:], truth[:, middle:])
    return row


def _union(record: Record) -> Mask:
    return (lung_union(record) > 0).astype(np.uint8)


def _spacing(record: Record, rows: int, columns: int) -> tuple[float, float] | None:
    """Row and column spacing of the outlines in mm at the detector, where the data set knows it."""
    if "organs" in record.targets or "right_clavicle" in record.targets:
        return JSRT_MILLIMETRES / rows, JSRT_MILLIMETRES / columns
    stated = record.attributes.get("spacing_mm")
    return (float(stated), float(stated)) if stated else None


def at_shape(mask: Mask, shape: tuple[int, int]) -> Mask:
    """A mask on the film's matrix brought to the outline's, which may be finer (JSRT: 224 and 512)."""
    if mask.shape == shape:
        return mask
    return np.asarray(cv2.resize(mask, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST_EXACT))


def _overlay(reader: Reader, record: Record) -> Overlay:
    truth = lung_planes(record)[..., :2] if has_sides(record) else _union(record)
    return Overlay(load_film(record.frontal), truth, reader.lungs(record, truth).visible)
