"""Time and memory of the digital thorax, on one core; prints a table.

Run: ``python benchmarks/phantom.py [--studies N] [--large]``.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import numpy as np

from suite.phantom import Patient, build_scene, render_study


def seconds(size: int, lateral: bool, count: int) -> tuple[list[float], list[float]]:
    """Wall and processor seconds of ``count`` studies."""
    wall, processor = [], []
    for seed in range(count):
        begin, cpu = time.perf_counter(), time.process_time()
        render_study(seed, size=size, lateral=lateral)
        wall.append(time.perf_counter() - begin)
        processor.append(time.process_time() - cpu)
    return wall, processor


def main() -> None:
    """Print median and slowest time per film size, and the peak memory so far."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=12, help="studies per row")
    parser.add_argument("--large", action="store_true", help="also the 2048 pixel frontal")
    options = parser.parse_args()
    begin = time.perf_counter()
    render_study(0, size=128)
    print(f"first study, with compilation or its cache: {time.perf_counter() - begin:.2f} s")
    begin = time.perf_counter()
    scene = build_scene(Patient.draw(np.random.default_rng(0)))
    faces = sum(len(solid.mesh.faces) for solid in scene.solids)
    segments = sum(len(one.starts) for one in scene.capsules)
    print(f"scene: {len(scene.solids)} solids, {faces} triangles, {segments} capsules, "
          f"{time.perf_counter() - begin:.2f} s")  # fmt: skip
    rows = [(256, True, options.studies), (512, True, options.studies), (1024, True, 3)]
    if options.large:
        rows.append((2048, False, 2))
    print("| size | views | median wall s | slowest wall s | median cpu s | peak memory MiB |")
    print("|---|---|---|---|---|---|")
    for size, lateral, count in rows:
        wall, processor = seconds(size, lateral, count)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        views = "both" if lateral else "frontal"
        cells = f"{np.median(wall):.2f} | {max(wall):.2f} | {np.median(processor):.2f} | {peak:.0f}"
        print(f"| {size} | {views} | {cells} |")


if __name__ == "__main__":
    main()
