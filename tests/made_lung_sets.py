"""Small copies of the layouts in which films with outlined lungs are distributed, with films of our own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from suite.datasets.jsrt import ORGAN_BITS
from suite.datasets.scr import SIDE, WHITE
from tests.made_datasets import organs
from tests.made_films import chest_pixels, write_png

ROWS, COLUMNS = 80, 64
CLAVICLES = {
    "right_clavicle": (slice(12, 15), slice(12, 28)),
    "left_clavicle": (slice(12, 15), slice(36, 52)),
}


def outlines(rows: int = ROWS, columns: int = COLUMNS) -> dict[str, np.ndarray]:
    """A mask in {0, 255} for each organ; clavicles lie partly over the lungs."""
    field = organs(rows, columns)
    masks = {name: np.where(field & bit, 255, 0).astype(np.uint8) for name, bit in ORGAN_BITS.items()}
    for name, place in CLAVICLES.items():
        masks[name][place] = 255
    return masks


def write_gif(path: Path, mask: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def raw_film(pixels: np.ndarray) -> bytes:
    """Pixels (h, w) in [0, 1], bone bright, blown up to a raw film: density in big-endian words."""
    rows, columns = -(-SIDE // pixels.shape[0]), -(-SIDE // pixels.shape[1])
    density = np.rint((1.0 - pixels) * WHITE).astype(">u2")
    return density.repeat(rows, axis=0).repeat(columns, axis=1)[:SIDE, :SIDE].tobytes()


def scr(folder: Path, names: tuple[str, ...] = ("JPCLN001", "JPCNN002"), *, raw: bool = False) -> Path:
    """Odd films in fold 1, even films in fold 2; raw films or PNG, masks GIF."""
    for number, name in enumerate(names, start=1):
        pixels = chest_pixels(COLUMNS, COLUMNS, number)
        if raw:
            path = folder / "All247images" / f"{name}.IMG"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw_film(pixels))
        else:
            write_png(folder / "All247images" / f"{name}.png", np.rint(pixels * 4095).astype(np.uint16))
        for organ, mask in outlines(COLUMNS, COLUMNS).items():
            place = folder / "scratch" / f"fold{2 - number % 2}" / "masks" / organ.replace("_", " ")
            write_gif(place / f"{name}.gif", mask)
    return folder


READINGS = {
    "MCUCXR_0001_0": "Patient's Sex: F \nPatient's Age: 027Y\nnormal\n",
    "MCUCXR_0162_1": "Patient's Sex: M \nPatient's Age: 049Y\ncavity, later: see MCUCXR_0166_1\n",
    "MCUCXR_0166_1": "Patient's Sex: M \nPatient's Age: 049Y\n(same pt as MCUCXR_0162_1) improved\n",
}


def montgomery(folder: Path) -> Path:
    """Three films of two people; masks in one bit, as they are distributed."""
    for number, (name, reading) in enumerate(READINGS.items()):
        write_png(folder / "CXR_png" / f"{name}.png", film(number))
        masks = outlines()
        for side, lung in (("leftMask", "right_lung"), ("rightMask", "left_lung")):
            path = folder / "ManualMask" / side / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(masks[lung]).convert("1").save(path)
        write_text(folder / "ClinicalReadings" / f"{name}.txt", reading)
    return folder


SHENZHEN = {
    "CHNCXR_0001_0": "male 45yrs\nnormal",
    "CHNCXR_0002_0": "femal 16month\nnormal",
    "CHNCXR_0327_1": "Female24yrs\n\nPTB in the right upper field",
}


def shenzhen(folder: Path, mask_folder: str = "mask", more: int = 0) -> Path:
    """Three films, one of them in a palette and the last without a mask, after ``more`` with one."""
    others = {f"CHNCXR_{number:04}_0": "female 33yrs\nnormal" for number in range(3, 3 + more)}
    for number, (name, reading) in enumerate((others | SHENZHEN).items(), start=-more):
        path = folder / "CXR_png" / f"{name}.png"
        write_png(path, film(number + more))
        if number == 0:
            with Image.open(path) as grey:
                grey.convert("P").save(path)
        if number < 2:
            masks = outlines()
            both = np.maximum(masks["right_lung"], masks["left_lung"])
            write_png(folder / mask_folder / f"{name}_mask.png", both)
        write_text(folder / "ClinicalReadings" / f"{name}.txt", reading)
    return folder


def film(seed: int) -> np.ndarray:
    """An 8-bit chest."""
    return np.rint(chest_pixels(ROWS, COLUMNS, seed) * 255).astype(np.uint8)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
