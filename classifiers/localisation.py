"""How well heatmaps point at findings whose place is known, beside what chance would reach.

Figures follow CheXlocalize (Saporta 2022): the hit rate is the share of maps whose highest point lies in the
outline (the pointing game, Zhang 2018), and the mIoU the mean overlap of outline and thresholded map, both
over the films that show the finding. Chance is the outline's share of the film: it is the hit rate of a point
dropped anywhere, and the IoU of a map that marks the whole film. A second, harder baseline is another
patient's map for the same finding, which has learned where such findings usually are and not where this one
is.

The threshold rule: a map counts where it exceeds ``level`` times its own peak. ``LEVEL`` is the one the
report's regions have; ``best_level`` finds the one with the highest mIoU on films that are then not measured
on, which is CheXlocalize's rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suite.datasets.finding_places import place_of
from suite.datasets.manifest import Record
from suite.errors import InputError
from suite.grid import Grid
from suite.report.regions import LEVEL
from suite.stages.artifacts import Heatmap
from suite.study import FloatImage, Mask
from suite.training.evaluation import Figure
from suite.training.intervals import bootstrap

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

LEVELS: tuple[float, ...] = tuple(round(0.1 * step, 1) for step in range(1, 10))
"""Thresholds that ``best_level`` tries."""

NAMES = ("hit_rate", "miou", "chance", "other_patient_hit_rate", "other_patient_miou")


@dataclass(frozen=True, slots=True)
class Overlap:
    """One map against one outline on the film's grid.

    Attributes:
        hit: whether the map's highest point lies inside; a map of nothing hits nothing.
        iou: intersection over union of outline and thresholded map, in [0, 1].
        chance: the outline's share of the film, in (0, 1].
    """

    hit: bool
    iou: float
    chance: float


def overlap(heatmap: FloatImage, outline: Mask, level: float = LEVEL) -> Overlap:
    """A map (H, W) in [0, 1] against an outline (H, W), above 0 inside.

    Raises:
        InputError: the shapes differ, the outline is empty, or the map holds a number that is not finite.
    """
    inside = outline > 0
    if heatmap.shape != outline.shape:
        raise InputError(
            f"a map of {heatmap.shape} and an outline of {outline.shape} do not lie on one grid; "
            "bring both to the film's."
        )
    if not inside.any():
        raise InputError("an empty outline has nothing to hit; measure films that show the finding.")
    if not np.isfinite(heatmap).all():
        raise InputError("a heatmap holds a number that is not finite; mend the network that makes it.")
    chance = float(inside.mean())
    peak = float(heatmap.max())
    if peak <= 0.0:
        return Overlap(False, 0.0, chance)
    row, column = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
    marked = heatmap > level * peak
    shared = int(np.count_nonzero(marked & inside))
    either = int(np.count_nonzero(marked | inside))
    return Overlap(bool(inside[row, column]), shared / either, chance)


def on_film(heatmap: Heatmap) -> FloatImage:
    """A map on its film's own pixels (H, W); what the network saw in the letterbox is left out."""
    return np.asarray(heatmap.grid.invert(np.ascontiguousarray(heatmap.values, np.float32)), np.float32)


def framed_heatmap(view: str, values: FloatImage, shape: tuple[int, int], size: int) -> Heatmap:
    """A network's map (h, w) of a film of ``shape`` that was framed at ``size``, with the grid it lies on."""
    return Heatmap(view, values, Grid.of(shape).square().resize(size).resize(*values.shape))


@dataclass(frozen=True, slots=True)
class LocatedMap:
    """One finding on one film: where the network says it is, and where it is.

    Attributes:
        record: the film, for its id and patient.
        code: the finding.
        heatmap: of the frontal view.
        outline: (H, W) on the film, above 0 inside.
    """

    record: Record
    code: str
    heatmap: Heatmap
    outline: Mask

    @classmethod
    def of(cls, record: Record, code: str, heatmap: Heatmap) -> LocatedMap:
        """With the outline or boxes of the record's data set."""
        return cls(record, code, heatmap, place_of(record, code, heatmap.grid.source_shape))


