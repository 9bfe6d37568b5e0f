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
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate, max_pool2d

from gan.hardware import subtracted
from gan.networks import build_generator
from gan.pairs import AS_TRUE, framed_pair, is_fractured, pair_of
from gan.recipe import BoneRecipe
from gan.suppression import LARGEST_BONE
from suite.datasets.digests import cohort_settings, data_digest
from suite.datasets.manifest import Record
from suite.datasets.registry import open_dataset
from suite.devices import resolve_device
from suite.errors import InputError, SuiteError
from suite.framing import frame
from suite.stages.weights import ModelCard, read_card, rebuild
from suite.storage import make_folder, write_text
from suite.training.bank import FULL_SCALE, Bank, Planes
from suite.training.batch_augment import Geometry, quantum_noise, warp
from suite.training.evaluation import Figure
from suite.training.intervals import auc
from suite.training.patient_draws import Values, patient_weights, weighted_areas
from suite.training.precision import fastest_precision

KINDS: Mapping[str, tuple[str, ...]] = {
    "film": ("film",),
    "true layer": ("true",),
    "network's layer": ("network",),
    "dual-energy": ("hardware",),
    "film + true layer": ("film", "true"),
    "film + network's layer": ("film", "network"),
}
"""Planes of each kind of input."""

READ_TOO = {"true layer": "network's layer", "film + true layer": "film + network's layer"}
"""What else a detector is shown once it has learned its own kind."""

BASELINE = "film"
GEOMETRY = Geometry(degrees=8.0, shift=0.04, scale=(0.9, 1.15))
BATCH, CHUNK = 16, 8
STRIDE = 32
"""The U-Net halves its input five times."""

BREAK_WEIGHT = 20.0
"""How much more a broken pixel counts in the loss: there are few."""

Scores = Mapping[str, Values]
"""A detector's scores of the test studies (N,) by the kind of image they were read from."""


@dataclass(frozen=True, slots=True)
class Detector:
    """One that is to be trained: what it learns from, and its seed."""

    kind: str
    seed: int

    @property
    def shown(self) -> tuple[str, ...]:
        """The kinds of images it is measured on."""
        return (self.kind, *([READ_TOO[self.kind]] if self.kind in READ_TOO else []))

    def path(self, out: Path) -> Path:
        words = self.kind.replace("'s", "").replace("+ ", "").replace(" ", "-")
        return out / "scores" / f"{words}-{self.seed}.json"


# data


def decoded(records: Sequence[Record], size: int) -> Bank:
    """Film, true layer, the hardware's bone image and breaks of computed chests, each (1, size, size).

    The true layer is in units of the largest bone that the network may draw; the hardware's image has a
    window of its own, as it is displayed.
    """

    def read(record: Record) -> Planes:
        framed = framed_pair(pair_of(record), size)
        film, layer = framed["pair"]
        return {
            "film": film[None],
            "true": np.clip(layer / LARGEST_BONE, 0.0, 1.0)[None].astype(np.float32),
            "hardware": frame(subtracted(record)[1], size).pixels[None],
            "breaks": framed["regions"][1:],
        }

    return Bank.decode(records, read)


def network_layers(films: Tensor, network: nn.Module, convention: int, size: int, own: int) -> Tensor:
    """The network's layer of stored films (N, 1, H, W) int16, as the true one: int16 (N, 1, size, size).

    Films are shown to the network at its ``own`` size, whatever the detector's ``size`` is.
    """
    layers = []
    for chunk in films.split(CHUNK):
        film = _resized(chunk.float() / FULL_SCALE, own)
        asked = torch.full((len(film),), convention, dtype=torch.long, device=film.device)
        with torch.inference_mode():
            layer = _resized(network(film, asked).float(), size)
        layers.append((layer / LARGEST_BONE).clamp(0.0, 1.0).mul(FULL_SCALE).round().to(torch.int16))
    return torch.cat(layers)


def _resized(planes: Tensor, side: int) -> Tensor:
    if planes.shape[-1] == side:
        return planes
    return interpolate(planes, size=(side, side), mode="bilinear", antialias=True)


def banks_of(
    parts: Mapping[str, Sequence[Record]], card: ModelCard, size: int, device: torch.device
) -> dict[str, Bank]:
    """The parts on the device, the network's layers included."""
    generator = rebuild(build_generator, card).to(device)
    conventions = BoneRecipe.checked(card.content["recipe"]).conventions
    convention = conventions.index(AS_TRUE) if AS_TRUE in conventions else 0
    own = int(card.content["input"]["size"])
    banks = {}
    for part, records in parts.items():
        bank = decoded(records, size).to(device)
        films = bank.stored["film"] if size >= own else _films(records, own).to(device)
        layers = network_layers(films, generator, convention, size, own)
        banks[part] = Bank({**bank.stored, "network": layers})
    return banks


def _films(records: Sequence[Record], size: int) -> Tensor:
    def read(record: Record) -> Planes:
        return {"film": frame(pair_of(record).film, size).pixels[None]}

    return Bank.decode(records, read).stored["film"]


