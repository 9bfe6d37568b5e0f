"""What computed films buy on real ones: triage networks that began on phantoms against such that did not.

    python benchmarks/pretraining.py --data phantom=COHORT --data nih=NIH --out RUNS --seeds 5
    python benchmarks/pretraining.py --data phantom=COHORT --data nih=NIH --out RUNS --set epochs=10

One network learns from phantoms; then, for each seed, one goes on from it and one begins from nothing, both
with the same budget on the same real films. The network from nothing is timm's DenseNet-121 with one grey
plane. A run that has its weights is not trained again. Areas on held-out patients are compared by DeLong's
paired test with the spread over seeds (``suite.training.delong``).
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import numpy as np

from suite.datasets.registry import parse_sources
from suite.training.command import train
from suite.training.delong import Placements, compare, placements
from suite.training.intervals import auc_figure


def trained(folder: Path, sources: dict[str, Path], settings: list[str], device: str) -> Path:
    """The folder of a triage network, trained unless it is there."""
    if not (folder / "triage.safetensors").is_file():
        train("triage", sources, settings, folder, device=device)
    return folder


def scores_of(folder: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Patients, labels and scores of a run's test films."""
    with (folder / "films.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    truth = np.array([float(row["abnormal"]) for row in rows])
    return [row["patient"] for row in rows], truth, np.array([float(row["score"]) for row in rows])


def placed(folder: Path) -> Placements:
    """DeLong's placements of a run."""
    patients, truth, scores = scores_of(folder)
    return placements(truth, scores, patients)


def main() -> None:
    """Train, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", action="append", required=True, help="phantom=DIR and one real set")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of all networks")
    parser.add_argument("--first", action="append", default=[], metavar="KEY=VALUE", help="of the first one")
    arguments = parser.parse_args()
    sources = parse_sources(arguments.data)
    computed = {"phantom": sources.pop("phantom")}
    first = trained(arguments.out / "phantom", computed, [*arguments.set, *arguments.first], arguments.device)
    kinds: dict[str, list[Path]] = {"after phantoms": [], "from nothing": []}
    for seed in range(arguments.seeds):
        shared = [*arguments.set, f"seed={seed}"]
        for name, start in (
            ("after phantoms", [f"start_from={first / 'triage.json'}"]),
            ("from nothing", []),
        ):
            folder = arguments.out / f"{name.replace(' ', '-')}-{seed}"
            kinds[name].append(trained(folder, sources, [*shared, *start], arguments.device))
    for name, folders in kinds.items():
        patients, truth, _ = scores_of(folders[0])
        each = [scores_of(folder)[2] for folder in folders]
        areas = [placed(folder).auc for folder in folders]
        together = auc_figure(truth, np.mean(each, axis=0), patients, np.random.default_rng(0))
        print(f"{name}: AUC {np.mean(areas):.3f} +- {np.std(areas):.3f} over {len(areas)} seeds; "
              f"their mean score {together} on {together.n} films")  # fmt: skip
    result = compare(*([placed(folder) for folder in folders] for folders in kinds.values()))
    low, high = result.interval
    print(f"difference {result.difference:+.3f} ({low:+.3f} - {high:+.3f}), p {result.p:.4f}")


if __name__ == "__main__":
    main()
