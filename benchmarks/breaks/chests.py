"""Computed patients with broken bones and without, and the places where they differ."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from gan.pairs import AS_TRUE, BonePair, framed_pair, haze
from gan.suppression import LARGEST_BONE
from suite.framing import frame
from suite.phantom.cohort import available_workers
from suite.phantom.pathology import Break, Fracture
from suite.phantom.patient import Patient
from suite.phantom.study import PhantomStudy, dual_energy, render_study
from suite.storage import make_folder, whole_folder
from suite.training.bank import FULL_SCALE

SIZE = 512
"""Side of the films; a break is a thing of a few millimetres, so no smaller."""

BROKEN_BONES = 8
"""In each patient: many breaks make much of a chest that takes seconds to compute."""

APART_MM, SMOOTH_MM = 20.0, 2.0
"""Nearest neighbours among places, and the width over which a break's change is gathered."""

LEAST_CHANGE = 0.003
"""Of the true layer, in units of the film's used range: what changes less does not show."""

MANNERS = ("displaced", "undisplaced", "healing")
Floats = npt.NDArray[np.float32]


def fracture_of(rng: np.random.Generator, patient: Patient, manner: str) -> Fracture:
    """``BROKEN_BONES`` breaks of one manner, each of another bone, as the phantom draws them."""
    breaks: dict[str, Break] = {}
    while len(breaks) < BROKEN_BONES:
        for one in Fracture.draw(rng, patient).breaks:
            breaks.setdefault(one.bone, _in_manner(one, manner, rng))
    return Fracture(tuple(breaks.values())[:BROKEN_BONES])


def _in_manner(one: Break, manner: str, rng: np.random.Generator) -> Break:
    """``one`` with the step and the callus of its manner; the phantom's own ranges."""
    step = float(rng.uniform(0.2, 1.2) if manner == "undisplaced" else rng.uniform(2.0, 6.0))
    healing = manner == "healing"
    return replace(
        one,
        step_mm=step,
        gap_mm=min(one.gap_mm, 0.9) if manner == "undisplaced" else one.gap_mm,
        callus=float(rng.uniform(0.3, 1.0)) if healing else 0.0,
        haematoma_mm=one.haematoma_mm if manner == "displaced" else 0.0,
    )


def compute(index: int, seed: int, folder: Path) -> None:
    """Patient ``index`` broken and whole, as the networks are shown films; nothing if he or she is there."""
    home = folder / f"{index:04d}"
    if home.is_dir():
        return
    patient = Patient.draw(np.random.default_rng([seed, index]))
    breaks = fracture_of(np.random.default_rng([seed, index, 1]), patient, manner_of(index))
    with threadpool_limits(1):
        broken = render_study(patient, SIZE, [breaks], lateral=False)
        whole = render_study(patient, SIZE, None, lateral=False)
    planes = {"broken": _planes(broken), "whole": _planes(whole)}
    change = np.abs(planes["broken"]["true"] - planes["whole"]["true"])
    places = find_places(change, broken.spacing[0])
    with whole_folder(home) as draft:
        stored = {
            f"{name}_{state}": _integers(plane) for state in planes for name, plane in planes[state].items()
        }
        np.savez_compressed(draft / "chest.npz", places=places, **stored)


def manner_of(index: int) -> str:
    """How the bones of patient ``index`` are broken."""
    return MANNERS[index % len(MANNERS)]


def _planes(study: PhantomStudy) -> dict[str, Floats]:
    lungs = np.maximum(study.masks["lung_right"], study.masks["lung_left"])
    layer = study.bone - haze(study.bone, study.masks["bone"] > 0)
    pair = framed_pair(BonePair(study.frontal, layer, (lungs > 0).astype(np.uint8), AS_TRUE), SIZE)["pair"]
    return {
        "film": pair[0],
        "true": np.clip(pair[1] / LARGEST_BONE, 0.0, 1.0),
        "hardware": frame(dual_energy(study)["bone"], SIZE).pixels,
    }


def _integers(plane: Floats) -> npt.NDArray[np.int16]:
    return np.rint(np.clip(plane, -1.0, 1.0) * FULL_SCALE).astype(np.int16)


def find_places(change: Floats, spacing: float) -> npt.NDArray[np.intp]:
    """Rows and columns (M, 2) where a change (H, W) of the true layer is greatest, ``APART_MM`` apart."""
    smooth = cv2.GaussianBlur(change, (0, 0), SMOOTH_MM / spacing) * LARGEST_BONE
    reach = 2 * round(APART_MM / spacing) + 1
    highest = cv2.dilate(smooth, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    peaks = np.argwhere((smooth >= highest) & (smooth > LEAST_CHANGE))
    kept: list[npt.NDArray[np.intp]] = []
    for peak in peaks:  # a plateau has several
        if all(np.hypot(*(peak - other)) * spacing > APART_MM for other in kept):
            kept.append(peak)
    return np.array(kept, np.intp).reshape(-1, 2)


def compute_all(patients: int, seed: int, folder: Path) -> list[Path]:
    """The files of all patients, those that are missing computed on every core."""
    make_folder(folder)
    one = partial(compute, seed=seed, folder=folder)
    with ProcessPoolExecutor(available_workers(), get_context("spawn")) as pool:
        list(pool.map(one, range(patients)))
    return [folder / f"{index:04d}" / "chest.npz" for index in range(patients)]
