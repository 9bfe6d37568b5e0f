"""Cost of bone networks: a 2048 x 2048 film against forward passes of DenseNet-121 at 1024 x 1024.

    python benchmarks/bone.py
    python benchmarks/bone.py --bases 32,64 --sizes 512,1024
    python benchmarks/bone.py --weights narrow/bone.safetensors --weights wide/bone.safetensors

Each width and size, or each weights file, runs in a process of its own, so that its peak memory is its own.
The two networks take turns, so that other work on the machine slows both. For weights files the table has
their cards' figures beside their cost: how good they are on the films that they were tested on.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import numpy as np

from suite.stages.weights import ModelCard, read_card

if TYPE_CHECKING:
    from torch import nn

FILM_SIDE = 2048
DENSENET_SIDE = 1024
REPEATS = 5

QUALITY = ("psnr_gain", "edge_residual", "phantom_psnr_gain", "phantom_break_contrast")
"""Figures of a card that stand beside a network's cost, as far as it has them."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is timed: a width at a size with numbers at random, or a weights file by its card."""

    base: int
    size: int
    card: Path | None = None

    @classmethod
    def of_card(cls, weights: Path) -> Subject:
        """The network of a weights file.

        Raises:
            WeightsError: it has no readable card.
        """
        path = weights.with_suffix(".json")
        content = read_card(path).content
        return cls(int(content["architecture"].get("base", 0)), int(content["input"]["size"]), path)

    def build(self) -> nn.Module:
        """The network, as the stage runs it."""
        import torch

        from gan.networks import build_generator
        from suite.stages.weights import rebuild

        if self.card is not None:
            network = rebuild(build_generator, read_card(self.card))
        else:
            network = build_generator(base=self.base, norm="group", conventions=2).eval()  # as shipped
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the stage's work on a film and of a DenseNet pass, peak memory (GiB), million parameters."""

    film: float
    densenet: float
    peak: float
    parameters: float


def measure(subject: Subject, threads: int, device_name: str) -> Cost:
    """Time one subject beside DenseNet-121, in turns; on a GPU its peak memory is the GPU's."""
    import timm
    import torch

    from gan.suppression import taken_layer

    torch.set_num_threads(threads)
    device = torch.device(device_name)
    network = subject.build().to(device)
    film = np.random.default_rng(0).random((FILM_SIDE, FILM_SIDE), dtype=np.float32)
    lungs = np.full(film.shape, 128, np.uint8)

    def read() -> None:  # its result is on the host, so that a GPU has finished
        taken_layer(network, film, subject.size, device, lungs)

    read()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**30
    densenet = timm.create_model("densenet121", num_classes=1, in_chans=1).eval()
    densenet = densenet.to(device, memory_format=torch.channels_last)
    picture = torch.rand(1, 1, DENSENET_SIDE, DENSENET_SIDE).to(device, memory_format=torch.channels_last)
    films, passes = [], []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        read()
        between = time.perf_counter()
        with torch.inference_mode():
            densenet(picture).cpu()
        films.append(between - start)
        passes.append(time.perf_counter() - between)
    parameters = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    return Cost(statistics.median(films[1:]), statistics.median(passes[1:]), peak, parameters)


def quality(card: ModelCard) -> list[str]:
    """The card's figures of ``QUALITY``, a dash where it has none."""
    from suite.training.evaluation import Figure  # its plots are no part of the memory that is measured

    metrics = card.content["metrics"]
    return [str(Figure.from_json(metrics[name])) if name in metrics else "-" for name in QUALITY]


def row(subject: Subject, cost: Cost) -> str:
    """One line of the table."""
    cells = [
        str(subject.base),
        f"{cost.parameters:.1f} M",
        str(subject.size),
        f"{cost.film:.2f} s",
        f"{cost.densenet:.2f} s",
        f"{cost.film / cost.densenet:.2f}",
        f"{cost.peak:.1f} GiB",
    ]
    if subject.card is not None:
        cells = [_named(subject.card), *cells, *quality(read_card(subject.card))]
    return f"| {' | '.join(cells)} |"


def _named(card: Path) -> str:
    return f"{card.resolve().parent.name}/{card.stem}"


def header(with_weights: bool) -> str:
    """The table's first two lines."""
    names = ["base", "parameters", "network size", "film", "DenseNet-121 pass", "ratio", "peak memory"]
    names = ["weights", *names, *QUALITY] if with_weights else names
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def subjects(weights: Sequence[Path], bases: str, sizes: str) -> list[Subject]:
    """What was asked for: the weights files, or every width at every size."""
    if weights:
        return [Subject.of_card(path) for path in weights]
    return [Subject(int(base), int(size)) for size in sizes.split(",") for base in bases.split(",")]


def main() -> None:
    """Print one row for each width and size, or for each weights file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bases", default="16,32,64")
    parser.add_argument("--sizes", default="512,1024")
    parser.add_argument(
        "--weights", type=Path, action="append", default=[], help="may be given several times"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args()
    print(header(bool(options.weights)), flush=True)
    for subject in subjects(options.weights, options.bases, options.sizes):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            cost = pool.submit(measure, subject, options.threads, options.device).result()
        print(row(subject, cost), flush=True)


if __name__ == "__main__":
    main()
