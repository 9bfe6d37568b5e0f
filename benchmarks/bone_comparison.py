"""Bone networks of the same budget, side by side: the GAN, its competitors, its parts taken away one by one.

    python benchmarks/bone_comparison.py --jsrt JSRT --phantom COHORT --seconds 8 --out OUT

Each run learns for the same number of films and is measured on the same test films. How many that are is
found by timing the full GAN for a moment, unless --samples says it. A second table has the differences
from the full GAN, film by film. A run that is finished is kept: the same command continues after an
interruption, and prints the tables of what is there.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import numpy as np
import torch

from gan.recipe import BoneRecipe
from suite.storage import make_folder, write_text
from suite.training.command import prepare, train
from suite.training.evaluation import Figure
from suite.training.intervals import mean_figure
from suite.training.loop import fit

COMMON = ("learn_from=both", "coarse_share=0", "batch_size=16", "validate_every=1000", "break_films=0",
          "depth=6")  # fmt: skip
"""What all runs share; single settings of a run come after it and win. With six halvings films of half the
default size can be learned from, which the run of growing scale begins with."""

L1_ALONE = ("pretraining_share=1",)
PIX2PIX = ("network=pix2pix", "adversarial=logistic", "pretraining_share=0", "learning_rate=2e-4",
           "discriminator_learning_rate=2e-4", "edge_weight=0", "break_weight=0")  # fmt: skip

RUNS: dict[str, tuple[str, ...]] = {
    "gan": (),
    "unet-l1": ("network=unet", *L1_ALONE, "edge_weight=0", "break_weight=0"),
    "resnet34-unet-l1": ("network=resnet34-unet", *L1_ALONE, "edge_weight=0", "break_weight=0"),
    "pix2pix": PIX2PIX,
    "without-attention": ("attention=false",),
    "without-spectral-norm": ("spectral_norm=false",),
    "without-side-heads": ("side_heads=false",),
    "without-adversary": ("adversarial_weight=0",),
    "without-gradients": ("gradients=false",),
    "without-fractured-chests": ("fractured=false",),
    "drawn-breaks": ("drawn_breaks=10", "drawn_tissue=8"),
    "growing-scale": ("coarse_share=0.4", "first_size=64"),
    "instance-norm": ("norm=instance",),
    "jsrt-alone": ("learn_from=jsrt",),
    "width-16": ("base=16",),
    "width-64": ("base=64",),
}

FIGURES = ("psnr_gain", "psnr", "ssim", "edge_residual", "phantom_psnr_gain", "phantom_psnr", "phantom_ssim",
           "phantom_edge_residual", "phantom_lesion_contrast", "phantom_heart_border_error",
           "phantom_hardware_heart_border_error")  # fmt: skip


FULL = "gan"
PAIRED = ("psnr_gain", "ssim", "edge_residual", "phantom_psnr_gain", "phantom_ssim", "phantom_edge_residual",
          "phantom_heart_border_error")  # fmt: skip


def seconds_per_film(sources: dict[str, Path], settings: list[str], out: Path, device: str) -> float:
    """Of the full GAN at its full size, start and validation left out."""
    times: list[float] = []

    def on_step(step: int, total: int, losses: object) -> None:
        if device != "cpu" and torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter())

    task = prepare(
        "bone", sources, [*settings, "epochs=1", "epoch_samples=960", "pretraining_share=0.5", "limit=64"]
    )
    fit(task, out / "timing", device=device, on_step=on_step)
    steps = len(times) // 4  # the first ones choose their algorithms
    return (times[-1] - times[steps]) / ((len(times) - 1 - steps) * task.recipe.batch_size)


def table(out: Path, names: list[str]) -> str:
    """What has been measured so far, as Markdown."""
    figures = {
        name: json.loads(path.read_text())
        for name in names
        if (path := out / name / "metrics.json").is_file()
    }
    shown = [key for key in FIGURES if any(key in own for own in figures.values())]
    lines = ["| run | " + " | ".join(shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for name, own in figures.items():
        cells = [str(Figure.from_json(own[key])) if key in own else "-" for key in shown]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def differences(out: Path, names: list[str]) -> str:
    """How far each run lies from the full GAN on the same films, as Markdown; empty without the GAN's films.

    Intervals are by bootstrap over patients; they hold the choice of films, not the luck of one training.
    """
    films = {name: films_of(out / name) for name in names if (out / name / "films.csv").is_file()}
    if len(films) < 2 or FULL not in films:
        return ""
    lines = ["| less the GAN's | " + " | ".join(PAIRED) + " |", "|---" * (len(PAIRED) + 1) + "|"]
    for name in films:
        if name != FULL:
            cells = [_difference(films[name], films[FULL], figure) for figure in PAIRED]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def films_of(run: Path) -> dict[tuple[str, str], dict[str, str]]:
    """The rows of a run's ``films.csv`` by data set and film."""
    with (run / "films.csv").open(newline="") as stream:
        return {(row["dataset"], row["film"]): row for row in csv.DictReader(stream)}


