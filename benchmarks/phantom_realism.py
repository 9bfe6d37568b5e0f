"""How close computed chest films come to real ones, in numbers; prints tables.

Run: ``python benchmarks/phantom_realism.py --films DIR [--phantoms 60] [--network]``.

``DIR`` holds real films in two folders: ``jsrt`` (``index.csv``, ``images``, ``organs``, ``bone``) and
``nih-chestxray14`` (``labels.csv``, ``images``). They are read only; nothing of them is kept. Real films are
JSRT's 12-bit ones (outlines, bone layers) and healthy NIH films (many makers). Phantoms that no one can
tell from real films would give an AUC of 0.5; the tables say what gives them away.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from suite.phantom import render_study, truth

Array = npt.NDArray[Any]

SIZE = 512
BANDS = (2, 4, 8, 16, 32, 64, 128, 256)
"""Edges of the spectrum's bands, cycles per film side."""


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """One frontal film, (512, 512) in [0, 1], with lungs, heart and bone layer where they are known."""

    pixels: Array
    right: Array | None = None
    left: Array | None = None
    heart: Array | None = None
    bone: Array | None = None


def read_jsrt(folder: Path, count: int, rng: np.random.Generator) -> list[Film]:
    """JSRT films of 12 bits with SCR outlines and, where there is one, the bone layer."""
    with (folder / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["bits"] == "12"]
    # Films with a bone layer first, in random order.
    rows = sorted((rows[k] for k in rng.permutation(len(rows))), key=lambda row: row["has_bone"] != "1")
    films = []
    for row in rows[:count]:
        name = f"{row['id']}.png"
        organs = np.asarray(Image.open(folder / "organs" / name))
        bone = None
        if row["has_bone"] == "1":
            bone = _sized((np.asarray(Image.open(folder / "bone" / name), np.float32) - 4096.0) / 4095.0)
        pixels = _sized(np.asarray(Image.open(folder / "images" / name), dtype=np.float32) / 4095.0)
        films.append(Film(pixels, organs & 1 > 0, organs & 2 > 0, organs & 4 > 0, bone))
    return films


