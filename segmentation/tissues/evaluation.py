"""How well tissue is told apart: F1, AUC, precision and recall by class, with intervals, and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy as mean_cross_entropy

from segmentation.films import answers, film_and_planes, over_films
from segmentation.tissues import calibration
from segmentation.tissues.network import CLASSES
from segmentation.tissues.parts import part_of
from segmentation.tissues.pixels import (
    Counts,
    PixelCounts,
    areas_under_curve,
    confusion_of,
    shares,
    weighted,
)
from segmentation.tissues.stage import tissue_probabilities
from segmentation.tissues.thresholds import called
from segmentation.tissues.truth import tissue_classes
from suite.datasets.manifest import Record
from suite.study import FloatImage, Mask
from suite.training.bank import Bank
from suite.training.evaluation import Evaluation, Figure
from suite.training.films import load_film
from suite.training.gallery import GalleryFilm, Overlay
from suite.training.intervals import bootstrap

PUBLISHED = {
    "source": "Bullock et al. 2019, 21 test images; its column 'accuracy' of a class is the precision",
    "xnet": {
        "f1": 0.92, "auc": 0.98, "precision": 0.92,
        "f1_open_beam": 0.97, "f1_soft_tissue": 0.87, "f1_bone": 0.90,
        "auc_open_beam": 1.00, "auc_soft_tissue": 0.97, "auc_bone": 0.97,
        "precision_open_beam": 0.96, "precision_soft_tissue": 0.94, "precision_bone": 0.88,
        "confidence_open_beam": 0.99, "confidence_soft_tissue": 0.95, "confidence_bone": 0.97,
    },
    "segnet": {"f1": 0.89, "f1_open_beam": 0.96, "f1_soft_tissue": 0.83, "f1_bone": 0.90},
}  # fmt: skip
"""What the paper prints, for comparison only: other films, other truth."""

NOTES = (
    "Pixels of all films together, at each film's own resolution, before any post-processing; figures "
    "without a class are means weighted by the classes' true pixels; intervals by bootstrap over patients.",
    "Precision is what XNet's paper calls the accuracy of a class.",
)

_SMALLEST = 1e-7


@dataclass(frozen=True, slots=True)
class Films:
    """What a network made of N films.

    Attributes:
        records: the films.
        counts: their pixels counted.
        losses: (N,) mean cross-entropy of each film's pixels.
        controlled: (N, 3, 3) confusion matrices with the soft-tissue thresholds.
    """

    records: Sequence[Record]
    counts: PixelCounts
    losses: NDArray[np.float64]
    controlled: Counts

    @property
    def parts(self) -> list[str]:
        return [part_of(record) for record in self.records]

    def of_rows(self, rows: NDArray[np.intp]) -> Films:
        """The films ``rows`` alone."""
        kept = self.counts
        counts = PixelCounts(
            kept.confusion[rows], kept.histograms[rows], kept.confidence[rows], kept.correct[rows]
        )
        return Films([self.records[row] for row in rows], counts, self.losses[rows], self.controlled[rows])

    @property
    def patients(self) -> list[str]:
        return [record.patient_id for record in self.records]


def measure(
    network: nn.Module, records: Sequence[Record], size: int, soft_thresholds: dict[str, float] | None = None
) -> Films:
    """Run a network over films and count. ``soft_thresholds`` go by body part; 0 where there is none."""
    thresholds = soft_thresholds or {}

    def count(record: Record) -> tuple[PixelCounts, float, Counts]:
        film, planes = film_and_planes(record, tissue_classes)
        truth = planes[..., 0]
        probabilities, _ = tissue_probabilities(network, film, size)
        counts = PixelCounts.of(probabilities, truth)
        calls = called(probabilities, thresholds.get(part_of(record), 0.0))
        controlled = confusion_of(truth, calls) if thresholds else counts.confusion
        return counts, cross_entropy(probabilities, truth), controlled

    counts, losses, controlled = zip(*over_films(count, records), strict=True)
    return Films(records, PixelCounts.stack(counts), np.array(losses), np.stack(controlled))


def validated(network: nn.Module, bank: Bank) -> Evaluation:
    """Loss and F1 on the network's own grid, between epochs: every film weighs the same in the loss.

    Args:
        network: one of ``segmentation.tissues.network.NETWORKS``.
        bank: ``film`` (1, size, size) and its classes ``mask`` (1, size, size).
    """
    loss, confusion = 0.0, torch.zeros(len(CLASSES) ** 2, dtype=torch.int64)
    for batch, logits in answers(network, bank):
        truth = batch["mask"][:, 0].long()
        loss += float(mean_cross_entropy(logits, truth)) * len(truth)
        places = (truth * len(CLASSES) + logits.argmax(1)).flatten()
        confusion += torch.bincount(places, minlength=len(CLASSES) ** 2).cpu()
    table = confusion.view(len(CLASSES), len(CLASSES)).numpy()
    f1 = shares(table)["f1"]
    found = {"loss": loss / len(bank), "f1": weighted(f1, table)}
    found |= {f"f1_{name}": float(value) for name, value in zip(CLASSES, f1, strict=True)}
    return Evaluation({name: Figure(value, n=len(bank)) for name, value in found.items()})


def cross_entropy(probabilities: FloatImage, truth: Mask) -> float:
    """Mean of -log p of the true class over the pixels of a film."""
    own = np.take_along_axis(probabilities, truth[None].astype(np.int64), axis=0)
    return float(-np.log(np.maximum(own, _SMALLEST)).mean())


Statistic = Callable[[PixelCounts], float]


def statistics() -> dict[str, Statistic]:
    """Every figure by name, each a function of summed counts."""
    found: dict[str, Statistic] = {
        "f1": lambda total: weighted(shares(total.confusion)["f1"], total.confusion),
        "auc": lambda total: weighted(areas_under_curve(total.histograms), total.confusion),
        "precision": lambda total: weighted(shares(total.confusion)["precision"], total.confusion),
        # weighted by true pixels this is the share of all pixels that are right
        "accuracy": lambda total: float(np.trace(total.confusion) / total.confusion.sum()),
    }
    for index, name in enumerate(CLASSES):
        for kind in ("f1", "precision", "recall"):
            found[f"{kind}_{name}"] = _share(kind, index)
        found[f"auc_{name}"] = _area(index)
    found["ece"] = calibration.expected_calibration_error
    return found


def _share(kind: str, index: int) -> Statistic:
    return lambda total: float(shares(total.confusion)[kind][index])


def _area(index: int) -> Statistic:
    return lambda total: float(areas_under_curve(total.histograms)[index])


def figures(films: Films, rng: np.random.Generator) -> dict[str, Figure]:
    """All figures of some films with intervals, the F1 of each body part last."""
    found = {"loss": bootstrap(lambda rows: float(films.losses[rows].mean()), films.patients, rng)}
    found |= {
        name: bootstrap(_over(films.counts, statistic), films.patients, rng)
        for name, statistic in statistics().items()
    }
    parts, f1 = np.asarray(films.parts), statistics()["f1"]
    for part in sorted(set(films.parts)):
        own = films.of_rows(np.flatnonzero(parts == part))
        found[f"f1_{part}"] = bootstrap(_over(own.counts, f1), own.patients, rng)
    return found


def _over(counts: PixelCounts, statistic: Statistic) -> Callable[[NDArray[np.intp]], float]:
    total = counts.totals()
    return lambda rows: statistic(total(rows))


def differences(first: Films, second: Films, rng: np.random.Generator) -> dict[str, Figure]:
    """F1 and AUC of one network minus another's on the same films, each patient drawn for both at once."""
    names = ("f1", *(f"f1_{name}" for name in CLASSES), "auc")
    kinds, ours, theirs = statistics(), first.counts.totals(), second.counts.totals()

    def difference(statistic: Statistic) -> Callable[[NDArray[np.intp]], float]:
        return lambda rows: statistic(ours(rows)) - statistic(theirs(rows))

    return {name: bootstrap(difference(kinds[name]), first.patients, rng) for name in names}


