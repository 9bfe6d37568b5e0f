"""Which films of the given sets a run learns from, and which it is measured on."""

from __future__ import annotations

from collections.abc import Mapping

from gan.pairs import is_fractured, kept_bank
from gan.recipe import BoneRecipe
from gan.usable import UsableStudies, fault_of_breaks, fault_of_film, faults, refuse
from suite.datasets.manifest import Manifest, Record, SplitName
from suite.errors import DatasetError, InputError, RecipeError
from suite.training.bank import Bank

STUDIES = "dual-energy"
WITH_LAYER = ("jsrt", "phantom", STUDIES)
ELSEWHERE = ("nih", "chexpert", "mimic-cxr", "openi", "padchest", "siim", "scr", "montgomery", "shenzhen",
             "covid-lungs", "site")  # fmt: skip
"""Sets with a bone layer, and sets of chests that can only be looked at."""

Films = dict[str, tuple[Record, ...]]
"""Films by the name of their set."""


class Parts:
    """Films with a bone layer of each part, without dual-energy studies that cannot be used.

    Args:
        data: the sets that were given, by name; of those in ``ELSEWHERE`` there are no parts.
    """

    def __init__(self, recipe: BoneRecipe, data: Mapping[str, Manifest]) -> None:
        self.recipe = recipe
        self.data = {name: each for name, each in data.items() if name in WITH_LAYER}
        self.elsewhere = {name: each.records for name, each in data.items() if name in ELSEWHERE}
        self._studies = UsableStudies(recipe.motion_limit)

    def of(self, dataset: str, name: SplitName) -> tuple[Record, ...]:
        """A part of one set.

        Raises:
            RecipeError: the set is learned from, but was not given.
        """
        if dataset not in self.data:
            raise RecipeError(
                f"recipe bone learns from {dataset}, which is not given; add --data {dataset}=DIR."
            )
        return self._usable(
            dataset, self.data[dataset].with_target("bone").split(self.recipe.split_seed)[name]
        )

    def train(self) -> tuple[Record, ...]:
        """The training part of all sets that are learned from."""
        records = [record for dataset in self.recipe.sources for record in self.of(dataset, "train")]
        return tuple(records[: self.recipe.limit] if self.recipe.limit else records)

    def validation(self) -> Films:
        """The validation part of each set that is learned from."""
        return {name: self.of(name, "validation") for name in self.recipe.sources}

    def limits(self) -> Films:
        """The validation part of each given set that was learned from and that is not measured on whole."""
        names = [name for name in self.data if name in self.recipe.sources and name not in self._held_out]
        return {name: self.of(name, "validation") for name in names}

    def test(self) -> Films:
        """What is measured on: the test part of each given set, or all of it."""
        return {name: self.measured(name) for name in self.data}

    def measured(self, dataset: str) -> tuple[Record, ...]:
        """The test part of a set; all of one that nothing was learned from (``held_out``)."""
        if dataset not in self._held_out:
            return self.of(dataset, "test")
        return self._usable(dataset, self.data[dataset].with_target("bone").records)

    def checked_bank(self, records: tuple[Record, ...]) -> Bank:
        """``records`` to learn from, once all films that are measured on are known to be sound too.

        Raises:
            DatasetError: films of any part cannot be read, or of dual-energy studies nothing is left to
                validate or to test on.
        """
        recipe = self.recipe
        validation, test = self.validation(), self.test()
        for part, films in (("validation", validation), ("test", test)):
            if STUDIES in films and not any(films.values()):
                raise DatasetError(f"the {part} part of {', '.join(films)} has no film; give more patients.")
        measured = [
            *(record for films in validation.values() for record in films[: recipe.validation_films]),
            *(record for films in test.values() for record in films[: recipe.test_films or None]),
        ]
        fractured = [record for record in test.get("phantom", ()) if is_fractured(record)]
        found = faults(fault_of_film, measured) | faults(fault_of_breaks, fractured[: recipe.break_films])
        try:
            bank = kept_bank(records, recipe.size)
        except InputError:
            refuse(found | faults(fault_of_film, records))
            raise
        refuse(found)
        return bank

    def judge_studies(self) -> None:
        """Look at the dual-energy studies of all parts at once: one sentence names those left out."""
        if STUDIES in self.data:
            self._studies.of(self.data[STUDIES].records)

    @property
    def _held_out(self) -> list[str]:
        return self.recipe.held_out.split(",")

    def _usable(self, dataset: str, records: tuple[Record, ...]) -> tuple[Record, ...]:
        return self._studies.of(records) if dataset == STUDIES else records