def _difference(
    run: dict[tuple[str, str], dict[str, str]], full: dict[tuple[str, str], dict[str, str]], figure: str
) -> str:
    dataset = "phantom" if figure.startswith("phantom_") else "jsrt"
    column = figure.removeprefix("phantom_")
    both = [key for key in full if key[0] == dataset and key in run]
    apart = np.array([float(run[key][column]) - float(full[key][column]) for key in both])
    return str(mean_figure(apart, [full[key]["patient"] for key in both], np.random.default_rng(0)))


def main() -> None:
    """Train and measure what is missing; write ``table.md``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jsrt", type=Path, required=True)
    parser.add_argument("--phantom", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=8.0, help="of training for each run (8)")
    parser.add_argument(
        "--samples", type=int, default=0, help="films each run learns from, instead of --seconds"
    )
    parser.add_argument("--test-films", type=int, default=60, help="most test films of each set (60)")
    parser.add_argument("--runs", default=",".join(RUNS), help="names, comma between them")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="for all runs: key=value")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    make_folder(options.out)
    names = options.runs.split(",")
    sources = {"jsrt": options.jsrt, "phantom": options.phantom}
    settings = [*COMMON, f"size={options.size}", f"test_films={options.test_films}", *options.settings]
    if "growing-scale" in names and not _grows(settings):
        parser.error(
            f"growing-scale has nothing to grow from: half of {options.size} pixels are too few to be halved "
            "as often; give --set depth=5, a larger --size, or leave the run out."
        )
    stored = options.out / "samples.txt"
    if options.samples:
        write_text(stored, f"{options.samples}\n")
    elif not stored.exists():
        duration = seconds_per_film(sources, settings, options.out, options.device)
        print(f"{1 / duration:.0f} films a second", flush=True)
        write_text(stored, f"{max(64, int(options.seconds / duration))}\n")
    samples = int(stored.read_text())
    for name in names:
        folder = options.out / name
        if not (folder / "metrics.json").is_file():
            start = time.perf_counter()
            own = [f"epoch_samples={samples}", "epochs=1", *RUNS[name]]
            train("bone", sources, _last_wins([*settings, *own]), folder, device=options.device)
            print(f"{name}: {samples} films, {time.perf_counter() - start:.0f} s", flush=True)
            write_text(options.out / "table.md", tables(options.out, names))
    print(tables(options.out, names), end="")


def _grows(settings: list[str]) -> bool:
    """Whether the run of growing scale has a smaller scale than the full one."""
    recipe = BoneRecipe.from_settings(_last_wins([*settings, *RUNS["growing-scale"]]))
    return bool(recipe.progression.coarse_sizes)


def tables(out: Path, names: list[str]) -> str:
    """Figures, and where there are films to pair the differences from the full GAN."""
    return "\n".join(filter(None, (table(out, names), differences(out, names))))


def _last_wins(settings: list[str]) -> list[str]:
    return [f"{key}={value}" for key, value in dict(each.split("=", 1) for each in settings).items()]


if __name__ == "__main__":
    main()
