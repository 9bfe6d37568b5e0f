"""The One-Case cascade beside its baseline, cross-validated: trains what is missing, then pools the folds.

    python benchmarks/pneumothorax.py --data phantom=DIR --out RUNS --gate-from-mask
    python benchmarks/pneumothorax.py --data siim=DIR --out RUNS --folds 0 1

Each fold has three runs, in ``RUNS/mask-F``, ``RUNS/gate-F`` and ``RUNS/baseline-F``; a run that has its
weights is not trained again. The baseline has as many epochs as the mask network, as in the paper, unless
``--baseline epochs=N`` gives it another budget. ``--gate-from-mask`` begins each gate with its fold's mask
network's encoder (same ``backbone`` and ``width``), for want of ImageNet weights. The folds asked for are
pooled film by film into ``RUNS/table.md`` and ``RUNS/metrics.json``.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import numpy as np

from segmentation.pneumothorax.comparison import figures
from segmentation.pneumothorax.training import NOTES
from suite.datasets.registry import parse_sources
from suite.training.command import train
from suite.training.evaluation import Evaluation

FOLDS = 5


def train_fold(fold: int, arguments: argparse.Namespace) -> Path:
    """Train the fold's missing networks; the table of its films."""
    sources, out = parse_sources(arguments.data), arguments.out
    outlined = {name: folder for name, folder in sources.items() if name != "nih"}
    shared = [f"folds={FOLDS}", f"fold={fold}", *arguments.set]
    mask = out / f"mask-{fold}" / "pneumothorax-mask.safetensors"
    gate = out / f"gate-{fold}" / "pneumothorax-gate.safetensors"
    baseline = out / f"baseline-{fold}" / "pneumothorax-mask.safetensors"
    if not mask.is_file():
        train("pneumothorax-mask", outlined, [*shared, *arguments.mask], mask.parent)
    if not gate.is_file():
        start = [f"encoder_weights={mask}"] if arguments.gate_from_mask else []
        train("pneumothorax-gate", sources, [*shared, *arguments.gate, *start], gate.parent)
    if not baseline.is_file():
        settings = [*shared, *arguments.mask, *arguments.baseline, "learn_from=all"]
        train("pneumothorax-mask", outlined, settings, baseline.parent)
    # resumed at its end: measured with the others, not trained
    companions = [f"gate_weights={gate}", f"baseline_weights={baseline}"]
    train("pneumothorax-mask", outlined, [*shared, *arguments.mask, *companions], mask.parent, resume=True)
    return mask.parent / "films.csv"


def read_rows(table: Path) -> list[dict[str, Any]]:
    """The rows of a fold's table."""
    with table.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def main() -> None:
    """Train, pool, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", action="append", required=True, help="NAME=DIR; nih is measured on only")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--gate-from-mask", action="store_true")
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(FOLDS)))
    for name in ("set", "gate", "mask", "baseline"):
        parser.add_argument(f"--{name}", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    rows = [row for fold in arguments.folds for row in read_rows(train_fold(fold, arguments))]
    notes = (f"{len(arguments.folds)} of {FOLDS} folds: {arguments.folds}.", *NOTES)
    evaluation = Evaluation(figures(rows, np.random.default_rng(0)), rows, notes)
    evaluation.write(arguments.out)
    print(evaluation.table())


if __name__ == "__main__":
    main()
