"""Figures of a bone network on films with known bone: one row a film, intervals, pictures."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from gan.breaks import break_scores, breaks_of, healed, healed_by_kind, unbroken_pair
from gan.contact import ContactFilm, sample_grid
from gan.hardware import hardware_scores
from gan.pairs import AS_TRUE, CONVENTIONS, BonePair, is_fractured, kept_pair
from gan.parts import STUDIES
from gan.perceptual import Distance
from gan.pictures import Measured, draw_spread, draw_worst
from gan.prediction import predicted_layer
from gan.published import NOTE, PUBLISHED
from gan.recipe import BoneRecipe
from gan.residual import Limits, ResidualEnergy
from gan.scores import edge_residual, lesion_scores, psnr, suppression_scores
from gan.suppression import taken_layer
from suite.datasets import phantom
from suite.datasets.manifest import Record
from suite.study import FloatImage, Mask
from suite.training.evaluation import Evaluation, Figure
from suite.training.films import read_mask
from suite.training.intervals import mean_figure

LOGGER = logging.getLogger(__name__)

Parts = Mapping[str, Sequence[Record]]
"""Records by the name of their data set."""

Row = dict[str, Any]

MAIN = "jsrt"
"""The set whose figures have no prefix; another's, where it is the only one, have none either."""

DEFINITIONS = (
    "Bone-suppressed image against the true one, peak 1, inside the lungs unless the name says whole; "
    "identity: the film itself. edge_residual: what is left of bone edges, 1 in the film itself."
)
SPREAD = {"psnr": "soft tissue\nPSNR in dB, lungs", "identity_psnr": "film itself\nPSNR in dB, lungs"}
LUNGS_UNKNOWN = (
    "Nobody outlined the lungs of dual-energy studies: all of their figures are of the whole film, and they "
    "set no limit beyond which the stage warns."
)

WORDS = ("film", "patient", "dataset")
SAMPLES = 3


def measured_on_validation(model: nn.Module, parts: Parts, recipe: BoneRecipe) -> Evaluation:
    """PSNR inside the lungs and its gain over doing nothing, on a few films of each set: quick."""
    rows: list[Row] = []
    films: dict[str, list[ContactFilm]] = {}
    for dataset, records in parts.items():
        for record in records[: recipe.validation_films]:
            pair = kept_pair(record)
            inside = pair.lungs > 0
            layer = predicted_layer(model, pair, recipe)
            if len(films.setdefault(dataset, [])) < SAMPLES:
                wanted = CONVENTIONS[pair.convention]
                films[dataset].append(ContactFilm(record.id, pair.film, pair.bone, layer, wanted))
            own = psnr((pair.bone - layer)[inside])
            rows.append({"dataset": dataset, "psnr": own, "psnr_gain": own - psnr(pair.bone[inside])})
    figures = {}
    for dataset in parts:
        prefix = prefix_of(dataset, parts)
        for key in ("psnr", "psnr_gain"):
            values = [row[key] for row in rows if row["dataset"] == dataset]
            figures[prefix + key] = _mean(values)
    if "psnr" not in figures:  # a mixture without the main set: all films together pick the best epoch
        figures["psnr"] = _mean([row["psnr"] for row in rows])
    samples = {dataset: sample_grid(shown) for dataset, shown in films.items()}
    return Evaluation(figures, rows, samples=samples)


def _mean(values: Sequence[float]) -> Figure:
    return Figure(float(np.mean(values)) if values else float("nan"), n=len(values))


def measured_on_test(
    model: nn.Module, parts: Parts, validation: Parts, recipe: BoneRecipe, lpips: Distance | None = None
) -> Evaluation:
    """All figures of every set in ``parts``, at the films' own resolution; a set without films is named.

    Args:
        validation: gives the limits of the residual that the stage warns beyond.
        lpips: measured too where it is given.
    """
    missing = not_measured(parts)
    limits = limits_of(model, validation, recipe)
    films = {
        dataset: measured_films(model, records[: recipe.test_films or None], dataset, limits, recipe, lpips)
        for dataset, records in parts.items()
        if records
    }
    rng = np.random.default_rng(recipe.seed)
    by_dataset = {dataset: figures_of([row for _, row in own], rng) for dataset, own in films.items()}
    rows = [row for own in films.values() for _, row in own]
    return Evaluation(
        {
            prefix_of(dataset, parts) + name: figure
            for dataset, own in by_dataset.items()
            for name, figure in own.items()
        },
        rows,
        notes=(
            DEFINITIONS,
            *((NOTE,) if MAIN in parts else ()),
            *((LUNGS_UNKNOWN,) if parts.get(STUDIES) else ()),
            *missing,
        ),
        extras={
            "residual": limits.as_json(),
            "conventions": [CONVENTIONS[kind] for kind in recipe.conventions],
            **({"published": PUBLISHED} if MAIN in parts else {}),
            **({"not_measured": missing} if missing else {}),
        },
        spread=SPREAD if rows else (),
        pictures=_pictures(model, films, recipe),
        by_dataset=by_dataset,
    )


