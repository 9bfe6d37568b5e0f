"""The decoded films that all runs of an ablation share, in one file that knows what it was made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from classifiers.ablation.plan import Variant
from classifiers.ablation.runs import Plan, all_records, open_sources
from classifiers.diagnosis.parts import is_chest
from classifiers.learned_sets import part_of
from suite.datasets.digests import data_digests
from suite.datasets.manifest import Record
from suite.errors import WeightsError

if TYPE_CHECKING:
    from classifiers.diagnosis.films import FilmSettings


def film_settings(plan: Plan, variants: Sequence[Variant]) -> Any:
    """Settings of the films that serve all ``variants``."""
    recipes = [plan.recipe(variant, 0) for variant in variants]
    sources = {
        recipe.bone_source for recipe in recipes
        if recipe.configuration == "dual+lungs+bone" and recipe.bone_source != "copy"
    }  # fmt: skip
    from classifiers.diagnosis.films import FilmSettings

    first = recipes[0]
    return FilmSettings(first.size, tuple(sorted(sources)), first.lung_source, first.bone_weights)


def films_key(plan: Plan, variants: Sequence[Variant]) -> str:
    """What the films file depends on, as one word: the studies, their files, the content of all weights."""
    settings = film_settings(plan, variants)
    split_seed = plan.recipe(variants[0], 0).split_seed
    manifests = open_sources(plan.sources)
    made_of = [data_digests(plan.sources, manifests), film_weights(settings)]
    files = [_files_of(record) for record in all_records(manifests)]
    text = json.dumps([settings.size, settings.bones, settings.lungs, made_of, split_seed, files])
    return hashlib.sha256(text.encode()).hexdigest()


def film_weights(settings: FilmSettings) -> dict[str, str | None]:
    """SHA-256 of the weights that the films of ``settings`` are made with, by stage.

    ``None``: the set's own lungs, or no such weights are installed. Without the layer of the bone stage its
    weights are left out.

    Raises:
        WeightsError: the card that ``settings`` name cannot be read.
    """
    from classifiers.diagnosis.films import input_weights

    planes = ("lung-segmented", *(("bone-subtracted",) if "gan" in settings.bones else ()))
    return input_weights(settings, planes)


def _files_of(record: Record) -> list[Any]:
    """All files that the films of a record are made from."""
    targets = sorted((name, str(path)) for name, path in record.targets.items())
    return [str(record.frontal), str(record.lateral), targets]


def _taught(plan: Plan, variants: Sequence[Variant]) -> tuple[Record, ...]:
    """The training part of all sets: what the dual-energy channel may be calibrated on."""
    data, split_seed = open_sources(plan.sources), plan.recipe(variants[0], 0).split_seed
    parts = [part_of(data[name], "train", split_seed, is_chest) for name in sorted(data)]
    return tuple(record for part in parts for record in part)


def decode_films(plan: Plan, variants: Sequence[Variant], key: str) -> int:
    """Write the films of all records for all variants, unless they are there; returns their number."""
    import torch

    from classifiers.diagnosis.films import StudyFilms

    torch.set_float32_matmul_precision("high")
    path = plan.films_path
    if path.exists():
        try:
            return len(StudyFilms.load(path, key, "cpu", ("labels",)).rows)
        except WeightsError:
            path.unlink()
    records = all_records(open_sources(plan.sources))
    device = "cuda" if plan.device == "cuda" and torch.cuda.is_available() else "cpu"
    films = StudyFilms.decode(records, film_settings(plan, variants), device, _taught(plan, variants) or None)
    films.save(path, key)
    return len(records)
