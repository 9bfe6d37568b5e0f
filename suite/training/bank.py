"""Films decoded once and kept on the training device, so that data never starves a network.

A loader that decodes, resizes and augments film by film keeps a GPU waiting. Here the loader deals indices;
the planes lie on the device as integers and are gathered there, a batch at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from suite.datasets.manifest import Record
from suite.errors import DatasetError

FULL_SCALE = 32767
"""Stored value of 1.0: films and layers in [-1, 1] become int16, finer than the 12 bits of a detector."""

Planes = Mapping[str, NDArray[Any]]
"""One record by name: float32 planes (C, H, W) in [-1, 1], uint8 masks (M, H, W), float32 labels (L,)."""


class Bank(Dataset[Mapping[str, Tensor]]):
    """Records of one shape; its items are ``{"index": i}``, and ``gather`` makes batches of them.

    Args:
        stored: tensors whose first axis counts the records: int16 planes, uint8 masks, float32 labels.

    Raises:
        DatasetError: the tensors differ in their number of records.
    """

    draws = False
    """Nothing random happens to an item; ``suite.training.loop`` gives it no random stream."""

    def __init__(self, stored: Mapping[str, Tensor]) -> None:
        lengths = {name: len(values) for name, values in stored.items()}
        if len(set(lengths.values())) > 1:
            raise DatasetError(f"planes of different numbers of records cannot go together: {lengths}.")
        self.stored = dict(stored)
        self.length = next(iter(lengths.values()), 0)

    @classmethod
    def decode(
        cls, records: Sequence[Record], read: Callable[[Record], Planes], *, threads: int | None = None
    ) -> Self:
        """A bank of ``records``, each decoded by ``read`` in a pool of threads, in their order.

        Raises:
            DatasetError: records have different planes or shapes.
        """
        if not records:
            return cls({})
        with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
            decoded = pool.map(read, records)
            first = next(decoded)
            stored = {name: _storage(len(records), values) for name, values in first.items()}
            for row, (record, planes) in enumerate(zip(records, _chain(first, decoded), strict=True)):
                _store(stored, row, record, planes)
        return cls(stored)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if not 0 <= index < self.length:
            raise IndexError(f"record {index} of {self.length}")
        return {"index": torch.tensor(index)}

    def to(self, device: torch.device) -> Self:
        """Move everything to ``device``, once; returns the bank itself."""
        self.stored = {name: values.to(device) for name, values in self.stored.items()}
        return self

    def gather(self, index: Tensor) -> dict[str, Tensor]:
        """The records at ``index`` (B,), float32 on the bank's device.

        Returns:
            By name: planes (B, C, H, W) in [-1, 1], masks (B, M, H, W) as stored, labels (B, L).
        """
        return {name: _as_float(values[index.to(values.device)]) for name, values in self.stored.items()}


def _chain(first: Planes, rest: Any) -> Any:
    yield first
    yield from rest


def _storage(count: int, values: NDArray[Any]) -> Tensor:
    kinds = {"uint8": torch.uint8, "float32": torch.int16 if values.ndim == 3 else torch.float32}
    if values.dtype.name not in kinds:
        raise DatasetError(f"a bank keeps float32 and uint8 arrays, not {values.dtype}; convert them.")
    return torch.empty((count, *values.shape), dtype=kinds[values.dtype.name])


def _store(stored: Mapping[str, Tensor], row: int, record: Record, planes: Planes) -> None:
    shapes = {name: values.shape for name, values in planes.items()}
    if shapes != {name: tuple(values.shape[1:]) for name, values in stored.items()}:
        raise DatasetError(
            f"{record.id}: its planes {shapes} differ from the first record's; check the data."
        )
    for name, values in planes.items():
        if stored[name].dtype == torch.int16:
            values = np.rint(np.clip(values, -1.0, 1.0) * FULL_SCALE).astype(np.int16)
        stored[name][row] = torch.from_numpy(np.ascontiguousarray(values))


def _as_float(values: Tensor) -> Tensor:
    plain = values.to(torch.float32)
    return plain / FULL_SCALE if values.dtype == torch.int16 else plain
