"""What each segmentation network costs: its stage beside its bare forward pass and a U-Net of the library's.

    python benchmarks/segmentation.py [FILM] [--runs 10] [--threads 2]

``stage`` is the whole work on one film in memory: framing, network, outline on the film's grid, measurements.
``forward`` are the same networks on ready tensors of the size they got. ``smp U-Net`` is the U-Net of
segmentation-models-pytorch with the same encoder, at its full width, on a tensor of that size; networks whose
encoder the library does not have (XNet, InvertedNet) have none. Peak memory is what one call adds to the
process at its highest, weights included; each line is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import cv2
import numpy as np
import torch
from torch import nn

from suite.errors import SuiteError
from suite.film import read_film
from suite.stages.contract import Artifact
from suite.stages.plugins import STAGES, installed, load_stage

ENCODERS = {"lungs": "vgg16_bn", "pneumothorax": "resnet34"}
"""The library's name of the encoder of the network that outlines."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """Median milliseconds of a call, peak memory in MiB, parameters, and the shapes the networks got."""

    ms: float
    peak: float
    parameters: int
    shapes: tuple[tuple[int, ...], ...] = ()


def computed_film(size: int, path: Path) -> Path:
    """A phantom's frontal film, written to ``path`` with 16 bits."""
    from suite.phantom import render_study

    pixels = render_study(7, size=size, lateral=False).radiograph("frontal").pixels
    cv2.imwrite(str(path), np.rint(pixels * 65535).astype(np.uint16))
    return path


def memory_mib(field: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (highest so far) of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def measured(build: Callable[[], Callable[[], object]], runs: int) -> tuple[float, float]:
    """Median ms of the call that ``build`` makes, after two warm-up calls, and its MiB with the weights."""
    torch.nn.functional.conv2d(torch.rand(1, 1, 64, 64), torch.rand(1, 1, 3, 3))  # the kernels are loaded
    gc.collect()
    before = memory_mib("VmRSS")
    call = build()
    for _ in range(2):
        call()
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far starts anew: loading does not count
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000, memory_mib("VmHWM") - before


def networks(thing: Any, depth: int = 3) -> Iterator[nn.Module]:
    """Every network that a stage keeps, itself or in its parts."""
    if isinstance(thing, nn.Module):
        yield thing
    elif depth and isinstance(thing, (list, tuple)):
        for part in thing:
            yield from networks(part, depth - 1)
    elif depth and isinstance(thing, dict):
        yield from networks(list(thing.values()), depth)
    elif depth and hasattr(thing, "__dict__"):
        yield from networks(list(vars(thing).values()), depth)
    elif depth and dataclasses.is_dataclass(thing):
        yield from networks([getattr(thing, field.name) for field in dataclasses.fields(thing)], depth)


def recorded(name: str, film: Path) -> tuple[Any, list[tuple[nn.Module, tuple[Any, ...]]]]:
    """The stage, and the calls its networks get for one film."""
    stage = load_stage(name)("cpu")
    calls: list[tuple[nn.Module, tuple[Any, ...]]] = []
    hooks = [
        network.register_forward_pre_hook(lambda module, args: calls.append((module, args)))
        for network in networks(stage)
    ]
    stage.run([{"frontal": Artifact(read_film(film))}])
    for hook in hooks:
        hook.remove()
    return stage, calls


def stage_cost(name: str, film: Path, runs: int, threads: int) -> Cost:
    """The whole stage on one film."""
    torch.set_num_threads(threads)
    load_stage(name)  # its code is in memory before the count begins
    kept: list[Any] = []
    study = {"frontal": Artifact(read_film(film))}

    def build() -> Callable[[], object]:
        kept.append(load_stage(name)("cpu"))
        return lambda: kept[0].run([study])

    ms, peak = measured(build, runs)
    parameters = sum(value.numel() for network in networks(kept[0]) for value in network.parameters())
    shapes = tuple(tuple(args[0].shape) for _, args in recorded(name, film)[1])
    return Cost(ms, peak, parameters, shapes)


def forward_cost(name: str, film: Path, runs: int, threads: int) -> Cost:
    """The calls of the stage's networks, with nothing around them."""
    torch.set_num_threads(threads)
    load_stage(name)
    calls: list[tuple[nn.Module, tuple[Any, ...]]] = []

    def build() -> Callable[[], object]:
        calls.extend(recorded(name, film)[1])
        return lambda: [_inferred(network, args) for network, args in calls]

    ms, peak = measured(build, runs)
    different = {id(network): network for network, _ in calls}.values()
    return Cost(ms, peak, sum(value.numel() for network in different for value in network.parameters()))


def library_cost(encoder: str, shape: tuple[int, ...], runs: int, threads: int) -> Cost:
    """The library's U-Net with ``encoder``, untrained, on a tensor of ``shape``."""
    import segmentation_models_pytorch as smp

    torch.set_num_threads(threads)
    kept: list[nn.Module] = []

    def build() -> Callable[[], object]:
        network = smp.Unet(encoder, encoder_weights=None, in_channels=shape[1], classes=1).eval()
        kept.append(network.to(memory_format=torch.channels_last))
        film = torch.rand(shape).contiguous(memory_format=torch.channels_last)
        return lambda: _inferred(kept[0], (film,))

    ms, peak = measured(build, runs)
    return Cost(ms, peak, sum(value.numel() for value in kept[0].parameters()))


def _inferred(network: nn.Module, args: tuple[Any, ...]) -> object:
    with torch.inference_mode():
        return network(*args)


def alone(call: Callable[..., Cost], *args: Any) -> Cost:
    """``call(*args)`` in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(call, *args).result()


def lines(name: str, film: Path, runs: int, threads: int) -> Iterator[tuple[str, Cost]]:
    """What one stage costs, line by line."""
    stage = alone(stage_cost, name, film, runs, threads)
    yield "stage", stage
    yield "forward", alone(forward_cost, name, film, runs, threads)
    if name in ENCODERS and stage.shapes:
        shape = max(stage.shapes, key=lambda each: each[-1])
        yield f"smp U-Net {ENCODERS[name]}", alone(library_cost, ENCODERS[name], shape, runs, threads)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("film", nargs="?", type=Path)
    parser.add_argument("--size", type=int, default=1024, help="of the computed film when none is given")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    # started as a file this module would stand for the package of its name
    sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]
    with tempfile.TemporaryDirectory() as folder:
        film = options.film or computed_film(options.size, Path(folder) / "film.png")
        print(f"film {read_film(film).shape}, CPU, {options.threads} threads, median of {options.runs}")
        print(f"{'network':14s}{'what':22s}{'input':>14s}{'ms':>10s}{'peak MiB':>10s}{'parameters':>14s}")
        for name, point in installed(STAGES).items():
            if point.value.startswith("segmentation."):
                show(name, film, options.runs, options.threads)


def show(name: str, film: Path, runs: int, threads: int) -> None:
    """Print what one stage costs, or why it cannot be measured."""
    try:
        for what, cost in lines(name, film, runs, threads):
            inputs = " ".join("x".join(str(side) for side in shape[1:]) for shape in set(cost.shapes))
            numbers = f"{cost.ms:10.1f}{cost.peak:10.0f}{cost.parameters:14,d}"
            print(f"{name:14s}{what:22s}{inputs:>14s}{numbers}", flush=True)
    except SuiteError as error:
        print(f"{name:14s}not measured: {error}")


if __name__ == "__main__":
    main()
