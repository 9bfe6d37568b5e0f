"""Films with their outlines as a network sees them, many at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from suite.datasets.manifest import Record, SplitName
from suite.errors import DatasetError
from suite.framing import frame
from suite.study import FloatImage, Mask
from suite.training.bank import Bank, Planes
from suite.training.films import load_film, planes_on_film

Measured = TypeVar("Measured")

THREADS = 8
"""Most films that are read at a time: reading one leaves the interpreter free for about half of the time."""

BATCH = 16
"""Films a network sees at a time when it is measured on its own grid."""


Masks = Callable[[Record], Mask]
"""Reads a film's outlines (H, W, M) or (H, W), any small numbers."""


def film_and_planes(record: Record, masks: Masks) -> tuple[FloatImage, Mask]:
    """The film (H, W) in [0, 1] and its outlines (H, W, M) at the film's shape.

    Raises:
        DatasetError: outlines and film are not of one picture.
    """
    pixels = load_film(record.frontal)
    return pixels, planes_on_film(masks(record), pixels.shape, record)


def check_measured(
    parts: Mapping[SplitName, tuple[Record, ...]],
    sets: Collection[str],
    masks: Masks,
    *,
    may_be_empty: bool = False,
) -> None:
    """Say before a run starts what would end it or make it worthless: a part that cannot be measured on.

    Args:
        parts: the films that are measured, by part; each is read once.
        sets: names of the data sets they come from, for the message.
        masks: reads their outlines.
        may_be_empty: films on which nothing is to be outlined are part of the matter, and may be all.

    Raises:
        DatasetError: a part has no film, none of its outlines has a pixel inside, or outlines and film are
            not of one picture.
        InputError: a film cannot be read.
    """
    for name, records in parts.items():
        filled(records, name, sets)
    for name, records in parts.items():
        drawn = over_films(lambda record: bool(film_and_planes(record, masks)[1].any()), records)
        if not may_be_empty and not any(drawn):
            raise DatasetError(
                f"the outlines of the {name} part of {', '.join(sets)} are all empty, first of "
                f"{records[0].id}; export the masks again."
            )


def filled(records: tuple[Record, ...], part: SplitName, sets: Iterable[str]) -> tuple[Record, ...]:
    """``records``, the films of a part.

    Raises:
        DatasetError: there is none.
    """
    if not records:
        raise DatasetError(f"the {part} part of {', '.join(sets)} has no film; give more patients.")
    return records


def framed_planes(record: Record, size: int, masks: Masks) -> Planes:
    """The film and its masks on a network's input.

    Args:
        record: a study with outlines.
        size: side of the input.
        masks: reads the outlines.

    Returns:
        ``film`` float32 (1, size, size) in [0, 1]; ``mask`` uint8 (M, size, size), as read.
    """
    pixels, planes = film_and_planes(record, masks)
    framed = frame(pixels, size)
    on_input = [framed.grid.apply(planes[..., index], "nearest") for index in range(planes.shape[-1])]
    return {"film": framed.pixels[None], "mask": np.stack(on_input)}


def over_films(measure: Callable[[Record], Measured], records: Sequence[Record]) -> list[Measured]:
    """``measure`` of every record, in their order, several read at a time."""
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(measure, records))


def answers(model: nn.Module, bank: Bank) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
    """What a network says of a bank's ``film`` planes: batches as gathered, and logits in float32."""
    device = next(model.parameters()).device
    bank.to(device)
    for first in range(0, len(bank), BATCH):
        batch = bank.gather(torch.arange(first, min(first + BATCH, len(bank)), device=device))
        with torch.inference_mode():
            film = batch["film"].contiguous(memory_format=torch.channels_last)
            yield batch, model(film).float()


def plane_dice(predicted: Tensor, truth: Tensor) -> Tensor:
    """Dice of boolean planes (B, M, H, W), per film and plane (B, M); 1 where both are empty."""
    hits = (predicted & truth).sum((-2, -1)).double()
    total = predicted.sum((-2, -1)).double() + truth.sum((-2, -1)).double()
    return torch.where(total > 0, 2 * hits / total.clamp_min(1), torch.ones_like(total))