def measured_films(
    model: nn.Module,
    records: Sequence[Record],
    dataset: str,
    limits: Limits,
    recipe: BoneRecipe,
    lpips: Distance | None,
) -> list[Measured]:
    """Films of one set, each with its row of all scores."""
    rows = list(rows_of(model, records, dataset, recipe, lpips))
    _add_suppressed(model, records, rows, limits, recipe)
    if dataset == "phantom":
        _add_breaks(model, records, rows, recipe)
    return list(zip(records, rows, strict=True))


def _pictures(
    model: nn.Module, films: Mapping[str, Sequence[Measured]], recipe: BoneRecipe
) -> dict[str, Callable[[Path], None]]:
    """What draws the pictures of a measurement, by their files' names."""
    drawn: dict[str, Callable[[Path], None]] = {
        f"films_{dataset}.png": partial(draw_spread, model, own, recipe) for dataset, own in films.items()
    }
    every = [film for own in films.values() for film in own]
    return {**drawn, "worst.png": partial(draw_worst, model, every, recipe)} if every else drawn


def not_measured(parts: Parts) -> list[str]:
    """A sentence for each set of which no film is there to be measured, logged too."""
    told = [
        f"{dataset} has no figures: no film with a bone layer is in its test part; give more patients, or, "
        f"where nothing was learned from it, measure all of it with --set held_out={dataset}."
        for dataset, records in parts.items()
        if not records
    ]
    for sentence in told:
        LOGGER.warning("%s", sentence)
    return told


def as_stage_measures(model: nn.Module, film: FloatImage, lungs: Mask, recipe: BoneRecipe) -> ResidualEnergy:
    """What the stage would measure of a film (H, W): the first convention, near the lungs alone."""
    device = next(model.parameters()).device
    return taken_layer(model, film, recipe.size, device, lungs)[2]


def limits_of(model: nn.Module, validation: Parts, recipe: BoneRecipe) -> Limits:
    """What the stage warns beyond, by films of the validation part.

    Structure has its limit from the films of the convention that the stage asks for; a film that is
    bone-suppressed already is told by all of them and by their true bone-suppressed images. Films whose lungs
    nobody outlined set no limit: the stage measures inside the lungs.
    """
    kept = [record for records in validation.values() for record in records[: recipe.validation_films]]
    usual, films, suppressed = [], [], []
    for pair in (pair for pair in map(kept_pair, kept) if pair.lungs_known):
        films.append(as_stage_measures(model, pair.film, pair.lungs, recipe))
        suppressed.append(as_stage_measures(model, pair.without_bone, pair.lungs, recipe))
        if pair.convention == recipe.conventions[0]:
            usual.append(films[-1])
    return Limits.of(usual, films, suppressed)


def _add_suppressed(
    model: nn.Module, records: Sequence[Record], rows: Sequence[Row], limits: Limits, recipe: BoneRecipe
) -> None:
    """Complete the rows: is the film, is its true bone-suppressed image taken for suppressed already?"""
    for record, row in zip(records, rows, strict=True):
        pair = kept_pair(record)
        for name, film in (("suppressed_false_alarm", pair.film), ("suppressed_found", pair.without_bone)):
            again = as_stage_measures(model, film, pair.lungs, recipe).again
            if np.isfinite(again) and np.isfinite(limits.most_again):
                row[name] = float(again > limits.most_again)


def prefix_of(dataset: str, parts: Parts) -> str:
    """What the figures of a set begin with: nothing for the main set, or for one that is alone."""
    return "" if dataset == MAIN or len(parts) == 1 else f"{dataset}_"


