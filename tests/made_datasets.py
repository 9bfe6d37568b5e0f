"""Small copies of each public data set's layout, with pictures of our own."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from suite.datasets.jsrt import BONE_OFFSET, BONE_WHITE
from tests.made_films import chest_pixels, write_16_bit, write_png

ROWS, COLUMNS = 64, 56


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    """A CSV table; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([columns, *rows])
    return path


def organs(rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """JSRT's bit field: right lung on the picture's left, left lung on its right, heart over its edge."""
    picture = np.zeros((rows, columns), np.uint8)
    top, bottom = rows // 5, rows * 4 // 5
    picture[top:bottom, columns // 6 : columns * 5 // 12] |= 1
    picture[top:bottom, columns * 7 // 12 : columns * 5 // 6] |= 2
    picture[rows // 2 : bottom, columns * 5 // 12 : columns * 7 // 12] |= 4
    return picture


def jsrt(folder: Path, count: int = 3) -> Path:
    """Films with outlines; those with an even number have 12 bits and a bone layer."""
    index = []
    for number in range(count):
        name, deep = f"JPCLN{number:03}", number % 2 == 0
        pixels = chest_pixels(ROWS, COLUMNS, number)
        if deep:
            write_png(folder / "images" / f"{name}.png", np.rint(pixels * 4095).astype(np.uint16))
            layer = np.zeros((ROWS, COLUMNS), np.float32)
            layer[20:24, 10:46] = 0.1
            write_png(
                folder / "bone" / f"{name}.png", (BONE_OFFSET + np.rint(layer * BONE_WHITE)).astype(np.uint16)
            )
        else:
            write_png(folder / "images" / f"{name}.png", np.rint(pixels * 255).astype(np.uint8))
        write_png(folder / "organs" / f"{name}.png", organs())
        group = "nodule" if number % 3 == 0 else "no nodule"
        index.append([name, str(ROWS), "12" if deep else "8", str(int(deep)), group])
    write_rows(folder / "index.csv", ["id", "image_px", "bits", "has_bone", "group"], index)
    return folder


def nih(folder: Path, findings: Sequence[str] = ("No Finding", "Mass|Effusion", "Edema")) -> Path:
    """One film and one patient for each entry of ``findings``."""
    rows = []
    for number, words in enumerate(findings):
        name = f"{number:08}_000.png"
        write_16_bit(folder / "images" / name, chest_pixels(ROWS, COLUMNS, number))
        rows.append([name, str(number), "50", "F", "PA", words, "0"])
    columns = ["image", "patient_id", "age", "sex", "view", "findings", "follow_up"]
    write_rows(folder / "labels.csv", columns, rows)
    return folder


def covid_lungs(folder: Path, count: int = 2) -> Path:
    """Films with one mask for both lungs."""
    rows = []
    for number in range(count):
        write_16_bit(folder / "images" / f"{number}_a.png", chest_pixels(ROWS, COLUMNS, number))
        write_png(folder / "lung_masks" / f"{number}_a.png", ((organs() & 3) > 0).astype(np.uint8) * 255)
        rows.append([f"{number}_a.png", str(number), "PA", "COVID-19", "CC BY 3.0"])
    write_rows(folder / "index.csv", ["image", "patient_id", "view", "finding", "license"], rows)
    return folder


def frontal_lateral(folder: Path, count: int = 2) -> Path:
    """Pairs of films."""
    rows = []
    for number in range(count):
        for view in ("frontal", "lateral"):
            write_16_bit(folder / "images" / f"{number}_{view}.png", chest_pixels(ROWS, COLUMNS, number))
        rows.append([f"{number}_frontal.png", f"{number}_lateral.png", str(number), "COVID-19", "CC BY"])
    write_rows(folder / "index.csv", ["frontal", "lateral", "patient_id", "finding", "license"], rows)
    return folder


def triple(folder: Path, number: int = 0, shift: int = 0, shape: tuple[int, int] = (192, 160)) -> Path:
    """A dual-energy study: a drawn chest with bars for ribs; its soft-tissue image has its own window."""
    home = folder / f"study{number}"
    soft = chest_pixels(*shape, number)
    bars = np.zeros(shape, np.float32)
    for row in range(24, shape[0] - 20, 22):
        bars[row : row + 6, 20:-20] = 0.08
    write_16_bit(home / "standard.png", np.clip(0.8 * soft + bars, 0, 1))
    write_16_bit(home / "soft.png", np.roll(0.1 + 0.6 * soft, shift, axis=1))
    write_16_bit(home / "bone.png", np.clip(0.1 + 5 * bars, 0, 1))
    return home


def painted(folder: Path, count: int = 4) -> Path:
    """Films of hands and knees with painted masks: a bright bar of bone in a grey bar of tissue."""
    for number in range(count):
        rng = np.random.default_rng(number)
        film, mask = np.full((ROWS, COLUMNS), 0.05), np.zeros((ROWS, COLUMNS, 3), np.uint8)
        middle = int(rng.integers(20, COLUMNS - 20))
        for half, brightness, colour in ((14, 0.4, (0, 255, 0)), (6, 0.85, (255, 0, 0))):
            film[:, middle - half : middle + half] = brightness
            mask[:, middle - half : middle + half] = colour
        film += rng.normal(0, 0.02, film.shape)
        write_16_bit(folder / "images" / f"film{number}.png", np.clip(film, 0, 1).astype(np.float32))
        write_png(folder / "masks" / f"film{number}.png", np.ascontiguousarray(mask[..., ::-1]))
    rows = [[f"film{n}.png", ("hand", "knee")[n % 2], f"patient{n}"] for n in range(count)]
    write_rows(folder / "index.csv", ["image", "part", "patient_id"], rows)
    legend = [["#000000", "open beam"], ["#00ff00", "soft tissue"], ["#ff0000", "bone"]]
    write_rows(folder / "legend.csv", ["colour", "tissue"], legend)
    return folder


MAKERS: dict[str, Callable[[Path], Path]] = {
    "jsrt": jsrt,
    "nih": nih,
    "covid-lungs": covid_lungs,
    "frontal-lateral": frontal_lateral,
}
TABLES = {
    "jsrt": "index.csv",
    "nih": "labels.csv",
    "covid-lungs": "index.csv",
    "frontal-lateral": "index.csv",
}