def soft_tissue_control(films: Films, thresholds: dict[str, float]) -> dict[str, Any]:
    """Soft tissue before and after the thresholds, for the model card."""
    index = CLASSES.index("soft_tissue")
    rows = {}
    for name, confusion in (("argmax", films.counts.confusion), ("with_thresholds", films.controlled)):
        found = shares(confusion.sum(axis=0))
        rows[name] = {kind: round(float(value[index]), 4) for kind, value in found.items()}
    return {"thresholds": {part: round(value, 4) for part, value in thresholds.items()}, **rows}


def film_rows(films: Films) -> list[dict[str, Any]]:
    """One row a film: loss, F1 of each class (NaN where it neither is nor was called) and their mean."""
    rows = []
    for index, record in enumerate(films.records):
        confusion = films.counts.confusion[index]
        f1 = shares(confusion)["f1"]
        rows.append(
            {
                "film": record.id,
                "patient": record.patient_id,
                "part": part_of(record),
                "loss": float(films.losses[index]),
                **{f"f1_{name}": float(value) for name, value in zip(CLASSES, f1, strict=True)},
                "f1": weighted(f1, confusion),
            }
        )
    return rows


def gallery(films: Films, network: nn.Module, size: int) -> list[GalleryFilm]:
    """The films by their F1, outlined with truth and prediction when they are among the worst."""
    return [
        GalleryFilm(str(row["film"]), float(row["f1"]), partial(_overlay, network, record, size))
        for row, record in zip(film_rows(films), films.records, strict=True)
    ]


def _overlay(network: nn.Module, record: Record, size: int) -> Overlay:
    film = load_film(record.frontal)
    probabilities, _ = tissue_probabilities(network, film, size)
    return Overlay(film, tissue_classes(record), called(probabilities))
