"""The cascade beside its baseline: one row of pixel counts a film, and the figures that follow from the rows.

Figures of one test part and of the pooled folds of a cross-validation come from the same rows: ``dataset``,
``film``, ``patient``, ``truth_px``; for each system (``one_case``: the cascade; ``positives``: its mask
network without the gate; ``baseline``) the detection score ``SYSTEM_score``; and for each of its ways
(``argmax``, ``threshold``, ``tta``, ``triplet``) the pixels ``SYSTEM_WAY_claimed_px`` and, of them, the true
``SYSTEM_WAY_hits_px``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from segmentation.pneumothorax.reading import HALF, LOOKS, Counted, System, read_films
from segmentation.scores import Overlap, mask_figures
from segmentation.thresholds import TripletRule, search_threshold, search_triplet
from suite.datasets.manifest import Record
from suite.training.evaluation import Figure
from suite.training.intervals import auc_figure, mean_figure

SYSTEMS = ("one_case", "positives", "baseline")
WAYS = (*LOOKS, "triplet")
"""How is decided what gas is; ``triplet`` looks as ``tta`` does, and asks for enough that is certain."""

ACROSS = ("_auc", "_tta_dice", "_tta_dice_positives", "dice_all_empty")
"""Ends of the names of figures that go into a table across data sets."""

Rows = Sequence[Mapping[str, Any]]


def rows_of(
    systems: Mapping[str, System],
    kept_back: Sequence[Record],
    test: Sequence[Record],
    origins: Sequence[str],
) -> tuple[list[dict[str, Any]], dict[str, dict[str, float]]]:
    """One row a test film for all systems, and each system's thresholds, chosen on ``kept_back`` films.

    Args:
        systems: by name, one of ``SYSTEMS``.
        kept_back: validation films.
        test: films that are measured on.
        origins: the data set of each of them.
    """
    rows: list[dict[str, Any]] = [
        {"dataset": origin, "film": record.id, "patient": record.patient_id}
        for origin, record in zip(origins, test, strict=True)
    ]
    chosen: dict[str, dict[str, float]] = {}
    for name, system in systems.items():
        rules = _rules(read_films(system, kept_back))
        triplet = rules["triplet"]
        chosen[name] = {f"{way}_threshold": rules[way].bottom for way in LOOKS} | {
            "triplet_top": triplet.top,
            "triplet_min_area": triplet.min_area,
            "triplet_bottom": triplet.bottom,
        }
        if system.gate is not None:
            chosen[name]["gate_threshold"] = system.gate_threshold
        found = read_films(system, test)
        for way, rule in rules.items():
            _fill(rows, f"{name}_{way}", found[_look(way)], rule)
        for row, score in zip(rows, found["tta"].scores, strict=True):
            row[f"{name}_score"] = float(score)
    return rows, chosen


def _look(way: str) -> str:
    return "tta" if way == "triplet" else way


def _rules(kept_back: Mapping[str, Counted]) -> dict[str, TripletRule]:
    """The best rule of each way on films that were kept back."""
    searched = {
        way: TripletRule.plain(search_threshold(kept_back[way].counts).threshold) for way in LOOKS[1:]
    }
    triplet = search_triplet(kept_back[_look("triplet")].counts).rule
    return {"argmax": TripletRule.plain(HALF), **searched, "triplet": triplet}


def _fill(rows: list[dict[str, Any]], name: str, counted: Counted, rule: TripletRule) -> None:
    claimed, hits = rule.of(counted.counts)
    for index, row in enumerate(rows):
        row["truth_px"] = int(counted.counts.true[index])
        row[f"{name}_claimed_px"] = int(claimed[index])
        row[f"{name}_hits_px"] = int(hits[index])


def figures(rows: Rows, rng: np.random.Generator) -> dict[str, Figure]:
    """Every figure that the rows' columns allow, with 95 % intervals by bootstrap over patients.

    ``SYSTEM_WAY_dice`` per image with the empty rule, ``_dice_positives``, ``_dice_pooled``, ``_iou_pooled``;
    ``SYSTEM_auc`` of detection; ``gain_WAY_dice``, the cascade's Dice per image minus the baseline's, film by
    film; and ``dice_all_empty``, what an empty mask everywhere scores.
    """
    patients = [str(row["patient"]) for row in rows]
    truth = np.array([int(row["truth_px"]) > 0 for row in rows], dtype=np.float64)
    found: dict[str, Figure] = {}
    systems = [system for system in SYSTEMS if f"{system}_score" in rows[0]]
    # by triplet last: the others' draws, and so their intervals, are those of cards that are older than it
    for ways in (LOOKS, WAYS[len(LOOKS) :]):
        for system in systems:
            for way in ways:
                each = mask_figures(_overlaps(rows, f"{system}_{way}"), patients, rng, f"{system}_{way}_")
                empty = each.pop(f"{system}_{way}_dice_all_empty")
                found |= each | ({"dice_all_empty": empty} if way in LOOKS else {})
            if f"{system}_auc" not in found:
                scores = np.array([float(row[f"{system}_score"]) for row in rows])
                found[f"{system}_auc"] = auc_figure(truth, scores, patients, rng)
        if {"one_case", "baseline"} <= set(systems):
            for way in ways:
                gain = dices(rows, f"one_case_{way}") - dices(rows, f"baseline_{way}")
                found[f"gain_{way}_dice"] = mean_figure(gain, patients, rng)
    return found


def figures_by_dataset(rows: Rows, seed: int) -> dict[str, dict[str, Figure]]:
    """Of the figures above those that a table across data sets needs, for each data set of the rows.

    They are detection, and Dice the way the stage takes: per image, of films with gas, and of no mask at all.
    Draws begin anew with each set, so that a set that is measured alone has the figures of all its rows.
    """
    found = {}
    for name in dict.fromkeys(str(row["dataset"]) for row in rows):
        own = figures([row for row in rows if row["dataset"] == name], np.random.default_rng(seed))
        found[name] = {key: figure for key, figure in own.items() if key.endswith(ACROSS)}
    return found


def _overlaps(rows: Rows, name: str) -> list[Overlap]:
    counts = [
        tuple(int(row[key]) for key in (f"{name}_hits_px", f"{name}_claimed_px", "truth_px")) for row in rows
    ]
    return [Overlap(hits, claimed - hits, true - hits) for hits, claimed, true in counts]


def dices(rows: Rows, name: str) -> npt.NDArray[np.float64]:
    """Dice of each film (N,) for the system and way ``name``, such as ``one_case_tta``."""
    return np.array([each.dice for each in _overlaps(rows, name)])
