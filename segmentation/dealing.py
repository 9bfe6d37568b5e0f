"""Which films an epoch shows: groups in fixed shares, however many films each of them has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from suite.training.loop import derived_seed


class Dealt(Dataset[Mapping[str, Tensor]]):
    """Indices of records, dealt anew for every epoch; items are ``{"index": i}`` as a ``Bank`` gathers them.

    Each group gives its share of the epoch's items. Within a group every film comes as often as any other,
    but for one; what a large group has no room for comes in later epochs.

    Args:
        groups: indices of the records of each group; empty ones are left out.
        shares: of the epoch, one a group; made to add up to 1 over the groups that have films.
        length: items of an epoch; 0: as many as there are records.
        seed: of the deals.
    """

    draws = False
    """An item is an index of the deal; the deal has a stream of its own."""

    def __init__(
        self, groups: Sequence[Sequence[int]], shares: Sequence[float], length: int = 0, seed: int = 0
    ) -> None:
        filled = [
            (torch.as_tensor(group), share)
            for group, share in zip(groups, shares, strict=True)
            if len(group) and share > 0
        ]
        self.groups = [group for group, _ in filled]
        self.length = (length or sum(len(group) for group in groups)) if filled else 0
        self.seed = seed
        self.counts = _counts([share for _, share in filled], self.length)
        self.deal(0)

    def deal(self, epoch: int) -> None:
        """Draw the films of ``epoch``: a pure function of seed and epoch."""
        dealt = [
            self._drawn(place, group, count, epoch)
            for place, (group, count) in enumerate(zip(self.groups, self.counts, strict=True))
        ]
        self.order = torch.cat(dealt) if dealt else torch.empty(0, dtype=torch.long)

    def _drawn(self, place: int, group: Tensor, count: int, epoch: int) -> Tensor:
        """``count`` indices of a group: the next of an endless row of its shuffled decks."""
        first, size = epoch * count, len(group)
        decks = range(first // size, (first + count - 1) // size + 1) if count else range(0)
        row = [group[self._shuffled(size, place, deck)] for deck in decks]
        start = first % size
        return torch.cat(row)[start : start + count] if row else group[:0]

    def _shuffled(self, size: int, place: int, deck: int) -> Tensor:
        generator = torch.Generator().manual_seed(derived_seed(self.seed, "deal", place, deck))
        return torch.randperm(size, generator=generator)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"index": self.order[index]}


def _counts(shares: Sequence[float], length: int) -> list[int]:
    """Whole numbers that add up to ``length``, in proportion to ``shares``."""
    total = sum(shares)
    ends = [round(length * sum(shares[: place + 1]) / total) for place in range(len(shares))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]
