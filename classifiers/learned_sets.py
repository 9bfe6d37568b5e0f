"""The data sets that a classifier learns from and is measured on, their parts, and whether they are apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from suite.datasets.manifest import Manifest, Record, SplitName
from suite.datasets.registry import shared_origin
from suite.errors import DatasetError, RecipeError
from suite.training.task import Task

FRACTIONS = (0.65, 0.15, 0.2)


@dataclass(frozen=True, slots=True)
class LearnedSets:
    """The given sets, and which of them are learned from.

    Attributes:
        data: the sets that are given, by name.
        names: of those that are learned from, in their order.
        keeps: which records of a set can be used.
        split_seed: of the split by patient.
        limit: most training records of all sets together; 0: all.
    """

    data: Mapping[str, Manifest]
    names: tuple[str, ...]
    keeps: Callable[[Record], bool]
    split_seed: int = 0
    limit: int = 0

    @classmethod
    def of(
        cls,
        recipe: str,
        learn_from: str,
        data: Mapping[str, Manifest],
        keeps: Callable[[Record], bool],
        *,
        split_seed: int,
        limit: int,
        finished: bool,
    ) -> Self:
        """The sets that a recipe's ``learn_from`` names, commas between; all that are given, if it is empty.

        Args:
            recipe: its name, for the message.
            learn_from: names of sets.
            data: the sets that are given.
            keeps: as the attribute.
            split_seed: as the attribute.
            limit: as the attribute.
            finished: weights that are there are only measured, so that not all sets they learned from have to
                be given; where none is, any other takes their place.

        Raises:
            RecipeError: a set to learn from is not given.
        """
        wanted = tuple(name.strip() for name in learn_from.split(",") if name.strip())
        missing = next((name for name in wanted if name not in data), None)
        if missing is not None and not finished:
            raise RecipeError(
                f"recipe {recipe} learns from {missing}, which is not given; add --data {missing}=DIR."
            )
        names = tuple(name for name in wanted if name in data) or tuple(sorted(data))
        return cls(data, names, keeps, split_seed, limit)

    @classmethod
    def of_task(cls, task: Task, keeps: Callable[[Record], bool]) -> Self:
        """Those of a task whose recipe has ``learn_from``; only measured, where its weights are there.

        Raises:
            RecipeError: as for ``of``.
        """
        recipe: Any = task.recipe
        return cls.of(
            task.name,
            recipe.learn_from,
            task.data,
            keeps,
            split_seed=recipe.split_seed,
            limit=recipe.limit,
            finished=task.measured_card is not None,
        )

    @property
    def others(self) -> tuple[str, ...]:
        """The sets that are given and not learned from."""
        return tuple(sorted(set(self.data) - set(self.names)))

    def part(self, name: SplitName) -> tuple[Record, ...]:
        """One part of all sets that are learned from."""
        records = tuple(record for each in self.names for record in self.part_of(each, name))
        return records[: self.limit] if self.limit and name == "train" else records

    def part_of(self, dataset: str, name: SplitName) -> tuple[Record, ...]:
        """One part of one set, without the limit."""
        return part_of(self.data[dataset], name, self.split_seed, self.keeps)

    def check_apart(self) -> None:
        """Fail where what is measured on in one set may be learned from in another.

        Each set is split by itself, so a film that two of them show can be in the training part of the one
        and in the test part of the other.

        Raises:
            DatasetError: names the two sets.
        """
        taught: dict[Path, str] = {}
        for name in self.names:
            for other in sorted(self.data):
                if origin := shared_origin(name, other):
                    raise DatasetError(
                        f"{name} and {other} show the same {origin} films under other names and are split "
                        "each by itself, so films of the one's test part are learned from in the other; "
                        "give one of them."
                    )
            taught |= {record.frontal.path: name for record in self.data[name]}
        for name in (*self.others, *self.names):
            for record in self.data[name]:
                owner = taught.get(record.frontal.path, name)
                if owner != name:
                    raise DatasetError(
                        f"{record.frontal.path}: is a film of both {name} and {owner}, which are split each "
                        "by itself, so it may be measured on in the one and learned from in the other; "
                        "leave it out of one of them."
                    )


def part_of(
    manifest: Manifest, name: SplitName, split_seed: int, keeps: Callable[[Record], bool]
) -> tuple[Record, ...]:
    """The records of one part of a set that ``keeps`` lets through."""
    return tuple(record for record in manifest.split(split_seed, FRACTIONS)[name] if keeps(record))


def doubts(card: Mapping[str, Any] | None, measured_on: Sequence[str]) -> list[str]:
    """A sentence for each set whose films the weights of a card may have learned from under other names."""
    taught = [] if card is None else sorted(card.get("learned_from", card.get("data", {})))
    shared = {(name, other): shared_origin(name, other) for name in measured_on for other in taught}
    return [
        f"{name} shows {origin} films under other names, as {other} does, which the weights learned from: "
        "some of its films may be known to them, and figures on it too good."
        for (name, other), origin in shared.items()
        if origin
    ]
