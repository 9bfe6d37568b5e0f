"""The runs of an ablation: one network of one seed each, in processes that share the decoded films."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.ablation_identity import data_digests, film_weights
from classifiers.ablation_plan import Variant
from suite.datasets.manifest import Manifest, Record
from suite.datasets.registry import open_dataset
from suite.errors import StageError, StorageError, WeightsError
from suite.findings import CODES
from suite.storage import make_folder, write_text

ATTRIBUTES = ("view", "age", "sex")
FILMS_FILE = "films.safetensors"
Values = npt.NDArray[np.float64]


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
        from classifiers.diagnosis.training import DiagnosisRecipe

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
    """A finished run in numbers; ``rate`` is samples a second after the first steps."""

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
    return tuple(record for name in sorted(data) for record in data[name] if _is_chest(record))


# films


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


def _files_of(record: Record) -> list[Any]:
    """All files that the films of a record are made from."""
    targets = sorted((name, str(path)) for name, path in record.targets.items())
    return [str(record.frontal), str(record.lateral), targets]


def _taught(plan: Plan, variants: Sequence[Variant]) -> tuple[Record, ...]:
    """The training part of all sets: what the dual-energy channel may be calibrated on."""
    from classifiers.diagnosis.training import FRACTIONS

    data, split_seed = open_sources(plan.sources), plan.recipe(variants[0], 0).split_seed
    parts = [data[name].split(split_seed, FRACTIONS)["train"] for name in sorted(data)]
    return tuple(record for part in parts for record in part if _is_chest(record))


def _is_chest(record: Record) -> bool:
    return record.attributes.get("part", "chest") == "chest"


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


# processes


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

    _quick_arithmetic()
    _SHARED["data"] = open_sources(plan.sources)
    _SHARED["films"] = StudyFilms.load(plan.films_path, key, plan.device)


def _quick_arithmetic() -> None:
    """What costs nothing in accuracy that an AUC could show."""
    import torch

    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True


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
                "the process that decodes films ended without a word, perhaps for want of memory; give fewer "
                "films, or a smaller size."
            ) from None


# predictions


@dataclass(frozen=True, slots=True)
class Scored:
    """Predictions of one run as read back from its file; arrays are (N, 13)."""

    studies: tuple[str, ...]
    patients: tuple[str, ...]
    attributes: Mapping[str, tuple[str, ...]]
    truth: Values
    scores: Values
    hits: Values
    areas: Values


_GROUPS = ("truth", "score", "hit", "area")


def write_predictions(path: Path, predictions: Any, sources: Mapping[str, str]) -> None:
    """One row a study: who it is, and for each finding truth, score, hit and the hit rate by chance."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        [
            "study",
            "patient",
            "source",
            *ATTRIBUTES,
            *(f"{group}_{code}" for group in _GROUPS for code in CODES),
        ]
    )
    columns = (predictions.truth, predictions.scores, predictions.hits, predictions.areas)
    for row, record in enumerate(predictions.records):
        numbers = [_cell(value) for column in columns for value in column[row]]
        attributes = [record.attributes.get(name, "") for name in ATTRIBUTES]
        source = sources.get(str(record.frontal), "")
        writer.writerow([record.id, record.patient_id, source, *attributes, *numbers])
    write_text(path, stream.getvalue())


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.8g}"


def read_predictions(path: Path) -> Scored:
    """What ``write_predictions`` wrote.

    Raises:
        StorageError: the file is not that.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        arrays = [
            np.array([[float(row[f"{group}_{code}"] or "nan") for code in CODES] for row in rows])
            for group in _GROUPS
        ]
        attributes = {name: tuple(row[name] for row in rows) for name in ("source", *ATTRIBUTES)}
        studies = tuple(row["study"] for row in rows)
        patients = tuple(row["patient"] for row in rows)
    except (OSError, KeyError, ValueError) as error:
        raise StorageError(
            f"{path}: is no file of predictions ({error}); remove it and run again."
        ) from error
    return Scored(studies, patients, attributes, *arrays)
