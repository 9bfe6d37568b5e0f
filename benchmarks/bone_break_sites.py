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
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import cv2
import numpy as np
import numpy.typing as npt
import timm
import torch
from safetensors.torch import load_file, save
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from gan.networks import build_generator
from gan.pairs import AS_BSE, AS_TRUE, BonePair, framed_pair, haze
from gan.suppression import LARGEST_BONE
from suite.errors import InputError, SuiteError
from suite.framing import frame
from suite.phantom.cohort import available_workers
from suite.phantom.pathology import Break, Fracture
from suite.phantom.patient import Patient
from suite.phantom.study import PhantomStudy, dual_energy, render_study
from suite.stages.weights import read_card, rebuild
from suite.storage import make_folder, whole_folder, write_bytes, write_text
from suite.training.bank import FULL_SCALE
from suite.training.batch_augment import Geometry, quantum_noise, warp
from suite.training.delong import Placements, compare, mean_placements, placements, variance
from suite.training.precision import fastest_precision

SIZE = 512
"""Side of the films; a break is a thing of a few millimetres, so no smaller."""

SQUARE, SEEN = 96, 64
"""Side of the squares that are kept around a place, and of the part of them that a detector is shown."""

BROKEN_BONES = 8
"""In each patient: many breaks make much of a chest that takes seconds to compute."""

APART_MM, SMOOTH_MM = 20.0, 2.0
"""Nearest neighbours among places, and the width over which a break's change is gathered."""

LEAST_CHANGE = 0.003
"""Of the true layer, in units of the film's used range: what changes less does not show."""

MANNERS = ("displaced", "undisplaced", "healing")
PLANES = ("film", "true", "hardware", "network", "shown")
KINDS: Mapping[str, tuple[str, ...]] = {
    "film": ("film",),
    "true layer": ("true",),
    "film + true layer": ("film", "true"),
    "network's layer": ("network",),
    "film + network's layer": ("film", "network"),
    "layer as shown": ("shown",),
    "dual-energy": ("hardware",),
}
"""Planes of each kind of input; ``network`` is in the true convention, ``shown`` in the stage's."""

BASELINE = "film"
BATCH, EPOCHS = 64, 16
GEOMETRY = Geometry(degrees=12.0, shift=0.06, scale=(0.9, 1.1))
TEST_SHARE = 0.3
Floats = npt.NDArray[np.float32]


# chests


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


# squares


@dataclass(frozen=True, slots=True)
class Squares:
    """Squares around the places of some patients' breaks.

    Attributes:
        planes: int16 (M, 2, 5, SQUARE, SQUARE): of each place broken and whole, of each the ``PLANES``.
        patients: (M,) whose each place is.
    """

    planes: Tensor
    patients: npt.NDArray[np.intp]

    def of(self, chosen: npt.NDArray[np.bool_]) -> Squares:
        """Those of some places."""
        return Squares(self.planes[torch.from_numpy(chosen)], self.patients[chosen])


class Layers:
    """The bone network, asked for both conventions of a layer."""

    def __init__(self, card_path: Path) -> None:
        card = read_card(card_path)
        if int(card.content["input"]["size"]) != SIZE:
            raise InputError(
                f"{card_path}: reads films of another size than {SIZE}; give weights that do not."
            )
        self.sha256 = card.sha256
        self.network = rebuild(build_generator, card)

    def __call__(self, films: Tensor) -> Tensor:
        """The layers (N, 2, H, W) int16 of films (N, H, W) int16: as true, as shown."""
        shown = films[:, None].float() / FULL_SCALE
        drawn = []
        with torch.inference_mode():
            for convention in (AS_TRUE, AS_BSE):
                asked = torch.full((len(films),), convention, dtype=torch.long)
                drawn.append(self.network(shown, asked).float())
        return (torch.cat(drawn, 1) / LARGEST_BONE).clamp(0.0, 1.0).mul(FULL_SCALE).round().to(torch.int16)


def kept_squares(path: Path, chests: Sequence[Path], layers: Layers) -> Squares:
    """``read_squares`` of the chests, or what it found before, in the file ``path``."""
    if not path.is_file():
        squares = read_squares(chests, layers)
        stored = {"planes": squares.planes, "patients": torch.from_numpy(squares.patients)}
        write_bytes(path, save(stored))
    kept = load_file(path)
    return Squares(kept["planes"], kept["patients"].numpy())


