"""Does a fracture reader see breaks in the bone image? One detector, several kinds of input, computed chests.

    python benchmarks/bone_fractures.py --phantom COHORT --weights bone.safetensors --seeds 5 --out OUT

A small U-Net learns to draw where bones are broken; a film's score is the mean of the highest thousandth of
its map. Its input is the film, the true bone layer, the network's bone layer, the bone image that dual-energy
hardware subtracts, or the film with one of the layers as a second plane. Positive are the studies with a
fracture that shows on the film. Printed is the area under the ROC curve, mean over seeds: each detector on
its own kind of image, and those of true layers on the network's too. A generator that heals breaks would show
there. Detectors learn from the cohort's training part and are measured on the rest of it; give a cohort that
the network did not learn from, made without ``--motion``.

Finished detectors leave their scores in OUT: the same command continues after an interruption.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import numpy as np
import torch

from benchmarks.breaks.banks import banks_of
from benchmarks.breaks.kinds import BASELINE, known_kinds, remember
from benchmarks.breaks.map_detector import KINDS, STRIDE, Budget, Detector, learn, scores
from gan.pairs import is_fractured
from suite.datasets.digests import cohort_settings, data_digest
from suite.datasets.registry import open_dataset
from suite.devices import resolve_device
from suite.errors import InputError, SuiteError
from suite.stages.weights import read_card
from suite.storage import write_text
from suite.training.evaluation import Figure
from suite.training.intervals import auc
from suite.training.patient_draws import Values, patient_weights, weighted_areas


def check_numbers(size: int, budget: Budget, seeds: int) -> None:
    """Fail unless a U-Net can be shown films and squares of these sides, and something is trained.

    Raises:
        InputError: a side that ``STRIDE`` does not divide, squares larger than the films, or no training.
    """
    if size < STRIDE or size % STRIDE:
        raise InputError(f"--size {size} is no side that halves five times; give 128, 256 or 512.")
    if budget.patch and (budget.patch % STRIDE or not STRIDE <= budget.patch <= size):
        raise InputError(
            f"--patch {budget.patch} is no side of squares of films of {size}; give 0, or a multiple of "
            f"{STRIDE} up to {size}."
        )
    for name, value in (("epochs", budget.epochs), ("seeds", seeds)):
        if value < 1:
            raise InputError(f"--{name} {value} trains nothing; give 1 or more.")


def table(
    finished: Mapping[tuple[str, str], Sequence[Values]], labels: Values, patients: Sequence[str]
) -> str:
    """Markdown: mean area over seeds, and how far it lies from the film's, with 95 % intervals.

    Intervals are by bootstrap over patients; for a difference the seeds are drawn too, those of both
    detectors together. Of one seed there is no difference: its interval would lack the luck of training.

    Args:
        finished: scores (N,) of each seed by (learned from, read from).
    """
    weights = patient_weights(patients, np.random.default_rng(0))
    points = {name: np.array([auc(labels, one) for one in seeds]) for name, seeds in finished.items()}
    drawn = {
        name: np.stack([weighted_areas(labels, one, weights) for one in seeds])
        for name, seeds in finished.items()
    }
    lines = [
        "| learned from | read from | seeds | area under the curve | less the film's |",
        "|---|---|---|---|---|",
    ]
    film = (BASELINE, BASELINE)
    for name in finished:
        area = _figure(float(points[name].mean()), drawn[name].mean(0), len(labels))
        less = "-"
        if film in finished and name != film and min(len(points[name]), len(points[film])) > 1:
            less = str(_difference(points[name], points[film], drawn[name], drawn[film]))
        lines.append(f"| {name[0]} | {name[1]} | {len(points[name])} | {area} | {less} |")
    said = f"{len(labels)} test studies, a fracture shows on {int(labels.sum())}."
    if min(map(len, points.values()), default=0) == 1:
        said += " The interval of one seed does not hold the luck of training, so it has no difference."
    return "\n".join([*lines, "", said]) + "\n"


def _difference(first: Values, second: Values, drawn: Values, other: Values) -> Figure:
    """Mean of seeds that both have, with the interval over patients and seeds drawn anew."""
    both = min(len(first), len(second))
    value = float(first[:both].mean() - second[:both].mean())
    draws = drawn.shape[1]
    chosen = np.random.default_rng(1).integers(0, both, (both, draws))
    across = np.arange(draws)
    replicates = drawn[chosen, across].mean(0) - other[chosen, across].mean(0)
    return _figure(value, replicates, both)


def _figure(value: float, replicates: Values, n: int) -> Figure:
    known = replicates[~np.isnan(replicates)]
    low, high = np.percentile(known, (2.5, 97.5)) if known.size else (np.nan, np.nan)
    return Figure(value, float(low), float(high), n)


def collected(out: Path, detectors: Sequence[Detector]) -> dict[tuple[str, str], list[Values]]:
    """Scores of the finished ones."""
    finished: dict[tuple[str, str], list[Values]] = {}
    for detector in detectors:
        if detector.path(out).is_file():
            kept = json.loads(detector.path(out).read_text())
            for shown in detector.shown:
                finished.setdefault((detector.kind, shown), []).append(np.array(kept[shown]))
    return finished


def main() -> None:
    """Train the detectors that are missing, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--phantom", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=512, help="side of the films, a multiple of 32 (512)")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument(
        "--patch",
        type=int,
        default=0,
        help="learn from squares of this side, a multiple of 32; 0: whole films",
    )
    parser.add_argument(
        "--seeds", type=int, default=1, help="detectors of each kind (1); differences need two or more"
    )
    parser.add_argument("--kinds", default=",".join(KINDS), help="of input, comma between them")
    parser.add_argument("--device", default="auto")
    try:
        compare(parser.parse_args())
    except SuiteError as error:
        sys.exit(f"error: {error}")