def read_nih(folder: Path, count: int, rng: np.random.Generator) -> list[Film]:
    """Healthy adults' films, one per patient."""
    with (folder / "labels.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["findings"] == "No Finding"]
    rows = [row for row in rows if int(row["age"]) >= 18]
    first = list({row["patient_id"]: row for row in rows}.values())
    chosen = (first[k] for k in rng.permutation(len(first))[:count])
    images = folder / "images"
    return [Film(_sized(np.asarray(Image.open(images / r["image"]).convert("L"), np.float32) / 255.0))
            for r in chosen]  # fmt: skip


def compute(count: int) -> list[Film]:
    """Healthy phantoms of the seeds from 0 on."""
    films = []
    for seed in range(count):
        study = render_study(seed, size=SIZE, lateral=False)
        right, left, heart = (study.masks[k] > 0 for k in ("lung_right", "lung_left", "heart"))
        # Eight bits, as the NIH films are stored.
        films.append(Film(np.round(study.frontal * 255.0) / 255.0, right, left, heart, study.bone))
    return films


def _sized(pixels: Array) -> Array:
    if pixels.shape == (SIZE, SIZE):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def spectrum(pixels: Array) -> dict[str, float]:
    """Radial power spectrum of a windowed, standardised film: slope and log10 power of each band."""
    window = np.hanning(SIZE)
    z = (pixels - pixels.mean()) / max(float(pixels.std()), 1e-6) * np.outer(window, window)
    power = np.abs(np.fft.rfft2(z)) ** 2
    radius = np.hypot(np.fft.fftfreq(SIZE)[:, None] * SIZE, np.fft.rfftfreq(SIZE)[None, :] * SIZE)
    ring = np.bincount(radius.astype(int).ravel(), power.ravel())[:257]
    number = np.bincount(radius.astype(int).ravel())[:257]
    mean = ring / np.maximum(number, 1)
    out = {}
    for low, high in pairwise(BANDS):
        out[f"power {low}-{high}"] = float(np.log10(mean[low:high].mean() + 1e-9))
    f = np.arange(4, 128)
    out["slope 4-128"] = float(np.polyfit(np.log10(f), np.log10(mean[4:128] + 1e-9), 1)[0])
    return out


def greys(pixels: Array) -> dict[str, float]:
    """Percentiles, saturation, borders, sharpness and symmetry of a whole film."""
    out = {f"grey p{q}": float(np.percentile(pixels, q)) for q in (1, 5, 25, 50, 75, 95, 99)}
    out["share black"] = float((pixels < 0.02).mean())
    out["share white"] = float((pixels > 0.98).mean())
    rims = {"top": pixels[:16], "bottom": pixels[-16:], "sides": np.hstack([pixels[:, :16], pixels[:, -16:]])}
    out |= {f"{name} rim": float(rim.mean()) for name, rim in rims.items()}
    smooth = ndimage.gaussian_filter(pixels, 1.5)
    steps = np.hypot(*np.gradient(smooth))
    spread = max(float(pixels.std()), 1e-6)
    out["edge p50"], out["edge p90"], out["edge p99"] = (
        float(v) / spread for v in np.percentile(steps, (50, 90, 99))
    )
    out["grain"] = float(np.median(np.abs(pixels - smooth))) / spread
    out["symmetry"] = float(np.corrcoef(smooth.ravel(), smooth[:, ::-1].ravel())[0, 1])
    return out


def regions(film: Film) -> dict[str, float]:
    """Greys in lungs, mediastinum and outside, local contrast in the lungs, areas, heart, rib contrast."""
    if film.right is None or film.left is None or film.heart is None:
        return {}
    lungs = film.right | film.left
    columns = np.arange(SIZE)
    inner = np.where(film.right.any(1), SIZE - 1 - np.argmax(film.right[:, ::-1], axis=1), SIZE)
    outer = np.where(film.left.any(1), np.argmax(film.left, axis=1), 0)
    middle = (columns > inner[:, None]) & (columns < outer[:, None]) & ~lungs
    band = film.pixels * 0.0 > 1.0
    rows = np.nonzero(lungs.any(1))[0]
    band[rows[0] : rows[-1]] = True
    x0, x1 = np.nonzero(lungs.any(0))[0][[0, -1]]
    beside = band & ~lungs & ~middle & ((columns < x0 + 40) | (columns > x1 - 40)) & (film.pixels > 0.05)
    out = {}
    for name, where in (("lungs", lungs), ("mediastinum", middle), ("wall", beside)):
        values = film.pixels[where]
        out[f"{name} median"], out[f"{name} sd"] = float(np.median(values)), float(values.std())
    detail = film.pixels - ndimage.gaussian_filter(film.pixels, 6.0)
    inside = ndimage.binary_erosion(lungs, iterations=8)
    out["lungs fine sd"] = float(detail[inside].std()) / max(float(film.pixels.std()), 1e-6)
    out["lung area"] = float(lungs.mean())
    masks = {"lung_right": film.right, "lung_left": film.left, "heart": film.heart}
    out["cardiothoracic"] = truth.cardiothoracic_ratio({k: m.astype(np.uint8) for k, m in masks.items()})
    return out | _ribs(film, inside)


def _ribs(film: Film, inside: Array) -> dict[str, float]:
    """Spread of the bone layer in the lungs about its own local mean, in units of the lungs' spread."""
    if film.bone is None:
        return {}
    weight = ndimage.gaussian_filter(inside.astype(np.float32), 24.0)
    base = ndimage.gaussian_filter(np.where(inside, film.bone, 0.0), 24.0) / np.maximum(weight, 1e-3)
    values = (film.bone - base)[inside] / max(float(film.pixels[inside].std()), 1e-6)
    p5, p50, p95, p99 = np.percentile(values, (5, 50, 95, 99))
    return {"rib contrast sd": float(values.std()), "rib p95-p5": float(p95 - p5),
            "rib peak p99-p50": float(p99 - p50)}  # fmt: skip


def table(title: str, groups: dict[str, list[dict[str, float]]]) -> None:
    """Print mean and standard deviation of every number by group."""
    print(f"\n{title}\n\n| number | " + " | ".join(groups) + " |")
    print("|---" * (len(groups) + 1) + "|")
    for name in dict.fromkeys(key for rows in groups.values() for row in rows for key in row):
        cells = []
        for rows in groups.values():
            values = np.asarray([row[name] for row in rows if name in row])
            cells.append(f"{np.nanmean(values):.3f} +- {np.nanstd(values):.3f}" if values.size else "-")
        print(f"| {name} | " + " | ".join(cells) + " |")


def auc(score: Array, positive: Array) -> float:
    """Area under the ROC curve: chance that a positive outranks a negative."""
    a, b = score[positive], score[~positive]
    return float((a[:, None] > b[None, :]).mean() + 0.5 * (a[:, None] == b[None, :]).mean())


def logistic(x: Array, y: Array, penalty: float = 4.0) -> Array:
    """Weights (n + 1,) of a ridge logistic regression on standardised features, by Newton steps."""
    design = np.column_stack([x, np.ones(len(x))])
    ridge = penalty * np.diag([*np.ones(x.shape[1]), 0.0])
    w = np.zeros(design.shape[1])
    for _ in range(20):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ w, -30, 30)))
        hessian = design.T @ (design * (p * (1.0 - p))[:, None]) + ridge + 1e-6 * np.eye(len(w))
        w -= np.linalg.solve(hessian, design.T @ (p - y) + ridge @ w)
    return np.asarray(w)


