"""What each segmentation network costs: its stage, its bare forward passes, and a U-Net of the library's.

    python benchmarks/segmentation.py [FILM] [--stages lungs organs] [--runs 10] [--threads 2]

``stage`` is the whole work on one film in memory: framing, network, outline on the film's grid,
measurements; what other stages make of the film for it is made beforehand. ``N ways`` is the
same with test-time augmentation, where a stage offers it. ``N passes`` are the same
networks on ready tensors of the size they got, ``one pass`` the last of them, of the network that outlines.
``smp U-Net`` is the U-Net of segmentation-models-pytorch with the same encoder, at its full width, on the
same tensor; networks without an encoder of the library's (XNet, the U-Net of the organs) have none. The
ratio is to ``one pass``. The gate of a cascade is held open, or the network behind it would rest on most
films. Peak memory is what one call adds to the process at its highest, weights included; each line is
measured in a process of its own.
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
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import cv2
import numpy as np
import torch
from torch import nn

from segmentation.test_time import UNMIRRORED
from suite.errors import SuiteError
from suite.film import read_film
from suite.stages.contract import SOURCES, Artifact, Inputs
from suite.stages.graph import ordered
from suite.stages.plugins import STAGES, build_stage, installed, load_stage
from suite.stages.running import run_checked
from suite.stages.weights import shipped_card

CARDS = {"pneumothorax": "pneumothorax-mask"}
"""The weights of the network that outlines, where they are called otherwise than the stage."""

VGG16 = ("lungs", "whole-lungs")
"""Stages whose network has this encoder by construction, so that their cards name none."""

Made = TypeVar("Made")

HEADER = """| network | | input | ms | ratio | peak MiB | parameters |
|---|---|---|---|---|---|---|"""


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


def networks(thing: Any, depth: int = 4) -> Iterator[nn.Module]:
    """Every network that a stage keeps, itself or in its parts."""
    if isinstance(thing, nn.Module):
        yield thing
    elif depth and isinstance(thing, (list, tuple)):
        for part in thing:
            yield from networks(part, depth - 1)
    elif depth and isinstance(thing, dict):
        yield from networks(list(thing.values()), depth)
    elif depth and dataclasses.is_dataclass(thing):
        yield from networks([getattr(thing, field.name) for field in dataclasses.fields(thing)], depth)
    elif depth and hasattr(thing, "__dict__"):
        yield from networks(list(vars(thing).values()), depth)


def segmentation_stages() -> list[str]:
    """Names of the installed stages of the package ``segmentation``."""
    return [name for name, point in installed(STAGES).items() if point.value.startswith("segmentation.")]


def made_for(name: str, film: Path) -> dict[str, Artifact]:
    """What other stages make of a film that a stage needs or uses."""
    classes = {each: load_stage(each) for each in segmentation_stages()}
    chosen: dict[str, Any] = {}
    waiting = [name]
    while waiting:
        each = waiting.pop()
        chosen[each] = classes[each]
        inputs = classes[each].needs | classes[each].uses
        makers = [maker for maker, stage in classes.items() if stage.makes & inputs]
        waiting += [maker for maker in makers if maker not in chosen]
    study = study_of(film, {})
    for maker in ordered(chosen):
        if maker != name:
            study |= run_checked(build_stage(maker, chosen[maker], "cpu"), study, film.name).outputs
    wanted = (classes[name].needs | classes[name].uses) - SOURCES
    return {artifact: value for artifact, value in study.items() if artifact in wanted}


def study_of(film: Path, made: Inputs) -> dict[str, Artifact]:
    """The film and what was made of it; a film itself does not travel from process to process."""
    return {"frontal": Artifact(read_film(film)), **made}


def opened(name: str, *, several: bool = False) -> Any:
    """The stage, reading in ``several`` ways or as it ships; a gate before its network stands open."""
    stage = load_stage(name)("cpu")
    if several:
        stage.ways = UNMIRRORED
    if name == "pneumothorax":
        stage._cascade = dataclasses.replace(stage._cascade, gate_threshold=0.0)
    return stage


def recorded(name: str, study: Inputs) -> list[tuple[nn.Module, tuple[Any, ...]]]:
    """The calls that the stage's networks get for one film, in order."""
    stage = opened(name)
    calls: list[tuple[nn.Module, tuple[Any, ...]]] = []
    hooks = [
        network.register_forward_pre_hook(lambda module, args: calls.append((module, args)))
        for network in networks(stage)
    ]
    stage.run([study])
    for hook in hooks:
        hook.remove()
    return calls


