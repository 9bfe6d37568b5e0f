"""``radsuite train`` and ``radsuite evaluate``: from names given by the user to weights, card and metrics."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from suite.datasets.manifest import Manifest
from suite.datasets.registry import open_dataset
from suite.errors import DatasetError, InputError, RecipeError
from suite.stages.plugins import load_recipe
from suite.stages.weights import ModelCard, load_into, read_card, save_release
from suite.training.cross_table import read_row, write_cross_table
from suite.training.evaluation import Evaluation
from suite.training.loop import OnStep, fit
from suite.training.task import Task
from suite.version import __version__


def prepare(recipe_name: str, sources: Mapping[str, Path], settings: Sequence[str]) -> Task:
    """A task with its recipe checked and its data sets opened, before anything is trained.

    Raises:
        RecipeError: unknown recipe, key or value.
        DatasetError: a data set the task cannot use, or a folder without its layout.
    """
    task_type = load_recipe(recipe_name)
    recipe = task_type.recipe_type.from_settings(settings)
    for name in sources:
        if name not in task_type.datasets:
            raise DatasetError(
                f"recipe {recipe_name} cannot learn from {name!r}; use {', '.join(task_type.datasets)}."
            )
    data: dict[str, Manifest] = {name: open_dataset(name, folder) for name, folder in sources.items()}
    if not data:
        raise RecipeError(
            f"recipe {recipe_name} needs data; give --data NAME=DIR with {', '.join(task_type.datasets)}."
        )
    lacking = [name for name in task_type.required if name not in data]
    if lacking:
        raise DatasetError(f"recipe {recipe_name} needs data set {lacking[0]}; give --data {lacking[0]}=DIR.")
    task: Task = task_type(recipe, data)
    return task


def train(
    recipe_name: str,
    sources: Mapping[str, Path],
    settings: Sequence[str],
    out: Path,
    *,
    device: str = "auto",
    resume: bool = False,
    on_step: OnStep | None = None,
) -> ModelCard:
    """Train, measure on the test part, and write ``NAME.safetensors`` with its model card into ``out``."""
    task = prepare(recipe_name, sources, settings)
    model = as_shipped(task.released(fit(task, out, device=device, resume=resume, on_step=on_step)))
    evaluation = task.evaluate(model, "test")
    evaluation.write(out, task.learned_from())
    return save_release(out, task.name, model, card_content(task, evaluation, settings))


def as_shipped(model: nn.Module) -> nn.Module:
    """``model`` with its weights rounded to the fp16 they ship in: the card measures what is shipped."""
    with torch.no_grad():
        for value in (*model.parameters(), *model.buffers()):
            if value.is_floating_point():
                value.copy_(value.to(torch.float16))
    return model


def card_content(task: Task, evaluation: Evaluation, settings: Sequence[str]) -> dict[str, Any]:
    """What a model card says of a finished run."""
    names = sorted(task.data)
    options = "".join(f" --data {name}={name.upper().replace('-', '_')}" for name in names)
    options += "".join(f" --set {shlex.quote(_without_folder(task, setting))}" for setting in settings)
    recipe = task.recipe.model_dump()
    recipe |= {key: Path(recipe[key]).name for key in (*task.initial_weights, *task.companion_weights)}
    weights = f"OUT/{task.name}.safetensors"
    return {
        **task.describe(),
        "architecture": task.architecture(),
        "input": {"size": task.recipe.size, "channels": task.channels},
        "recipe": recipe,
        "begun_with": _begun_with(task),
        "data": {name: len(task.data[name]) for name in names},
        "learned_from": list(task.learned_from()),
        "split": f"by patient, seed {task.recipe.split_seed}",
        "metrics": evaluation.as_json(),
        "notes": list(evaluation.notes),
        **evaluation.extras,
        "train_command": f"radsuite train {task.name}{options} --out OUT",
        "evaluate_command": f"radsuite evaluate {task.name} --weights {weights}{options} --out OUT",
        "radsuite": __version__,
    }


def _begun_with(task: Task) -> dict[str, str]:
    """SHA-256 of each weights file that training began with, by recipe key, as far as it is still there."""
    given = {key: getattr(task.recipe, key) for key in task.initial_weights}
    files = {key: Path(name).with_suffix(".safetensors") for key, name in given.items() if name}
    there = {key: path for key, path in files.items() if path.is_file()}
    return {key: hashlib.sha256(path.read_bytes()).hexdigest() for key, path in there.items()}


def _without_folder(task: Task, setting: str) -> str:
    """A setting with the name alone of a weights file: folders of one machine do not go into a card."""
    key, _, value = setting.partition("=")
    files = (*task.initial_weights, *task.companion_weights)
    return f"{key}={Path(value).name}" if key.strip() in files else setting


def finished(
    recipe_name: str, weights: Path, sources: Mapping[str, Path], settings: Sequence[str]
) -> tuple[Task, nn.Module, ModelCard]:
    """A weights file in a task that measures it: the task, its network with the weights, and their card.

    The recipe is the card's; ``settings`` may change it.

    Raises:
        WeightsError: weights and card do not belong together, or are another network's.
        RecipeError, DatasetError: as for ``prepare``.
    """
    card = read_card(weights.with_suffix(".json"))
    task_type = load_recipe(recipe_name)
    files = (*task_type.initial_weights, *task_type.companion_weights)
    kept_recipe = {**task_type.older_cards, **card.content["recipe"]}
    stored = {**kept_recipe, **dict.fromkeys(files, ""), **task_type.without_start}
    if card.name != recipe_name:
        _check_kin(recipe_name, weights, card, stored)
    kept = [f"{key}={value}" for key, value in stored.items()]
    of_start = {*task_type.initial_weights, *task_type.without_start}  # a card's own command names them
    given = [setting for setting in settings if setting.partition("=")[0].strip() not in of_start]
    task = prepare(recipe_name, sources, [*kept, *given])
    task.build()
    model = load_into(task.modules["model"], card)
    task.measured_card = card.content
    return task, model, card


def _check_kin(recipe_name: str, weights: Path, card: ModelCard, stored: Mapping[str, Any]) -> None:
    """Weights of another recipe may be measured where that is of one kind with this one.

    Raises:
        RecipeError: it is not.
    """
    try:
        load_recipe(recipe_name).recipe_type.checked(dict(stored))
    except RecipeError:
        raise RecipeError(
            f"{weights}: holds weights of {card.name}, which recipe {recipe_name} does not measure; "
            f"use radsuite evaluate {card.name}."
        ) from None


def evaluate(
    recipe_name: str,
    weights: Path,
    sources: Mapping[str, Path],
    settings: Sequence[str],
    out: Path,
    *,
    renew: bool = False,
) -> Evaluation:
    """Measure a weights file on the test part of the data and write the figures into ``out``.

    The recipe is the card's; ``settings`` may change it.

    Args:
        renew: also write the same weights into ``out`` with a card that was made anew: limits, calibrations
            and figures on these data, by the networks installed here that its films go through first.

    Raises:
        WeightsError: weights and card do not belong together, or are another network's.
        RecipeError: ``renew`` is asked for, and the card of this network holds figures alone.
    """
    task, model, card = finished(recipe_name, weights, sources, settings)
    if renew and not task.renewable:
        raise RecipeError(
            f"recipe {recipe_name} makes weights whose card holds figures alone; leave --renew-card out."
        )
    evaluation = task.evaluate(model, "test")
    evaluation.write(out, card.content.get("learned_from", task.learned_from()))
    if renew:
        save_release(out, task.name, model, task.renewed(card.content, evaluation))
    return evaluation


def evaluate_across(
    recipe_name: str, weights: Sequence[Path], sources: Mapping[str, Path], settings: Sequence[str], out: Path
) -> str:
    """Measure several weights files of one recipe on the same data: a folder each, and the table across them.

    Returns:
        the text of ``cross.md``: what each learned from against what it was measured on.

    Raises:
        InputError: the recipe has no figures by data set, or two files have the same name in folders of the
            same name.
    """
    names = _distinct_names(weights)
    rows = []
    for name, path in zip(names, weights, strict=True):
        evaluate(recipe_name, path, sources, settings, out / name)
        rows.append(read_row(out / name))
    labels = [row.name for row in rows]
    rows = [
        replace(row, name=f"{row.name} ({name})") if labels.count(row.name) > 1 else row
        for name, row in zip(names, rows, strict=True)
    ]
    return write_cross_table(rows, out)


def _distinct_names(weights: Sequence[Path]) -> list[str]:
    """A folder name for each file: its own name, its folder's, or both, whichever tells them apart."""
    folders = [path.resolve().parent.name for path in weights]
    stems = [path.stem for path in weights]
    both = [f"{folder}-{stem}" for folder, stem in zip(folders, stems, strict=True)]
    for names in (stems, folders, both):
        if len(set(names)) == len(names):
            return names
    again = next(path for path, name in zip(weights, both, strict=True) if both.count(name) > 1)
    raise InputError(f"{again}: another weights file has its name and folder's name; copy one elsewhere.")
