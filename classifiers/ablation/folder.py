"""The folder of an ablation: what its networks have in common, so that it goes on with the same only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifiers.ablation.films import film_weights
from classifiers.ablation.runs import OWN_KEYS, Plan, open_sources, recorded_recipe
from suite.datasets.digests import data_digests
from suite.errors import InputError
from suite.storage import make_folder, write_text

STATE_FILE = "ablation.json"


def open_folder(plan: Plan, recipe: Any, resume: bool, shown: Mapping[str, Any]) -> None:
    """Make the folder, or see that it holds this ablation; ``shown`` is for its tables.

    Raises:
        InputError: it holds another one, or one that was not asked to go on.
    """
    state = _identity(plan, recipe)
    path = plan.out / STATE_FILE
    if path.is_file():
        if not resume:
            raise InputError(f"{plan.out}: is an ablation; add --resume to go on, or name another folder.")
        there = json.loads(path.read_text())
        there["recipe"] = recorded_recipe(there)
        if {key: there.get(key) for key in state} != json.loads(json.dumps(state)):
            raise InputError(
                f"{plan.out}: is an ablation with other data or settings; give the same, or another folder."
            )
    make_folder(plan.out)
    write_text(path, json.dumps({**state, **shown}, indent=2) + "\n")


def _identity(plan: Plan, recipe: Any) -> dict[str, Any]:
    """What makes two ablations one: the recipe, the content of all weights files, and the studies.

    No folder is part of it: an ablation goes on where its data lie elsewhere. The weights that make the
    films count whatever is trained now, because further configurations may be added.
    """
    from classifiers.diagnosis.films import FilmSettings

    kept = {key: value for key, value in recipe.model_dump().items() if key not in OWN_KEYS}
    kept |= {key: _content(Path(kept[key])) for key in weights_keys() if kept[key]}
    films = FilmSettings(recipe.size, ("gan",), recipe.lung_source, recipe.bone_weights)
    return {
        "recipe": kept,
        "films_made_with": film_weights(films),
        "data": data_digests(plan.sources, open_sources(plan.sources)),
    }


def _content(path: Path) -> str:
    """SHA-256 of a weights file, which a recipe may name by its card."""
    weights = path.with_suffix(".safetensors")
    return hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else path.name


def weights_keys() -> tuple[str, ...]:
    """Recipe keys that name weights files."""
    from classifiers.diagnosis.training import DiagnosisTask

    return (*DiagnosisTask.initial_weights, *DiagnosisTask.companion_weights)
