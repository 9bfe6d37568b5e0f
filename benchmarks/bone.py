"""Cost of the bone network: a 2048 x 2048 film against forward passes of DenseNet-121 at 1024 x 1024.

    python benchmarks/bone.py
    python benchmarks/bone.py --bases 32,64 --sizes 512,1024

Each width and size runs in a process of its own, so that its peak memory is its own. The two networks take
turns, so that other work on the machine slows both.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import numpy as np

FILM_SIDE = 2048
DENSENET_SIDE = 1024
REPEATS = 5


def measure(base: int, size: int, threads: int) -> tuple[float, float, float, float]:
    """Seconds of the stage's work on a film, seconds of a DenseNet pass, peak memory in GiB, and millions of
    parameters."""
    import timm
    import torch

    from gan.generator import MultiScaleGenerator
    from gan.suppression import bone_layer

    torch.set_num_threads(threads)
    network = MultiScaleGenerator(base).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rng = np.random.default_rng(0)
    film = rng.random((FILM_SIDE, FILM_SIDE), dtype=np.float32)
    lungs = np.full(film.shape, 128, np.uint8)
    own = []
    bone_layer(network, film, size, torch.device("cpu"), lungs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    densenet = timm.create_model("densenet121", num_classes=1, in_chans=1).eval()
    densenet = densenet.to(memory_format=torch.channels_last)
    picture = torch.rand(1, 1, DENSENET_SIDE, DENSENET_SIDE).to(memory_format=torch.channels_last)
    passes = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        bone_layer(network, film, size, torch.device("cpu"), lungs)
        between = time.perf_counter()
        with torch.inference_mode():
            densenet(picture)
        own.append(between - start)
        passes.append(time.perf_counter() - between)
    parameters = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    return statistics.median(own[1:]), statistics.median(passes[1:]), peak, parameters


def main() -> None:
    """Print one row for each width and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bases", default="16,32,64")
    parser.add_argument("--sizes", default="512,1024")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print("| base | parameters | network size | film | DenseNet-121 pass | ratio | peak memory |")
    print("|---|---|---|---|---|---|---|")
    for size in map(int, options.sizes.split(",")):
        for base in map(int, options.bases.split(",")):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                own, other, peak, parameters = pool.submit(measure, base, size, options.threads).result()
            print(
                f"| {base} | {parameters:.1f} M | {size} | {own:.2f} s | {other:.2f} s | {own / other:.2f} | "
                f"{peak:.1f} GiB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
