"""Training the runs of an ablation side by side, in processes that share the decoded films."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

import numpy as np

from classifiers.ablation.plan import Variant
from classifiers.ablation.predictions import write_predictions
from classifiers.ablation.runs import Outcome, Plan, Run, open_sources
from suite.datasets.manifest import Manifest
from suite.devices import quick_arithmetic
from suite.errors import StageError
from suite.findings import CODES
from suite.storage import make_folder

_SHARED: dict[str, Any] = {}
"""What a worker process keeps between its runs: the data sets and the films on its device."""


def start_worker(plan: Plan, variants: Sequence[Variant], key: str, counter: Any, devices: int) -> None:
    """First call in each worker: its share of the GPUs or cores, and the films."""
    with counter.get_lock():
        number = counter.value
        counter.value += 1
    if plan.device == "cuda" and devices > 1:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        ids = visible if len(visible) == devices else [str(index) for index in range(devices)]
        os.environ["CUDA_VISIBLE_DEVICES"] = ids[number % devices]
    from classifiers.diagnosis.films import StudyFilms

    quick_arithmetic()
    _SHARED["data"] = open_sources(plan.sources)
    _SHARED["films"] = StudyFilms.load(plan.films_path, key, plan.device)


def train_one(plan: Plan, run: Run) -> Outcome:
    """Train one network and write its predictions on the test part."""
    from classifiers.diagnosis.training import DiagnosisTask
    from suite.training.intervals import auc
    from suite.training.loop import fit

    started = time.monotonic()
    recipe = plan.recipe(run.variant, run.seed)
    task = DiagnosisTask(recipe, _SHARED["data"], _SHARED["films"])
    folder = make_folder(run.folder(plan.out))
    marks: list[tuple[int, float]] = []
    model = fit(
        task,
        folder,
        device=plan.device,
        on_step=lambda step, _total, _losses: marks.append((step, time.monotonic())),
    )
    predictions = task.predict(model, task.part("test"))
    write_predictions(run.predictions(plan.out), predictions, _source_of(_SHARED["data"]))
    if not plan.keep_weights:
        for leftover in folder.glob("*.safetensors"):
            leftover.unlink()
        shutil.rmtree(folder / "tensorboard", ignore_errors=True)
    values = [auc(predictions.truth[:, i], predictions.scores[:, i]) for i in range(len(CODES))]
    known = [value for value in values if not math.isnan(value)]
    samples = len(task.part("train")) * recipe.passes * recipe.epochs
    mean = float(np.mean(known)) if known else math.nan
    return Outcome(run, mean, samples, time.monotonic() - started, recipe.batch_size * _pace(marks))


def _pace(marks: Sequence[tuple[int, float]]) -> float:
    """Steps a second without the first tenth, in which a GPU still tries out its kernels."""
    first, last = marks[len(marks) // 10], marks[-1]
    return (last[0] - first[0]) / (last[1] - first[1]) if last[1] > first[1] else math.nan


def _source_of(data: Mapping[str, Manifest]) -> dict[str, str]:
    """The data set of each film."""
    return {str(record.frontal): name for name, manifest in data.items() for record in manifest}


def run_all(
    plan: Plan, variants: Sequence[Variant], runs: Sequence[Run], key: str, processes: int
) -> Iterator[Outcome]:
    """Train ``runs`` in ``processes`` and yield each outcome as it comes.

    One process works in this one, unless it would have to touch a GPU.
    """
    if processes == 1 and plan.device == "cpu":
        context = get_context("spawn")
        start_worker(plan, variants, key, context.Value("i", 0), 1)
        try:
            for run in runs:
                yield train_one(plan, run)
        finally:
            _SHARED.clear()
        return
    context = get_context("spawn")
    counter = context.Value("i", 0)
    arguments = (plan, variants, key, counter, device_count(plan.device))
    pool = ProcessPoolExecutor(processes, context, start_worker, arguments)
    try:
        futures = [pool.submit(train_one, plan, run) for run in runs]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise StageError(
            "a training process ended without a word, perhaps for want of memory; the finished networks are "
            "kept: go on with --resume and fewer --processes, or a smaller batch_size."
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def device_count(device: str) -> int:
    """GPUs, counted in a way that does not wake them; 1 for the processor."""
    import torch

    return max(1, torch.cuda.device_count()) if device == "cuda" else 1


def in_child(function: Any, *arguments: Any) -> Any:
    """``function(*arguments)`` in a process of its own, so that this one never touches a GPU."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise StageError(
                "a process that was to use the GPU ended without a word, perhaps for want of memory; "
                "give fewer films, or a smaller size."
            ) from None
