"""How much the pipeline adds to its networks: a warm reading beside the bare forward passes.

    python benchmarks/analyze.py [FILM] [--runs 15]

Without a film a computed one of 1024 x 1024 is read. ``reading`` is ``Analyzer.run`` on a film in memory:
every stage, its pre- and post-processing, maps on the film's grid, regions, report. ``forward passes``: the
same networks on ready tensors. Writing the files is shown apart: it depends on the film's size and the disk.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import torch

from suite.analysis import Analyzer
from suite.intake import read_study
from suite.study import Study


def median_ms(call: Callable[[], object], runs: int) -> float:
    """Median wall time of ``call`` in milliseconds after two warm-up calls."""
    for _ in range(2):
        call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def computed_study(size: int) -> Study:
    """A phantom's frontal film."""
    from suite.phantom import render_study

    return Study("phantom", render_study(7, size=size, lateral=False).radiograph("frontal"))


def networks_of(stage: object) -> list[torch.nn.Module]:
    """The networks a stage asks: one, or the gate and the mask network of a cascade."""
    cascade = getattr(stage, "_cascade", None)
    found = (getattr(stage, "_network", None), getattr(cascade, "gate", None), getattr(cascade, "mask", None))
    return [network for network in found if network is not None]


def recorded_forwards(analyzer: Analyzer, study: Study) -> list[tuple[str, Callable[[], object]]]:
    """The calls each stage's network gets in a reading, to be repeated without anything around them."""
    calls: list[tuple[str, Callable[[], object]]] = []
    hooks = []
    for stage in analyzer.stages:

        def record(module: Any, args: Any, kwargs: Any, name: str = stage.name) -> None:
            def call() -> object:
                with torch.inference_mode():
                    return module(*args, **kwargs)

            calls.append((name, call))

        hooks += [
            network.register_forward_pre_hook(record, with_kwargs=True) for network in networks_of(stage)
        ]
    analyzer.run(study)
    for hook in hooks:
        hook.remove()
    return calls


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("film", nargs="?", type=Path)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    study = read_study(options.film) if options.film else computed_study(options.size)
    analyzer = Analyzer(device="cpu")
    forwards = recorded_forwards(analyzer, study)
    rows = [(f"forward {name}", median_ms(call, options.runs)) for name, call in forwards]
    total = sum(row[1] for row in rows)
    reading_ms = median_ms(lambda: analyzer.run(study), options.runs)
    reading = analyzer.run(study)
    with tempfile.TemporaryDirectory() as folder:
        writing_ms = median_ms(lambda: reading.write(Path(folder) / "study"), max(3, options.runs // 3))
    print(f"film {study.views['frontal'].shape}, {torch.get_num_threads()} threads, median of {options.runs}")
    print(f"{'what':28s} {'ms':>9s}")
    for name, value in [
        *rows,
        ("sum of forward passes", total),
        ("reading", reading_ms),
        ("writing the files", writing_ms),
    ]:
        print(f"{name:28s} {value:9.1f}")
    print(f"reading / forward passes      {reading_ms / total:8.2f}")
    print(f"with writing / forward passes {(reading_ms + writing_ms) / total:8.2f}")


if __name__ == "__main__":
    main()