def rows_of(
    model: nn.Module,
    records: Sequence[Record],
    dataset: str,
    recipe: BoneRecipe,
    lpips: Distance | None,
) -> Iterator[Row]:
    """One row a film: predicted one after another, scored side by side."""

    def predicted() -> Iterator[tuple[Record, BonePair, FloatImage]]:
        for record in records:
            pair = kept_pair(record)
            yield record, pair, predicted_layer(model, pair, recipe)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = [
            pool.submit(row_of, record, dataset, pair, layer, lpips) for record, pair, layer in predicted()
        ]
        for each in waiting:
            yield each.result()


def row_of(
    record: Record, dataset: str, pair: BonePair, layer: FloatImage, lpips: Distance | None = None
) -> Row:
    """All scores of one film, those of doing nothing beside them, and LPIPS where it is given."""
    truth = pair.without_bone
    row: Row = {"film": record.id, "patient": record.patient_id, "dataset": dataset}
    for prefix, soft in (("", pair.film - layer), ("identity_", pair.film)):
        scores = suppression_scores(pair.film, truth, soft, pair.lungs)
        row |= {prefix + key: value for key, value in scores.items()}
        if lpips is not None:
            row[f"{prefix}lpips"] = lpips(truth, soft)
    row["psnr_gain"] = row["psnr"] - row["identity_psnr"]
    row["edge_residual"] = edge_residual(pair.bone, layer, pair.lungs)
    if dataset == "phantom":
        row |= _computed_scores(record, pair, layer)
    return row


def _computed_scores(record: Record, pair: BonePair, layer: FloatImage) -> Row:
    """What only a computed chest can tell: lesions, and what hardware would have made of it."""
    row: Row = {}
    if "finding_lung_lesion" in record.targets:
        lesion, bony = phantom.finding_mask(record, "lung_lesion"), read_mask(record.targets["bone_mask"])
        row |= lesion_scores(pair.film, pair.bone, layer, lesion, bony)
    if "low" in record.targets and "high" in record.targets:
        row |= hardware_scores(record, pair, layer)
    return row


def _add_breaks(model: nn.Module, records: Sequence[Record], rows: Sequence[Row], recipe: BoneRecipe) -> None:
    """Complete the rows of fractured chests; each has to be computed again without its fractures."""
    fractured = [index for index, record in enumerate(records) if is_fractured(record)]
    for index in fractured[: recipe.break_films]:
        record = records[index]
        broken, whole = kept_pair(record), unbroken_pair(record.frontal)
        layers = [predicted_layer(model, pair, recipe) for pair in (broken, whole)]
        spacing = float(record.attributes["spacing_mm"])
        breaks = breaks_of(record)
        scores = break_scores(broken, layers[0], whole, layers[1], spacing)
        rows[index].update({"break_step_mm": breaks.step_mm, **scores})
        rows[index].update(healed_by_kind(breaks, scores["break_contrast"]))
        if recipe.conventions[0] != AS_TRUE:
            rows[index].update(_shown(model, broken, whole, recipe, spacing))


def _shown(
    model: nn.Module, broken: BonePair, whole: BonePair, recipe: BoneRecipe, spacing: float
) -> dict[str, float]:
    """What is left of the breaks in the layer that the stage shows, in the network's first convention."""
    pairs = [replace(pair, convention=recipe.conventions[0]) for pair in (broken, whole)]
    layers = [predicted_layer(model, pair, recipe) for pair in pairs]
    scores = break_scores(broken, layers[0], whole, layers[1], spacing)
    return {"shown_healed": healed(scores["break_contrast"])} | {
        f"shown_{name}": scores[name] for name in ("break_contrast", "break_clarity", "break_over_film")
    }


def figures_of(rows: Sequence[Row], rng: np.random.Generator) -> dict[str, Figure]:
    """The mean of each score over films, with intervals by bootstrap over patients."""
    keys = dict.fromkeys(key for row in rows for key in row if key not in WORDS)
    owners = [row["patient"] for row in rows]
    columns = {key: np.array([row.get(key, np.nan) for row in rows], dtype=np.float64) for key in keys}
    return {key: mean_figure(values, owners, rng) for key, values in columns.items()}
