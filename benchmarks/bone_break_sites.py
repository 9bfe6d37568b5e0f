"""Is this rib broken? Asked at a known place: of the film, of bone layers, of dual-energy subtraction.

    python benchmarks/bone_break_sites.py --weights gan/weights/bone.safetensors --out OUT

To find a break is to see it and to search a whole chest for it. Here the search is taken out: each computed
patient is there with broken bones and without, all else the same down to the noise, and a small network is
shown squares around the places of the breaks from both. What it cannot tell apart there is not found in a
whole chest either. Patients with displaced, with undisplaced and with healing breaks take turns. Chests that
are computed and detectors that are trained are kept: the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import numpy as np
import numpy.typing as npt

from benchmarks.breaks.chests import MANNERS, compute_all, manner_of
from benchmarks.breaks.kinds import BASELINE, known_kinds, remember
from benchmarks.breaks.square_detector import KINDS, learn, scores
from benchmarks.breaks.squares import Layers, kept_squares
from suite.errors import InputError, SuiteError
from suite.storage import write_text
from suite.training.delong import Placements, compare, mean_placements, placements, variance

TEST_SHARE = 0.3


def placed(found: npt.NDArray[np.float64], patients: npt.NDArray[np.intp]) -> Placements:
    """Placements of broken and whole squares whose logits (M, 2) are ``found``."""
    truth = np.tile([1.0, 0.0], len(found))
    return placements(truth, found.ravel(), [str(patient) for patient in np.repeat(patients, 2)])


def table(finished: Mapping[str, Sequence[npt.NDArray[np.float64]]], patients: npt.NDArray[np.intp]) -> str:
    """Markdown: areas by kind and manner with 95 % intervals, and how far they lie from the film's."""
    groups = {"all": np.ones(len(patients), bool)}
    groups |= {manner: np.array([manner_of(int(one)) == manner for one in patients]) for manner in MANNERS}
    lines = [
        f"| read from | seeds | all | less the film's | {' | '.join(MANNERS)} |",
        "|---" * (4 + len(MANNERS)) + "|",
    ]
    film = [placed(one, patients) for one in finished.get(BASELINE, ())]
    for kind, seeds in finished.items():
        own = [placed(one, patients) for one in seeds]
        cells = [_area([placed(one[rows], patients[rows]) for one in seeds]) for rows in groups.values()]
        less = "-"
        if kind != BASELINE and film:
            result = compare(own, film)
            low, high = result.interval
            less = f"{result.difference:+.3f} ({low:.3f} - {high:.3f})"
        lines.append(f"| {kind} | {len(seeds)} | {cells[0]} | {less} | {' | '.join(cells[1:])} |")
    counts = ", ".join(f"{int(rows.sum())} {name}" for name, rows in groups.items())
    return "\n".join([*lines, "", f"Places of {len(set(patients.tolist()))} patients: {counts}."]) + "\n"


def _area(seeds: Sequence[Placements]) -> str:
    """Mean area over seeds; the interval is over patients."""
    mean = mean_placements(seeds)
    reach = 1.96 * float(np.sqrt(variance(mean)))
    return f"{mean.auc:.3f} ({max(0.0, mean.auc - reach):.3f} - {min(1.0, mean.auc + reach):.3f})"


def main() -> None:
    """Compute and train what is missing, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=240, help="to compute (240)")
    parser.add_argument("--seed", type=int, default=5, help="of the patients")
    parser.add_argument("--seeds", type=int, default=2, help="detectors of each kind")
    parser.add_argument("--kinds", default=",".join(KINDS), help="of input, comma between them")
    try:
        measure(parser.parse_args())
    except SuiteError as error:
        sys.exit(f"error: {error}")


def measure(options: argparse.Namespace) -> None:
    """The whole measurement for parsed options.

    Raises:
        SuiteError: options, weights or folder that cannot be used.
    """
    kinds = known_kinds(options.kinds, list(KINDS))
    if options.patients < 2 * len(MANNERS) or options.seeds < 1:
        raise InputError(f"give --patients {2 * len(MANNERS)} or more, and --seeds 1 or more.")
    layers = Layers(options.weights.with_suffix(".json"))
    state = {"weights": layers.sha256, "patients": options.patients, "seed": options.seed}
    remember(options.out / "sites.json", state, "chests or detectors of other settings")
    paths = compute_all(options.patients, options.seed, options.out / "chests")
    squares = kept_squares(options.out / "squares.safetensors", paths, layers)
    tested = squares.patients >= round(options.patients * (1.0 - TEST_SHARE))
    train, test = squares.of(~tested), squares.of(tested)
    print(f"{len(train.patients)} places to learn from, {len(test.patients)} to be tested on", flush=True)
    finished: dict[str, list[npt.NDArray[np.float64]]] = {}
    for seed in range(options.seeds):
        for kind in kinds:
            path = options.out / "scores" / f"{kind.replace(' ', '-').replace(chr(39), '')}-{seed}.json"
            if not path.is_file():
                start = time.perf_counter()
                found = scores(learn(train, kind, seed), test, kind)
                write_text(path, json.dumps(found.tolist()) + "\n")
                took = time.perf_counter() - start
                print(
                    f"{kind}, seed {seed}: {placed(found, test.patients).auc:.3f}; {took:.0f} s", flush=True
                )
            finished.setdefault(kind, []).append(np.array(json.loads(path.read_text())))
    text = table(finished, test.patients)
    write_text(options.out / "sites.md", text)
    print(text, end="")


if __name__ == "__main__":
    main()