def stage_cost(name: str, film: Path, made: Inputs, runs: int, threads: int, several: bool = False) -> Cost:
    """The whole stage on one film, read in ``several`` ways or as it ships."""
    torch.set_num_threads(threads)
    study = study_of(film, made)
    load_stage(name)  # its code is in memory before the count begins
    kept: list[Any] = []

    def build() -> Callable[[], object]:
        kept.append(opened(name, several=several))
        return lambda: kept[0].run([study])

    ms, peak = measured(build, runs)
    parameters = sum(value.numel() for network in networks(kept[0]) for value in network.parameters())
    shapes = tuple(tuple(args[0].shape) for _, args in recorded(name, study))
    return Cost(ms, peak, parameters, shapes)


def forward_cost(name: str, film: Path, made: Inputs, first: int, runs: int, threads: int) -> Cost:
    """The calls of the stage's networks from the one numbered ``first`` on, with nothing around them."""
    torch.set_num_threads(threads)
    study = study_of(film, made)
    load_stage(name)
    calls: list[tuple[nn.Module, tuple[Any, ...]]] = []

    def build() -> Callable[[], object]:
        calls.extend(recorded(name, study)[first:])
        return lambda: [_inferred(network, args) for network, args in calls]

    ms, peak = measured(build, runs)
    different = {id(network): network for network, _ in calls}.values()
    parameters = sum(value.numel() for network in different for value in network.parameters())
    return Cost(ms, peak, parameters, tuple(tuple(args[0].shape) for _, args in calls))


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
    return Cost(ms, peak, sum(value.numel() for value in kept[0].parameters()), (shape,))


def library_encoder(name: str) -> str | None:
    """The library's name of the encoder of the network that outlines, as the card of its weights has it."""
    if name in VGG16:
        return "vgg16_bn"
    return shipped_card("segmentation", CARDS.get(name, name)).architecture.get("encoder")


def _inferred(network: nn.Module, args: tuple[Any, ...]) -> object:
    with torch.inference_mode():
        return network(*args)


def alone(call: Callable[..., Made], *args: Any) -> Made:
    """``call(*args)`` in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(call, *args).result()


def lines(name: str, film: Path, runs: int, threads: int) -> Iterator[tuple[str, Cost]]:
    """What one stage costs, line by line; the line ``one pass`` is the one others are compared with."""
    made = alone(made_for, name, film)
    stage = alone(stage_cost, name, film, made, runs, threads)
    yield "stage", stage
    if hasattr(load_stage(name), "ways"):
        yield f"{len(UNMIRRORED)} ways", alone(stage_cost, name, film, made, runs, threads, True)
    passes = len(stage.shapes)
    if passes > 1:
        yield f"{passes} passes", alone(forward_cost, name, film, made, 0, runs, threads)
    yield "one pass", alone(forward_cost, name, film, made, passes - 1, runs, threads)
    encoder = library_encoder(name)
    if encoder is not None:
        yield f"smp U-Net {encoder}", alone(library_cost, encoder, stage.shapes[-1], runs, threads)


def rows(name: str, film: Path, runs: int, threads: int) -> list[str]:
    """What one stage costs as lines of the table, or why it cannot be measured."""
    try:
        costs = dict(lines(name, film, runs, threads))
    except SuiteError as error:
        return [f"| {name} | not measured: {error} | | | | | |"]
    made = []
    for what, cost in costs.items():
        inputs = ", ".join(sorted({"x".join(str(side) for side in shape[-2:]) for shape in cost.shapes}))
        ratio = cost.ms / costs["one pass"].ms
        made.append(
            f"| {name} | {what} | {inputs} | {cost.ms:.1f} | {ratio:.2f} | {cost.peak:.0f} "
            f"| {cost.parameters:,d} |"
        )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("film", nargs="?", type=Path)
    parser.add_argument("--stages", nargs="+", choices=segmentation_stages(), default=segmentation_stages())
    parser.add_argument("--size", type=int, default=1024, help="of the computed film when none is given")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    # started as a file this module would stand for the package of its name
    sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]
    with tempfile.TemporaryDirectory() as folder:
        film = options.film or computed_film(options.size, Path(folder) / "film.png")
        side = " x ".join(map(str, read_film(film).shape))
        print(f"Film of {side}, CPU, {options.threads} threads, median of {options.runs}.\n")
        print(HEADER)
        for name in options.stages:
            for line in rows(name, film, options.runs, options.threads):
                print(line, flush=True)


if __name__ == "__main__":
    main()
