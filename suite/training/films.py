"""Films of a data set, read once at the size a network sees and kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from suite.datasets import scr
from suite.datasets.manifest import Record
from suite.errors import DatasetError
from suite.framing import frame
from suite.intake import read_film
from suite.study import FloatImage, Mask

MaskReader = Callable[[Record], Mask]


def load_film(path: Path) -> FloatImage:
    """The film at ``path`` (H, W) in [0, 1], read as ``radsuite analyze`` reads it; raw JSRT films too."""
    if path.suffix.lower() == scr.RAW_SUFFIX:
        return scr.read_raw_film(path)
    return read_film(path).pixels


class FramedFilms:
    """Frontal films framed at one size, each read once: ``films(record)`` is (size, size) in [0, 1]."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept: dict[Path, NDArray[np.uint16]] = {}

    def __call__(self, record: Record) -> FloatImage:
        if record.frontal not in self._kept:
            framed = frame(load_film(record.frontal), self.size)
            self._kept[record.frontal] = np.rint(framed.pixels * 65535).astype(np.uint16)
        return self._kept[record.frontal].astype(np.float32) / np.float32(65535)


def read_mask(path: Path) -> Mask:
    """A label picture (H, W) as stored, one channel.

    Raises:
        DatasetError: the file cannot be read as one.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 2:
        raise DatasetError(f"{path}: is not a label picture with one channel; check the data set's folder.")
    return np.asarray(picture)


class FilmSet(Dataset[Mapping[str, Tensor]]):
    """Films at ``size`` x ``size``, with masks where there are any, and joint augmentation.

    Items: ``film`` float32 (1, size, size) in [0, 1]; ``mask`` float32 (M, size, size) in {0, 1} when
    ``masks`` is given; ``labels`` float32 (L,) with NaN for unknown when ``labels`` is given.

    Args:
        records: the studies of one part of a split.
        size: side of the network input.
        masks: reads the planes (H, W, M) of a record at the film's own shape.
        labels: the label vector of a record.
        transform: applied jointly to film and masks.
    """

    def __init__(
        self,
        records: Sequence[Record],
        size: int,
        *,
        masks: MaskReader | None = None,
        labels: Callable[[Record], Sequence[float]] | None = None,
        transform: v2.Transform | None = None,
    ) -> None:
        self.records = records
        self.transform = transform
        self.labels = (
            None
            if labels is None
            else [torch.tensor(labels(record), dtype=torch.float32) for record in records]
        )
        self.films: list[Tensor] = []
        self.masks: list[Tensor] | None = None if masks is None else []
        for record in records:
            pixels = load_film(record.frontal)
            framed = frame(pixels, size)
            self.films.append(torch.from_numpy(np.rint(framed.pixels * 65535).astype(np.uint16)))
            if masks is not None and self.masks is not None:
                planes = planes_on_film(masks(record), pixels.shape, record)
                framed_planes = [
                    framed.grid.apply(planes[..., index], "nearest") for index in range(planes.shape[-1])
                ]
                self.masks.append(torch.from_numpy(np.stack(framed_planes)))

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        film = tv_tensors.Image(self.films[index].to(torch.float32)[None] / 65535)
        item: dict[str, Tensor] = {"film": film}
        if self.masks is not None:
            item["mask"] = tv_tensors.Mask(self.masks[index])
        if self.transform is not None:
            item = self.transform(item)
        plain = {key: value.as_subclass(Tensor).to(torch.float32) for key, value in item.items()}
        if self.labels is not None:
            plain["labels"] = self.labels[index]
        return plain


def check_aspect(planes: Mask, shape: tuple[int, ...], record: Record) -> None:
    """That planes (H, W) or (H, W, M) can be of the film of ``shape``: drawn on its matrix, or a finer one.

    Raises:
        DatasetError: their aspect ratio is another.
    """
    rows, columns = shape
    if abs(planes.shape[0] / planes.shape[1] - rows / columns) > 0.02:
        raise DatasetError(
            f"{record.id}: its mask of {planes.shape[:2]} pixels has another aspect ratio than the film of "
            f"{shape}; check that they belong together."
        )


def planes_on_film(planes: Mask, shape: tuple[int, ...], record: Record) -> Mask:
    """Planes at the film's shape; outlines drawn on another matrix of the same film are resized.

    Raises:
        DatasetError: as for ``check_aspect``.
    """
    planes = planes if planes.ndim == 3 else planes[..., None]
    check_aspect(planes, shape, record)
    rows, columns = shape
    if planes.shape[:2] == (rows, columns):
        return planes
    resized = np.asarray(cv2.resize(planes, (columns, rows), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    return resized if resized.ndim == 3 else resized[..., None]
