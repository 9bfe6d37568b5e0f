"""A small copy of SIIM-ACR's layout: DICOM films in a tree, run-length masks in one table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.dicom_zoo import make_dataset, save
from tests.made_films import chest_pixels

ROWS, COLUMNS = 64, 48
GAS = (slice(8, 30), slice(4, 10))
"""Rows and columns of the gas on every positive film, to the picture's left: the patient's right."""

RUNS = f"{4 * ROWS + 8} 22 " + " ".join([f"{ROWS - 22} 22"] * 5)
"""The same as the challenge writes it: six columns of 22 pixels, each 42 below the end of the last."""


def siim(
    folder: Path,
    positive: tuple[bool, ...] = (True, False, False),
    *,
    header: str = "ImageId, EncodedPixels",
    extra: tuple[str, ...] = (),
) -> Path:
    """One film and one patient for each entry of ``positive``; ``extra`` rows come last."""
    lines = [header]
    for number, gas in enumerate(positive):
        image = f"1.2.276.{number}"
        pixels = chest_pixels(ROWS, COLUMNS, number)
        if gas:
            pixels[GAS] *= 0.3
        home = folder / "dicom-images-train" / f"study.{number}" / f"series.{number}"
        home.mkdir(parents=True)
        stored = np.rint(pixels * 255).astype(np.int64)
        save(make_dataset(stored, bits=8, PatientID=f"p{number}", ViewPosition="AP"), home / f"{image}.dcm")
        lines.append(f"{image}, {RUNS if gas else '-1'}")
    (folder / "train-rle.csv").write_text("\n".join([*lines, *extra]) + "\n")
    return folder
