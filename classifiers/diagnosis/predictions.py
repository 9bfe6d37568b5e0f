"""What a diagnosis network says of a part of the data: scores, and whether its maps point at the findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from classifiers.calibration_methods import HeadFilms
from classifiers.diagnosis.batches import row_batches
from classifiers.diagnosis.films import StudyFilms
from classifiers.diagnosis.losses import map_targets
from suite.datasets.manifest import Record
from suite.findings import CODES

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Predictions:
    """One row a study, one column a finding.

    Attributes:
        records: the studies.
        truth: labels (N, 13) in {0, 1, NaN}.
        scores: logits (N, 13).
        hits: (N, 13); 1 where the frontal map's highest cell holds part of the finding, 0 where not, NaN
            where it is unknown where the finding is, or it is not there.
        areas: (N, 13), the share of cells that hold part of it: the hit rate of a map drawn by chance.
        lateral_effect: (N, 13), what the lateral adds to the logit; NaN without one.
        maps: frontal maps (N, 13, h, w) when they were asked for.
        shapes: rows and columns (N, 2) of the films.
    """

    records: tuple[Record, ...]
    truth: Values
    scores: Values
    hits: Values
    areas: Values
    lateral_effect: Values
    maps: npt.NDArray[np.float32] | None
    shapes: npt.NDArray[np.int64]

    def of_head(self, code: str) -> HeadFilms:
        """The studies that know the finding ``code``."""
        index, patients = CODES.index(code), [record.patient_id for record in self.records]
        return HeadFilms.known(self.truth[:, index], self.scores[:, index], patients)


def predict(
    model: nn.Module,
    films: StudyFilms,
    records: Sequence[Record],
    planes: Sequence[str],
    *,
    batch_size: int = 64,
    compare_lateral: bool = False,
    keep_maps: bool = False,
) -> Predictions:
    """Scores and pointing of ``model`` on ``records``, on the device where both lie."""
    parts: dict[str, list[Tensor]] = {"scores": [], "hits": [], "areas": [], "lateral_effect": []}
    maps, shapes = [], []
    with torch.inference_mode():  # in single precision: bfloat16 would tie scores that differ
        for batch in row_batches(films, films.rows_of(records), planes, batch_size):
            output = model(batch.frontal, batch.lateral, batch.has_lateral, compare_lateral=compare_lateral)
            scores = output.logits.float()
            hits, areas = _pointing(output.frontal_maps.float(), batch.masks)
            effect = torch.full_like(scores, torch.nan)
            if output.alone is not None:
                effect = torch.where(batch.has_lateral[:, None], scores - output.alone.float(), effect)
            shapes.append(batch.shapes.cpu())
            if keep_maps:
                maps.append(output.frontal_maps.float().cpu())
            for name, value in zip(parts, (scores, hits, areas, effect), strict=True):
                parts[name].append(value.cpu())
    stacked = {name: _stack(values) for name, values in parts.items()}
    truth = np.array([record.labels for record in records], dtype=np.float64).reshape(-1, len(CODES))
    kept = torch.cat(maps).numpy() if maps else None
    sizes = torch.cat(shapes).numpy().astype(np.int64) if shapes else np.zeros((0, 2), np.int64)
    return Predictions(tuple(records), truth, **stacked, maps=kept, shapes=sizes)


def _stack(values: list[Tensor]) -> Values:
    if not values:
        return np.zeros((0, len(CODES)))
    return np.asarray(torch.cat(values).numpy(), dtype=np.float64)


def _pointing(maps: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Hit (1, 0, NaN) and chance (B, 13) of maps (B, 13, h, w) against masks (B, 13, H, W)."""
    targets = map_targets(masks, (maps.shape[-2], maps.shape[-1])).flatten(-2)
    shown = targets.amax(-1) > 0
    peak = maps.flatten(-2).argmax(-1, keepdim=True)
    nothing = torch.full_like(targets[..., 0], torch.nan)
    hit = torch.where(shown, targets.gather(-1, peak)[..., 0], nothing)
    return hit, torch.where(shown, targets.mean(-1), nothing)
