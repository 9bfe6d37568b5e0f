"""Films with damage of every kind, from a seed: what a broken disk, a bad gateway or an attacker may send."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from tests.dicom_network_house import as_bytes, film
from tests.dicom_zoo import DX, SECONDARY_CAPTURE

_HEAD = 132
"""Preamble and magic number, which stay: without them a file is no DICOM file at all."""

_TAGS = (
    *((0x0008, 0x0016), (0x0008, 0x0018), (0x0008, 0x0060), (0x0020, 0x000D), (0x0028, 0x0002)),
    *((0x0028, 0x0004), (0x0028, 0x0008), (0x0028, 0x0010), (0x0028, 0x0011), (0x0028, 0x0100)),
    *((0x0028, 0x0101), (0x0028, 0x0102), (0x0028, 0x0103), (0x7FE0, 0x0010), (0x0010, 0x0010)),
)
"""Elements whose damage matters most."""


@dataclass(frozen=True)
class Mutant:
    """One damaged file, what was done to it, and what its sender says it is.

    Attributes:
        start: where the data set began before the damage; a message holds what comes from there on.
    """

    number: int
    kind: str
    content: bytes
    class_uid: str
    instance_uid: str
    syntax: str
    start: int

    @property
    def message(self) -> bytes:
        """The data set without the file's meta header."""
        return self.content[self.start :]


def mutants(count: int, seed: int) -> Iterator[Mutant]:
    """``count`` damaged films; the same for the same seed. Each has UIDs of its own before it is damaged."""
    kinds = (_cut, _flip, _overwrite, _lengthen, _swap, _retype, _repeat, _drop, _fill, _insert)
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        dataset = _sound(number % 6)
        content = bytearray(as_bytes(dataset))
        start = _HEAD + 12 + struct.unpack("<I", content[_HEAD + 8 : _HEAD + 12])[0]
        damage = kinds[number % len(kinds)]
        damage(content, generator)
        yield Mutant(
            number,
            damage.__name__.strip("_"),
            bytes(content),
            str(dataset.SOPClassUID),
            str(dataset.SOPInstanceUID),
            str(dataset.file_meta.TransferSyntaxUID),
            start,
        )


def _sound(kind: int) -> Dataset:
    """A film that would be taken."""
    if kind == 1:
        return film(SOPClassUID=DX, Modality="DX")
    if kind == 2:
        return film(SOPClassUID=SECONDARY_CAPTURE, Modality="DX")
    dataset = film()
    syntax = {3: RLELossless, 4: JPEGLSLossless, 5: JPEG2000Lossless}.get(kind)
    if syntax is not None:
        dataset.compress(syntax, generate_instance_uid=False)
    return dataset


def _place(content: bytearray, generator: np.random.Generator) -> int:
    """A byte to begin at; the headers as often as the pixels, which are far longer."""
    end = len(content) if generator.random() < 0.5 else min(len(content), 1100)
    return int(generator.integers(_HEAD, end))


def _element(content: bytearray, generator: np.random.Generator) -> int | None:
    """Where an element that matters begins."""
    tag = _TAGS[int(generator.integers(len(_TAGS)))]
    at = content.find(struct.pack("<HH", *tag), _HEAD)
    return at if at >= 0 else None


def _cut(content: bytearray, generator: np.random.Generator) -> None:
    del content[_place(content, generator) :]


def _flip(content: bytearray, generator: np.random.Generator) -> None:
    for _ in range(int(generator.integers(1, 9))):
        content[_place(content, generator)] ^= 1 << int(generator.integers(8))


def _overwrite(content: bytearray, generator: np.random.Generator) -> None:
    at, length = _place(content, generator), int(generator.integers(1, 64))
    content[at : at + length] = generator.bytes(min(length, len(content) - at))


def _lengthen(content: bytearray, generator: np.random.Generator) -> None:
    """An element that says it is longer or shorter than it is."""
    at = _element(content, generator)
    if at is None:
        return
    wide = bytes(content[at + 4 : at + 6]) in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    if wide:
        content[at + 8 : at + 12] = struct.pack(
            "<I", int(generator.choice([0, 7, 2**31, 2**32 - 1, 2**32 - 2]))
        )
    else:
        content[at + 6 : at + 8] = struct.pack("<H", int(generator.choice([0, 1, 3, 255, 65535])))


def _swap(content: bytearray, generator: np.random.Generator) -> None:
    """An element whose value is something else."""
    at = _element(content, generator)
    if at is not None:
        content[at + 8 : at + 10] = generator.bytes(2)


def _retype(content: bytearray, generator: np.random.Generator) -> None:
    at = _element(content, generator)
    if at is not None:
        kinds = [b"SQ", b"UN", b"OB", b"FL", b"DS", b"PN", b"AT", b"XX", b"\0\0", b"UI"]
        content[at + 4 : at + 6] = kinds[int(generator.integers(len(kinds)))]


def _repeat(content: bytearray, generator: np.random.Generator) -> None:
    at = _place(content, generator)
    content[at:at] = content[at : at + int(generator.integers(1, 400))]


def _drop(content: bytearray, generator: np.random.Generator) -> None:
    at = _place(content, generator)
    del content[at : at + int(generator.integers(1, 400))]


def _fill(content: bytearray, generator: np.random.Generator) -> None:
    at, length = _place(content, generator), int(generator.integers(1, 500))
    content[at : at + length] = bytes([int(generator.choice([0, 0xFF, 0x41]))]) * min(
        length, len(content) - at
    )


def _insert(content: bytearray, generator: np.random.Generator) -> None:
    """Sequences in sequences, deeper than any reader wants to follow."""
    at = _element(content, generator)
    if at is not None:
        depth = int(generator.choice([1, 10, 500, 3000]))
        content[at:at] = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * depth