def read_squares(paths: Sequence[Path], layers: Layers) -> Squares:
    """All squares of the chests of ``paths``, which are in the order of their patients."""
    found: list[Tensor] = []
    owners: list[int] = []
    for index, path in enumerate(paths):
        with np.load(path) as chest:
            stacks = [
                np.stack([chest[f"{name}_{state}"] for name in PLANES[:3]]) for state in ("broken", "whole")
            ]
            places = chest["places"]
        planes = torch.from_numpy(np.stack(stacks))
        planes = torch.cat((planes, layers(planes[:, 0])), 1)  # (2, 5, H, W)
        for place in places:
            top, left = (int(np.clip(at - SQUARE // 2, 0, SIZE - SQUARE)) for at in place)
            found.append(planes[..., top : top + SQUARE, left : left + SQUARE])
            owners.append(index)
    return Squares(torch.stack(found), np.array(owners))


# detectors


def detector(planes: int) -> nn.Module:
    """A small residual network that does not pool before its first block, as breaks are small."""
    network = timm.create_model("resnet10t", in_chans=planes, num_classes=1, channels=(32, 64, 128, 256))
    network.maxpool = nn.Identity()
    return network.to(memory_format=torch.channels_last)


def learn(squares: Squares, kind: str, seed: int) -> nn.Module:
    """A detector of breaks in one kind of image.

    Of each place in a batch both squares are there, turned and bent alike, and the broken one has to score
    higher: what they share, which is nearly all of them, teaches nothing wrong.
    """
    torch.manual_seed(seed)
    rows = [PLANES.index(name) for name in KINDS[kind]]
    network = detector(len(rows)).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
    steps = EPOCHS * max(1, 2 * len(squares.planes) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    truth = torch.tensor([1.0, 0.0]).repeat(BATCH // 2)
    for _ in range(steps):
        chosen = torch.randint(len(squares.planes), (BATCH // 2,))
        pairs = squares.planes[chosen][:, :, rows].flatten(1, 2).float() / FULL_SCALE
        pairs = warp(pairs, GEOMETRY.grid(pairs))
        pairs = torch.where(torch.rand(len(pairs), 1, 1, 1) < 0.5, pairs.flip(-1), pairs)
        batch = quantum_noise(_middle(pairs).unflatten(1, (2, -1)).flatten(0, 1), sigma=0.01)
        image = batch.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fastest_precision() == "bf16-mixed"):
            logits = network(image)[:, 0]
        apart = logits.float().view(-1, 2)
        loss = (
            binary_cross_entropy_with_logits(logits.float(), truth)
            + softplus(apart[:, 1] - apart[:, 0]).mean()
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def scores(network: nn.Module, squares: Squares, kind: str) -> npt.NDArray[np.float64]:
    """Logits (M, 2) of each place broken and whole, the mean of a square and its mirror image."""
    rows = [PLANES.index(name) for name in KINDS[kind]]
    found = []
    with torch.inference_mode():
        for part in squares.planes.split(BATCH):
            image = _middle(part[:, :, rows].flatten(0, 1).float() / FULL_SCALE)
            found.append((network(image) + network(image.flip(-1))).reshape(-1, 2) / 2)
    return torch.cat(found).double().numpy()


def _middle(squares: Tensor) -> Tensor:
    edge = (SQUARE - SEEN) // 2
    return squares[..., edge : edge + SEEN, edge : edge + SEEN]


# results


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


def remember(out: Path, state: Mapping[str, object]) -> None:
    """Write down what ``out`` holds the scores of.

    Raises:
        InputError: there are scores of something else.
    """
    path = out / "sites.json"
    if path.is_file() and json.loads(path.read_text()) != state:
        raise InputError(f"{out}: holds chests or detectors of other settings; name another folder.")
    make_folder(out / "scores")
    write_text(path, json.dumps(state, indent=2) + "\n")


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
    kinds = options.kinds.split(",")
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"--kinds names {kind!r}; use some of {', '.join(KINDS)}.")
    if options.patients < 2 * len(MANNERS) or options.seeds < 1:
        raise InputError(f"give --patients {2 * len(MANNERS)} or more, and --seeds 1 or more.")
    layers = Layers(options.weights.with_suffix(".json"))
    remember(options.out, {"weights": layers.sha256, "patients": options.patients, "seed": options.seed})
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
