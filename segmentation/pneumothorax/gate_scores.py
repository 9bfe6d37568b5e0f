"""How well the gate tells films with gas from films without: area, operating point, and its decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.metrics import precision_recall_curve, roc_auc_score
from torch import nn

from segmentation.films import answers
from segmentation.pneumothorax.cascade import gate_places
from segmentation.pneumothorax.cases import OUTLINED, label, outline
from suite.datasets.manifest import Record
from suite.training.bank import Bank
from suite.training.evaluation import Evaluation, Figure
from suite.training.films import load_film
from suite.training.gallery import GalleryFilm, Overlay
from suite.training.intervals import auc_figure, bootstrap

Numbers = Any


def operating_point(truth: Numbers, told: Numbers) -> tuple[float, dict[str, Any]]:
    """The threshold with the highest F1 on kept-back films, and the card's entry for it.

    It lies halfway between the lowest output that counts and the highest that does not.
    """
    if truth.min() == truth.max():
        return 0.5, {"threshold": 0.5, "rule": "one half: the validation part has one kind of film only"}
    precision, recall, cuts = precision_recall_curve(truth, told)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    lowest = float(cuts[int(np.argmax(f1[:-1]))])
    below = told[told < lowest]
    cut = (lowest + float(below.max())) / 2 if below.size else lowest
    rule = f"highest F1 on {len(truth)} validation films, {int(truth.sum())} of them positive"
    return cut, {"threshold": cut, "rule": rule}


def truth_of(records: Sequence[Record]) -> Numbers:
    """1 with gas, 0 without, of each film (N,)."""
    return np.array([label(record) for record in records])


def rows_of(
    records: Sequence[Record], origins: Sequence[str], truth: Numbers, told: Numbers
) -> list[dict[str, Any]]:
    """A line a film: its data set, whose it is, its truth and the gate's output."""
    return [
        {
            "dataset": origin,
            "film": record.id,
            "patient": record.patient_id,
            "pneumothorax": value,
            "gate": float(output),
        }
        for record, origin, value, output in zip(records, origins, truth, told, strict=True)
    ]


def figures_by_dataset(
    rows: Sequence[Mapping[str, Any]], cut: float, seed: int
) -> dict[str, dict[str, Figure]]:
    """Area, and decisions at the operating point ``cut``, for each data set of the rows.

    Draws begin anew with each set, so that a set that is measured alone has the figures of all its rows.
    """
    found: dict[str, dict[str, Figure]] = {}
    for name in dict.fromkeys(str(row["dataset"]) for row in rows):
        own = [row for row in rows if row["dataset"] == name]
        owners = [str(row["patient"]) for row in own]
        truth, told = (np.array([row[key] for row in own]) for key in ("pneumothorax", "gate"))
        rng = np.random.default_rng(seed)
        area = auc_figure(truth, told, owners, rng)
        found[name] = {"auc": area, **decisions(truth, told >= cut, owners, rng)}
    return found


def gallery(
    model: nn.Module, size: int, records: Sequence[Record], rows: Sequence[Mapping[str, Any]]
) -> list[GalleryFilm]:
    """Every film with a score by which the worst are those on which the output is furthest from the truth.

    Args:
        model: the gate.
        size: side of its input.
        records: the films.
        rows: what was measured on each of them.
    """
    return [
        GalleryFilm(
            f"{row['dataset']} {record.id}",
            1 - abs(float(row["pneumothorax"]) - float(row["gate"])),
            partial(_overlay, model, size, record, outlined=row["dataset"] in OUTLINED),
        )
        for record, row in zip(records, rows, strict=True)
    ]


def _overlay(model: nn.Module, size: int, record: Record, *, outlined: bool) -> Overlay:
    """The film with its gas, where that is known, and where the gate sees some, if it can say."""
    film = load_film(record.frontal)
    truth = outline(record) if outlined else np.zeros(film.shape, np.uint8)
    return Overlay(film, truth, gate_places(model, film, size))


def validation_area(model: nn.Module, bank: Bank) -> Evaluation:
    """Area under the ROC curve; NaN where all films are of one kind."""
    told, truth = [], []
    for batch, logits in answers(model, bank):
        told.append(logits.cpu())
        truth.append(batch["label"][:, 0].cpu())
    labels = torch.cat(truth).numpy() if truth else np.zeros(0)
    both = len(np.unique(labels)) == 2
    auc = float(roc_auc_score(labels, torch.cat(told).numpy())) if both else float("nan")
    return Evaluation({"auc": Figure(auc, n=len(labels))})


def decisions(truth: Numbers, yes: Numbers, owners: list[str], rng: np.random.Generator) -> dict[str, Figure]:
    """Sensitivity, specificity and F1, with 95 % intervals by bootstrap over patients.

    Args:
        truth: (N,), 1 with gas, 0 without.
        yes: (N,), whether the gate says that there is gas.
        owners: whose each film is.
    """

    def share(kind: float) -> Any:
        def statistic(rows: Any) -> float:
            own = truth[rows] == kind
            return float((yes[rows] == (kind == 1.0))[own].mean()) if own.any() else float("nan")

        return statistic

    def f1(rows: Any) -> float:
        hits = float((yes[rows] & (truth[rows] == 1)).sum())
        total = float(yes[rows].sum() + truth[rows].sum())
        return 2 * hits / total if total else float("nan")

    return {
        "sensitivity": bootstrap(share(1.0), owners, rng),
        "specificity": bootstrap(share(0.0), owners, rng),
        "f1": bootstrap(f1, owners, rng),
    }
