"""The runs of an ablation: one network of one seed each, and what all of them have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifiers.ablation.plan import Variant
from classifiers.diagnosis.parts import is_chest
from suite.datasets.manifest import Manifest, Record
from suite.datasets.registry import open_dataset

FILMS_FILE = "films.safetensors"
OWN_KEYS = ("configuration", "bone_source", "without", "seed")
"""Recipe keys that the ablation sets itself."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the runs have in common; sent to every process.

    Attributes:
        sources: data sets by name.
        settings: recipe keys and values that hold for all runs.
        out: folder of the results.
        device: ``cpu`` or ``cuda``.
        cache: folder of the decoded films.
        keep_weights: leave each run's checkpoint in its folder.
    """

    sources: Mapping[str, Path]
    settings: Mapping[str, str]
    out: Path
    device: str
    cache: Path
    keep_weights: bool = False

    @property
    def films_path(self) -> Path:
        """The decoded films that all runs share."""
        return self.cache / FILMS_FILE

    def recipe(self, variant: Variant, seed: int) -> Any:
        """The recipe of one run.

        Raises:
            RecipeError: a key or value that the recipe does not take.
        """
        from classifiers.diagnosis.recipe import DiagnosisRecipe

        return DiagnosisRecipe.checked({**self.settings, **variant.settings, "seed": seed})


@dataclass(frozen=True, slots=True)
class Run:
    """One network to train."""

    variant: Variant
    seed: int

    def folder(self, out: Path) -> Path:
        return out / "runs" / f"{self.variant.name.replace(' ', '-')}-seed{self.seed}"

    def predictions(self, out: Path) -> Path:
        """The file that says the run is finished."""
        return self.folder(out) / "predictions.csv"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run in numbers; ``rate`` is samples a second after the first steps, NaN of a single step."""

    run: Run
    mean_auc: float
    samples: int
    seconds: float
    rate: float


def open_sources(sources: Mapping[str, Path]) -> dict[str, Manifest]:
    """The data sets by name."""
    return {name: open_dataset(name, folder) for name, folder in sources.items()}


def all_records(data: Mapping[str, Manifest]) -> tuple[Record, ...]:
    """Every chest study of all sets."""
    return tuple(record for name in sorted(data) for record in data[name] if is_chest(record))


def recorded_recipe(state: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe in an ablation's file; keys that are newer than the file are at their defaults."""
    from classifiers.diagnosis.recipe import DiagnosisRecipe

    defaults = {key: value for key, value in DiagnosisRecipe.defaults().items() if key not in OWN_KEYS}
    return {**defaults, **state.get("recipe", {})}