def compare(options: argparse.Namespace) -> None:
    """The whole comparison for parsed options.

    Raises:
        SuiteError: options, cohort, weights or folder that cannot be used.
    """
    kinds, budget = known_kinds(options.kinds, list(KINDS)), Budget(options.epochs, options.patch)
    check_numbers(options.size, budget, options.seeds)
    device = torch.device(resolve_device(options.device))
    card = read_card(options.weights.with_suffix(".json"))
    chests = open_dataset("phantom", options.phantom).with_target("bone").with_target("low")
    split = chests.split(0)
    parts = {"train": split["train"], "test": (*split["validation"], *split["test"])}
    labels = np.array([float(is_fractured(record)) for record in parts["test"]])
    patients = [record.patient_id for record in parts["test"]]
    data = data_digest(chests, cohort_settings(options.phantom))
    state = {"weights": card.sha256, "size": options.size, **asdict(budget), "data": data}
    remember(options.out / "fractures.json", state, "detectors of another cohort, network, size or length")
    detectors = [Detector(kind, seed) for seed in range(options.seeds) for kind in kinds]
    waiting = [detector for detector in detectors if not detector.path(options.out).is_file()]
    start = time.perf_counter()
    if waiting:
        torch.backends.cudnn.benchmark = True
        banks = banks_of(parts, card, options.size, device)
        print(
            f"{sum(map(len, banks.values()))} studies decoded, {time.perf_counter() - start:.0f} s",
            flush=True,
        )
    for detector in waiting:
        start = time.perf_counter()
        network = learn(banks["train"], detector, budget, device)
        found = {shown: scores(network, banks["test"], shown).tolist() for shown in detector.shown}
        write_text(detector.path(options.out), json.dumps(found) + "\n")
        took = time.perf_counter() - start
        areas = ", ".join(f"{auc(labels, np.array(own)):.3f} on {shown}" for shown, own in found.items())
        print(f"{detector.kind}, seed {detector.seed}: {areas}; {took:.0f} s", flush=True)
    text = table(collected(options.out, detectors), labels, patients)
    write_text(options.out / "fractures.md", text)
    print(text, end="")


if __name__ == "__main__":
    main()
