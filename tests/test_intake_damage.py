"""Bytes flipped, lost and inserted at random: every damaged file is read or refused, never anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import JPEG2000Lossless, RLELossless

from suite.errors import InputError
from suite.film import read_film
from suite.intake import collect
from tests.dicom_zoo import lut_item, make_dataset, save, scattered

_FILM = scattered(0, 4095, 64, 80)
_KINDS = ("plain.dcm", "rle.dcm", "j2k.dcm", "film.png", "film.jpg", "film.tif")


def _whole(kind: str, folder: Path) -> bytes:
    path = folder / f"whole-{kind}"
    if path.suffix != ".dcm":
        Image.fromarray((_FILM // 16).astype(np.uint8)).save(path)
        return path.read_bytes()
    table = lut_item(np.arange(4096), 0, 12)
    dataset = make_dataset(
        _FILM, WindowCenter=2000, WindowWidth=4000, PixelSpacing=[0.1, 0.1], VOILUTSequence=[table]
    )
    if kind != "plain.dcm":
        dataset.compress(RLELossless if kind == "rle.dcm" else JPEG2000Lossless)
    return save(dataset, path).read_bytes()


def _damaged(content: bytes, generator: np.random.Generator) -> bytes:
    damaged = bytearray(content)
    for _ in range(int(generator.integers(1, 6))):
        # Mostly in the headers, where every byte matters.
        place = int(generator.integers(min(len(damaged), 1500)))
        match generator.integers(4):
            case 0 | 1:
                damaged[place] = int(generator.integers(256))
            case 2:
                del damaged[place : place + int(generator.integers(1, 12))]
            case _:
                damaged[place:place] = generator.bytes(int(generator.integers(1, 6)))
    return bytes(
        damaged if generator.random() < 0.8 else damaged[: int(generator.integers(40, len(damaged)))]
    )


@pytest.mark.parametrize("kind", _KINDS)
def test_damaged_files_are_read_or_refused_in_one_sentence(kind: str, tmp_path: Path) -> None:
    whole = _whole(kind, tmp_path)
    generator = np.random.default_rng(11)
    path = tmp_path / kind
    for _ in range(60):
        path.write_bytes(_damaged(whole, generator))
        collect([path])
        message = _message(path)
        assert message == "" or (message.startswith(f"{path}: ") and message.endswith("."))
        assert "\n" not in message


def _message(path: Path) -> str:
    """Why a file is refused; empty when it is read."""
    try:
        read_film(path)
    except InputError as error:
        return str(error)
    return ""
