"""How well the gate tells films with gas from films without: area, operating point, and its decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.metrics import precision_recall_curve, roc_auc_score
from torch import nn

from segmentation.films import answers
from segmentation.pneumothorax.cases import label
from suite.datasets.manifest import Record
from suite.training.bank import Bank
from suite.training.evaluation import Evaluation, Figure
from suite.training.intervals import bootstrap

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


def rows_of(records: Sequence[Record], truth: Numbers, told: Numbers) -> list[dict[str, Any]]:
    """A line a film: whose it is, its truth and the gate's output."""
    return [
        {"film": record.id, "patient": record.patient_id, "pneumothorax": value, "gate": float(output)}
        for record, value, output in zip(records, truth, told, strict=True)
    ]


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
