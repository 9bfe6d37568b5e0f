r"""How well the motion filter tells still from moved dual-energy studies: computed chests with known motion.

OPTIONS="--seed 5 --size 256 --no-lateral --healthy 0.3 \
    --prevalence fracture=0.5 --prevalence lung_lesion=0.3"
radsuite phantom --n 30 $OPTIONS --out STILL
radsuite phantom --n 60 $OPTIONS --motion --out MOVED
python benchmarks/bone_motion.py --still STILL --moved MOVED

With --jsrt JSRT also of real films with their BSE layers: of one exposure, so that nothing can have moved.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import numpy as np

from gan.hardware import subtracted
from gan.motion import LIMIT, motion_of
from gan.pairs import jsrt_pair
from suite.datasets.registry import open_dataset
from suite.training.intervals import auc_figure


def main() -> None:
    """Print the area under the curve and what the limit lets through."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--still", type=Path, required=True)
    parser.add_argument("--moved", type=Path, required=True)
    parser.add_argument("--jsrt", type=Path)
    parser.add_argument("--most", type=int, default=20, help="films of JSRT, spread over the set")
    options = parser.parse_args()
    motions: dict[str, list[float]] = {}
    for name, folder in (("still", options.still), ("moved", options.moved)):
        records = [r for r in open_dataset("phantom", folder) if "low" in r.targets]
        motions[name] = [motion_of(*subtracted(record)) for record in records]
    labels = np.repeat([0.0, 1.0], [len(motions["still"]), len(motions["moved"])])
    scores = np.array([*motions["still"], *motions["moved"]])
    owners = [str(row) for row in range(len(scores))]
    print(f"area under the curve {auc_figure(labels, scores, owners, np.random.default_rng(0))}")
    if options.jsrt:
        motions["JSRT"] = motions_of_jsrt(options.jsrt, options.most)
    for name, values in motions.items():
        left_out = np.mean(np.array(values) > LIMIT)
        print(f"{name}: {len(values)} studies, median {np.median(values):.4f}, left out {left_out:.0%}")


def motions_of_jsrt(folder: Path, most: int) -> list[float]:
    """The filter's figure for up to ``most`` films and their BSE layers."""
    records = open_dataset("jsrt", folder).with_target("bone").records
    pairs = map(jsrt_pair, records[:: max(1, len(records) // most)][:most])
    return [motion_of(pair.film - pair.bone, pair.bone) for pair in pairs]


if __name__ == "__main__":
    main()