def located_rows(maps: Iterable[LocatedMap], level: float = LEVEL) -> list[dict[str, object]]:
    """One row a map: ``film``, ``patient``, ``finding``, and the five figures of ``NAMES`` for it alone.

    Another patient's map is the next one in the list that shows the finding, on a grid of its own film,
    stretched over this film; where there is no other patient its figures are NaN.
    """
    by_code: dict[str, list[LocatedMap]] = {}
    for each in maps:
        by_code.setdefault(each.code, []).append(each)
    rows: list[dict[str, object]] = []
    for code, located in by_code.items():
        for index, each in enumerate(located):
            own = overlap(on_film(each.heatmap), each.outline, level)
            foreign = _next_patient(located, index)
            strange = None if foreign is None else overlap(_stretched(foreign, each), each.outline, level)
            values = (
                float(own.hit),
                own.iou,
                own.chance,
                math.nan if strange is None else float(strange.hit),
                math.nan if strange is None else strange.iou,
            )
            row = {"film": each.record.id, "patient": each.record.patient_id, "finding": code}
            rows.append({**row, **dict(zip(NAMES, values, strict=True))})
    return rows


def _next_patient(located: Sequence[LocatedMap], index: int) -> LocatedMap | None:
    owner = located[index].record.patient_id
    others = (located[(index + step) % len(located)] for step in range(1, len(located)))
    return next((each for each in others if each.record.patient_id != owner), None)


def _stretched(foreign: LocatedMap, each: LocatedMap) -> FloatImage:
    return np.asarray(
        Grid.of(foreign.outline.shape).resize(*each.outline.shape).apply(on_film(foreign.heatmap))
    )


def localisation_figures(rows: Sequence[Mapping[str, object]], rng: np.random.Generator) -> dict[str, Figure]:
    """``hit_rate``, ``miou``, ``chance`` ... over findings (macro mean), then ``hit_rate_CODE`` ... for each.

    Intervals are a bootstrap over patients.

    Args:
        rows: of ``located_rows``.
        rng: generator of the draws.
    """
    codes = list(dict.fromkeys(str(row["finding"]) for row in rows))
    patients = np.array([str(row["patient"]) for row in rows])
    places = np.array([codes.index(str(row["finding"])) for row in rows], dtype=np.intp)
    values = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in NAMES}

    def over_findings(name: str) -> Callable[[Rows], float]:
        def statistic(chosen: Rows) -> float:
            means = [_mean(values[name][chosen][places[chosen] == code]) for code in range(len(codes))]
            return _mean(np.array(means))

        return statistic

    figures = {name: bootstrap(over_findings(name), patients.tolist(), rng) for name in NAMES}
    for index, code in enumerate(codes):
        own = places == index
        for name in NAMES:
            figures[f"{name}_{code}"] = _mean_figure(values[name][own], patients[own].tolist(), rng)
    return figures


def _mean_figure(values: Values, patients: Sequence[str], rng: np.random.Generator) -> Figure:
    return bootstrap(lambda chosen: _mean(values[chosen]), patients, rng)


def _mean(values: Values) -> float:
    """Mean without NaN; NaN of nothing."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else math.nan


def best_level(maps: Sequence[LocatedMap], levels: Sequence[float] = LEVELS) -> float:
    """The level with the highest mIoU on these films; measure it on others.

    Raises:
        InputError: there is no film to choose on.
    """
    if not maps:
        raise InputError("no film shows the finding's place, so no level can be chosen; use the default.")
    films = [(on_film(each.heatmap), each.outline) for each in maps]
    scores = [np.mean([overlap(film, outline, level).iou for film, outline in films]) for level in levels]
    return float(levels[int(np.argmax(scores))])
