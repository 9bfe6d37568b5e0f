"""``--submit``: a training run or an ablation as a job for a worker."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from suite.commands.console import output
from suite.commands.serving import settings_from
from suite.datasets.registry import parse_sources
from suite.errors import RecipeError

if TYPE_CHECKING:
    from suite.jobs.models import JobKind


def submit_training_run(recipe: str, sources: Sequence[str], settings: Sequence[str]) -> str:
    """Put a training run into the queue ``train`` and say where its results will be; returns the job's id.

    Raises:
        InputError: the request cannot be used.
        RecipeError: there is no such recipe.
        StorageError: the database refused.
    """
    from suite.jobs.models import JobKind
    from suite.stages.plugins import RECIPES, installed

    if recipe not in installed(RECIPES):
        raise RecipeError(f"recipe {recipe!r} is not installed; use one of {', '.join(installed(RECIPES))}.")
    return _submit(JobKind.TRAINING, sources, {"recipe": recipe, "settings": tuple(settings)})


def submit_ablation(sources: Sequence[str], settings: Sequence[str], options: Mapping[str, Any]) -> str:
    """Put an ablation into the queue ``train``, likewise.

    Args:
        sources: ``NAME=DIR``.
        settings: ``key=value`` of the recipe.
        options: those of ``radsuite ablate`` that were given, by their long names.

    Raises:
        InputError: the request cannot be used.
        StorageError: the database refused.
    """
    from suite.jobs.models import JobKind

    return _submit(JobKind.ABLATION, sources, {"settings": tuple(settings), "options": dict(options)})


def _submit(kind: JobKind, sources: Sequence[str], content: Mapping[str, Any]) -> str:
    from suite.jobs import workers
    from suite.jobs.broker import create_celery, publisher
    from suite.jobs.database import Database
    from suite.jobs.models import QueueName
    from suite.jobs.requests import submit_training
    from suite.jobs.training import training_folder, training_request

    service = settings_from()
    data = {name: folder.absolute() for name, folder in parse_sources(sources).items()}
    request = training_request(kind, {**content, "data": data})
    database = Database(service)
    try:
        now = time.time()
        job_id = submit_training(database, kind, request.model_dump(mode="json"), now)
        publisher(create_celery(service))(job_id, QueueName.TRAIN.value)
        served = workers.present(database, service, now, QueueName.TRAIN.value)
    finally:
        database.close()
    output(
        f"Job {job_id} waits in the queue train; its results come into {training_folder(service, job_id)}."
    )
    if not served:
        output("No worker takes jobs from that queue now: start one with `radsuite worker --queues train`.")
    return job_id