# detectors


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a detector learns, and from squares of which side (0: from whole films)."""

    epochs: int
    patch: int = 0

    def steps(self, studies: int) -> int:
        return max(1, studies // BATCH) * self.epochs


class Squares:
    """Batches of a bank's films, whole or cut: a break is a thing of a few millimetres.

    Half of the squares that are cut lie around a broken pixel, the others anywhere on any film.
    """

    def __init__(self, bank: Bank, side: int) -> None:
        self.bank, self.side = bank, side
        self.size = bank.stored["breaks"].shape[-1]
        if side:
            whole = bank.stored["breaks"]
            broken = torch.nonzero(whole[:, 0] > 0)  # (M, 3): film, row, column
            films = broken[:, 0].unique()
            self.broken = [broken[broken[:, 0] == film] for film in films]

    def drawn(self) -> dict[str, Tensor]:
        """``BATCH`` films, or squares of them; one of every two around a break, if there is any."""
        device = self.bank.stored["breaks"].device
        rows = torch.randint(len(self.bank), (BATCH,), device=device)
        if not self.side:
            return self.bank.gather(rows)
        centres = torch.randint(self.size, (BATCH, 2), device=device)
        for place in range(0, BATCH if self.broken else 0, 2):
            pixels = self.broken[int(torch.randint(len(self.broken), ()))]
            film = pixels[int(torch.randint(len(pixels), ()))]
            rows[place], centres[place] = film[0], film[1:]
        shift = torch.randint(-self.side // 4, self.side // 4 + 1, centres.shape, device=device)
        corners = (centres + shift - self.side // 2).clamp(0, self.size - self.side)
        steps = torch.arange(self.side, device=device)
        down = (corners[:, :1] + steps)[:, :, None]
        across = (corners[:, 1:] + steps)[:, None, :]
        cut = {name: plane[rows[:, None, None], :, down, across].movedim(-1, 1)
               for name, plane in self.bank.stored.items()}  # fmt: skip
        return Bank(cut).gather(torch.arange(BATCH, device=device))


def unet(planes: int) -> nn.Module:
    """A U-Net on a ResNet-18 without pretrained weights, one map of breaks."""
    from segmentation_models_pytorch import Unet

    return Unet("resnet18", encoder_weights=None, in_channels=planes, classes=1)


def is_quick_in_bfloat16(device: torch.device) -> bool:
    """Whether mixed precision pays on this device."""
    meant = (device.type == "cuda") == torch.cuda.is_available()
    return meant and fastest_precision() == "bf16-mixed"


def learn(bank: Bank, detector: Detector, budget: Budget, device: torch.device) -> nn.Module:
    """A detector of one kind of image; nothing in its steps waits for the device."""
    torch.manual_seed(detector.seed)
    planes = KINDS[detector.kind]
    own = Bank({name: bank.stored[name] for name in (*planes, "breaks")})
    squares = Squares(own, budget.patch)
    network = unet(len(planes)).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=1e-3, weight_decay=1e-3, fused=device.type == "cuda"
    )
    steps = budget.steps(len(own))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    weight = torch.tensor(BREAK_WEIGHT, device=device)
    mixed = is_quick_in_bfloat16(device)
    for _ in range(steps):
        batch = squares.drawn()
        together = torch.cat((*(batch[name] for name in planes), batch["breaks"] / 255), dim=1)
        together = warp(together, GEOMETRY.grid(together))
        image = quantum_noise(together[:, :-1], sigma=0.01).contiguous(memory_format=torch.channels_last)
        breaks = max_pool2d(together[:, -1:], 4).clamp(0, 1)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed):
            logits = max_pool2d(network(image), 4)
        loss = binary_cross_entropy_with_logits(logits.float(), breaks, pos_weight=weight)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def scores(network: nn.Module, bank: Bank, kind: str) -> Values:
    """One number a study, (N,)."""
    own = Bank({name: bank.stored[name] for name in KINDS[kind]})
    found = []
    for rows in torch.arange(len(own)).split(CHUNK):
        batch = own.gather(rows)
        with torch.inference_mode():
            drawn = network(torch.cat(list(batch.values()), dim=1)).float().flatten(1)
        found.append(drawn.topk(max(1, drawn.shape[1] // 1000), dim=1).values.mean(1))
    return torch.cat(found).cpu().numpy().astype(np.float64)


# results


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


def remember(out: Path, state: Mapping[str, object]) -> None:
    """Write down what the scores in ``out`` are of.

    Raises:
        InputError: there are scores of something else.
    """
    path = out / "fractures.json"
    if path.is_file() and json.loads(path.read_text()) != state:
        raise InputError(
            f"{out}: holds detectors of another cohort, network, size or length; name another folder."
        )
    make_folder(out / "scores")
    write_text(path, json.dumps(state, indent=2) + "\n")


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


def _known(text: str) -> list[str]:
    kinds = text.split(",")
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"--kinds names {kind!r}; use some of {', '.join(KINDS)}.")
    return kinds


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
    kinds, budget = _known(options.kinds), Budget(options.epochs, options.patch)
    check_numbers(options.size, budget, options.seeds)
    device = torch.device(resolve_device(options.device))
    card = read_card(options.weights.with_suffix(".json"))
    chests = open_dataset("phantom", options.phantom).with_target("bone").with_target("low")
    split = chests.split(0)
    parts = {"train": split["train"], "test": (*split["validation"], *split["test"])}
    labels = np.array([float(is_fractured(record)) for record in parts["test"]])
    patients = [record.patient_id for record in parts["test"]]
    data = data_digest(chests, cohort_settings(options.phantom))
    remember(options.out, {"weights": card.sha256, "size": options.size, **asdict(budget), "data": data})
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
