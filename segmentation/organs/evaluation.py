"""How organ outlines are measured: overlap of each organ, and the cardiothoracic ratio's agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from segmentation.films import answers
from segmentation.organs.outlines import Outputs, probabilities
from segmentation.organs.ratio import heart_size
from segmentation.scores import dice, iou
from segmentation.test_time import CHANGE, changes
from suite.datasets.manifest import Record
from suite.datasets.outlines import ORGANS
from suite.study import Mask
from suite.training.bank import Bank
from suite.training.evaluation import Evaluation, Figure
from suite.training.intervals import bootstrap, mean_figure

GROUPS: dict[str, tuple[str, ...]] = {
    "lungs": ("right_lung", "left_lung"),
    "heart": ("heart",),
    "clavicles": ("right_clavicle", "left_clavicle"),
}
"""The three structures of the published tables: both lungs are one mask, and both clavicles."""

OVERLAPS = tuple(f"jaccard_{group}" for group in GROUPS)

NOTES = (
    "Overlap per film on the outlines' own matrix, both lungs as one mask and both clavicles; ratio_error is "
    "the mean absolute difference to the outlines' ratio, ratio_bias its mean, ratio_limits_* the limits of "
    "agreement (bias -/+ 1.96 standard deviations); 95 % intervals by bootstrap over patients.",
    "Published Jaccard on JSRT: lungs 0.950, heart 0.882, clavicles 0.868 (Novikov 2018); second human "
    "observer 0.946, 0.878, 0.896 (van Ginneken 2006).",
)

Rows = Sequence[Mapping[str, Any]]


def validated(model: nn.Module, bank: Bank, outputs: Outputs) -> Evaluation:
    """Mean Jaccard of each structure on the network's own grid, before post-processing."""
    if not len(bank):
        return Evaluation({"jaccard": Figure(float("nan"))})
    found = torch.cat(
        [
            _jaccards(probabilities(logits, outputs), batch["mask"]).cpu()
            for batch, logits in answers(model, bank)
        ]
    )
    figures = {
        f"jaccard_{group}": Figure(float(value), n=len(found))
        for group, value in zip(GROUPS, found.mean(0), strict=True)
    }
    return Evaluation({"jaccard": Figure(float(found.mean()), n=len(found)), **figures})


def _jaccards(shares: Tensor, organs: Tensor) -> Tensor:
    """Jaccard (B, 3) of ``GROUPS`` from planes (B, 5, H, W); 1 where both are empty."""
    columns = []
    for members in GROUPS.values():
        chosen = [ORGANS.index(organ) for organ in members]
        claimed, drawn = ((planes[:, chosen] > 0.5).any(1) for planes in (shares, organs))
        union = (claimed | drawn).sum((-2, -1)).double()
        hits = (claimed & drawn).sum((-2, -1)).double()
        columns.append(torch.where(union > 0, hits / union.clamp_min(1), torch.ones_like(union)))
    return torch.stack(columns, dim=1)


def film_row(record: Record, predicted: Mask, truth: Mask) -> dict[str, Any]:
    """What is measured on one film; planes are (5, H, W) in {0, 1}."""
    row: dict[str, Any] = {"film": record.id, "patient": record.patient_id}
    for group, organs in GROUPS.items():
        chosen = [ORGANS.index(organ) for organ in organs]
        found, drawn = predicted[chosen].max(axis=0), truth[chosen].max(axis=0)
        row[f"dice_{group}"], row[f"jaccard_{group}"] = dice(found, drawn), iou(found, drawn)
    sides = [dice(predicted[index], truth[index]) for index in range(len(ORGANS))]
    row |= {f"dice_{organ}": value for organ, value in zip(ORGANS, sides, strict=True) if organ != "heart"}
    row["jaccard"] = float(np.mean([row[f"jaccard_{group}"] for group in GROUPS]))
    row["ratio"] = _ratio(predicted)
    row["true_ratio"] = _ratio(truth)
    return row


def changed(averaged: Mapping[str, Any], once: Mapping[str, Any]) -> dict[str, float]:
    """What reading one film in several ways does to its overlaps and to the ratio's error."""
    overlaps = [key for key in averaged if key.startswith(("jaccard", "dice"))]
    now, before = ({"ratio_error": abs(row["ratio"] - row["true_ratio"])} for row in (averaged, once))
    return changes(averaged, once, overlaps) | changes(now, before, ["ratio_error"])


def change_figures(rows: Rows, prefix: str, rng: np.random.Generator) -> dict[str, Figure]:
    """Means of what ``changed`` found, with paired intervals; none where the rows have no changes."""
    owners = [str(row["patient"]) for row in rows]
    keys = [key for key in rows[0] if key.startswith(CHANGE)] if rows else []
    return {f"{prefix}{key}": mean_figure(_column(rows, key), owners, rng) for key in keys}


def overlap_figures(rows: Rows, prefix: str, rng: np.random.Generator) -> dict[str, Figure]:
    """Mean Jaccard and Dice of each structure, and the mean Jaccard of the three."""
    owners = [str(row["patient"]) for row in rows]
    keys = ("jaccard", *(f"{score}_{group}" for score in ("jaccard", "dice") for group in GROUPS))
    return {f"{prefix}{key}": mean_figure(_column(rows, key), owners, rng) for key in keys}


def agreement(rows: Rows, prefix: str, rng: np.random.Generator) -> dict[str, Figure]:
    """The ratio against the outlines' (Bland and Altman 1986); films without one of them are left out."""
    error = _column(rows, "ratio") - _column(rows, "true_ratio")
    known = ~np.isnan(error)
    owners = [str(row["patient"]) for row, keep in zip(rows, known, strict=True) if keep]
    error = error[known]

    def limit(sign: float, chosen: npt.NDArray[np.intp]) -> float:
        part = error[chosen]
        return float(part.mean() + sign * 1.96 * part.std(ddof=1)) if part.size > 1 else float("nan")

    return {
        f"{prefix}ratio_error": mean_figure(np.abs(error), owners, rng),
        f"{prefix}ratio_bias": mean_figure(error, owners, rng),
        f"{prefix}ratio_limits_low": bootstrap(lambda chosen: limit(-1.0, chosen), owners, rng),
        f"{prefix}ratio_limits_high": bootstrap(lambda chosen: limit(1.0, chosen), owners, rng),
    }


def _ratio(planes: Mask) -> float:
    ratio = heart_size(planes).ratio
    return float("nan") if ratio is None else ratio


def _column(rows: Rows, key: str) -> npt.NDArray[np.float64]:
    return np.array([row[key] for row in rows], dtype=np.float64)