def folded(
    count: int, predict: Callable[[Array, Array], Array], rng: np.random.Generator, folds: int = 5
) -> Array:
    """Scores (count,) of every film by a model that never saw it."""
    order, score = rng.permutation(count), np.zeros(count)
    for part in np.array_split(order, folds):
        score[part] = predict(np.setdiff1d(order, part), part)
    return score


def judge(real: list[dict[str, float]], made: list[dict[str, float]], rng: np.random.Generator) -> None:
    """Print the feature classifier's AUC and the numbers that give phantoms away."""
    names = list(real[0])
    x = np.asarray([[row[name] for name in names] for row in (*real, *made)])
    y = np.asarray([False] * len(real) + [True] * len(made))

    def predict(train: Array, test: Array) -> Array:
        mean, spread = x[train].mean(0), x[train].std(0) + 1e-9
        w = logistic((x[train] - mean) / spread, y[train])
        return np.asarray((x[test] - mean) / spread @ w[:-1])

    print(
        f"\nlogistic regression on {len(names)} numbers, 5 folds: "
        f"AUC {auc(folded(len(y), predict, rng), y):.3f}"
    )
    alone = {name: auc(x[:, k], y) for k, name in enumerate(names)}
    weights = logistic((x - x.mean(0)) / (x.std(0) + 1e-9), y)
    print("\n| gives phantoms away | AUC alone (above 0.5: higher in phantoms) | weight |\n|---|---|---|")
    for name in sorted(names, key=lambda key: -abs(alone[key] - 0.5))[:14]:
        print(f"| {name} | {alone[name]:.3f} | {weights[names.index(name)]:+.2f} |")


def judge_thumbnails(real: Sequence[Film], made: Sequence[Film], rng: np.random.Generator) -> None:
    """Print a small network's AUC on 64 pixel thumbnails, half the films held out."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    small = [np.asarray(Image.fromarray(f.pixels.astype(np.float32)).resize((64, 64), Image.Resampling.BOX))
             for f in (*real, *made)]  # fmt: skip
    x = torch.from_numpy(np.stack([(s - s.mean()) / (s.std() + 1e-6) for s in small])[:, None])
    y = torch.tensor([0.0] * len(real) + [1.0] * len(made))
    held = torch.zeros(len(y), dtype=torch.bool)
    held[torch.from_numpy(rng.permutation(len(y))[: len(y) // 2])] = True
    layers: list[nn.Module] = []
    for a, b in ((1, 8), (8, 16), (16, 32)):
        layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(128, 1))
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-2)
    xs, ys = x[~held], y[~held]
    for _ in range(150):
        # Shifts only: a mirrored chest would be a different anatomy.
        moved = torch.roll(xs, tuple(int(v) for v in rng.integers(-3, 4, 2)), (2, 3))
        loss = nn.functional.binary_cross_entropy_with_logits(net(moved)[:, 0], ys)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    net.eval()
    with torch.inference_mode():
        score = net(x[held])[:, 0].numpy()
    print(
        f"\nsmall network on 64 pixel thumbnails, half held out: AUC {auc(score, y[held].numpy() > 0.5):.3f}"
    )


def main() -> None:
    """Measure real films and phantoms and print what differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--films", type=Path, required=True, help="folder with jsrt and nih-chestxray14")
    parser.add_argument("--phantoms", type=int, default=60)
    parser.add_argument("--network", action="store_true", help="also train the thumbnail network")
    options = parser.parse_args()
    count = options.phantoms
    rng = np.random.default_rng(0)
    sets = {
        "jsrt": read_jsrt(options.films / "jsrt", count, rng),
        "nih": read_nih(options.films / "nih-chestxray14", count, rng),
        "phantom": compute(count),
    }
    overall = {name: [spectrum(f.pixels) | greys(f.pixels) for f in films] for name, films in sets.items()}
    table("Whole films", overall)
    table("By region", {name: [regions(f) for f in films] for name, films in sets.items() if name != "nih"})
    for name in ("nih", "jsrt"):
        print(f"\nPhantoms against {name} films:")
        judge(overall[name], overall["phantom"], rng)
    if options.network:
        judge_thumbnails(sets["nih"], sets["phantom"], rng)


if __name__ == "__main__":
    main()
