"""What the diagnosis network is worth beside a plain DenseNet-121 that sees the film alone.

    python benchmarks/plain_densenet.py --data nih=NIH --films 5936 --out OUT
    python benchmarks/plain_densenet.py --data nih=NIH --films 5936 --out OUT --imagenet FILE.safetensors

Trains timm's DenseNet-121 with 13 outputs on the frontal film: no branches, maps, lungs, bones or lateral;
binary cross-entropy over the labels that are known. Films, split by patient, augmentation, optimiser and
schedule are those of ``radsuite train diagnosis``, and what both recipes have in common (size, batch, rate,
decay, averaging) is what the card of ``--weights`` says; ``--set`` changes it. ``--films`` is the budget: how
many films are shown in all, rounded to whole epochs.

Both networks are measured on the same test films, set by set: areas with intervals over patients, and their
differences by DeLong's paired test, films of a patient as one draw. An interrupted training goes on with the
same command, and what is finished is not done again; ``OUT/table.md`` has the tables.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where a script is named as a package

from benchmarks.plain.tables import GIVEN, PLAIN, table
from benchmarks.plain.task import PlainRecipe, PlainTask
from classifiers.ablation.predictions import read_predictions, write_predictions
from classifiers.diagnosis.films import input_weights
from classifiers.diagnosis.training import DiagnosisTask
from classifiers.learned_sets import doubts
from suite.datasets.digests import data_digests
from suite.datasets.registry import open_dataset, parse_sources
from suite.devices import resolve_device
from suite.errors import InputError, SuiteError
from suite.stages.weights import ModelCard, read_card
from suite.storage import make_folder, write_text
from suite.training.command import as_shipped, finished
from suite.training.loop import fit

SHIPPED = Path(__file__).parents[1] / "classifiers" / "weights" / "diagnosis.safetensors"
OF_THE_MACHINE = {"precision", "workers"}
NOT_SET = {
    "epochs": "give --films",
    "imagenet_weights": "give --imagenet",
    "split_seed": "the given weights know the training films of their own split",
}
"""Recipe keys that are not for ``--set``, and why."""

KEY_FILE = "key.json"
"""What the predictions of a folder rest on."""


def plain_recipe(card: ModelCard, given: Sequence[str]) -> PlainRecipe:
    """What the card's recipe and the plain one have in common, changed by settings ``key=value``.

    Raises:
        InputError: a key of ``NOT_SET`` is set.
        RecipeError: a key or value that the plain recipe does not take.
    """
    for setting in given:
        if remedy := NOT_SET.get(setting.partition("=")[0].strip()):
            raise InputError(f"--set {setting} is not for this comparison: {remedy}.")
    stored = card.content["recipe"]
    common = PlainRecipe.model_fields.keys() & stored.keys() - OF_THE_MACHINE - {
        "epochs",
        "imagenet_weights",
        "learn_from",
    }
    return PlainRecipe.from_settings([*(f"{key}={stored[key]}" for key in sorted(common)), *given])


def task_of(arguments: argparse.Namespace, sources: Mapping[str, Path]) -> PlainTask:
    """The plain network's task, its epochs as many as come nearest to the budget of films."""
    data = {name: open_dataset(name, folder) for name, folder in sources.items()}
    recipe = plain_recipe(read_card(arguments.weights.with_suffix(".json")), arguments.set)
    films = len(PlainTask(recipe, data).training_part())
    if not films or arguments.films < films:
        raise InputError(
            f"--films {arguments.films} is less than one epoch of {films} training films; "
            f"give {films} or more."
        )
    epochs = {"epochs": round(arguments.films / films)}
    start = {"imagenet_weights": str(arguments.imagenet or "")}
    return PlainTask(PlainRecipe.checked({**recipe.model_dump(), **epochs, **start}), data)


def keep_key(folder: Path, key: Mapping[str, Any]) -> None:
    """Write what the predictions in ``folder`` rest on, or compare with what is there.

    Raises:
        InputError: they rest on something else.
    """
    path, said = folder / KEY_FILE, json.loads(json.dumps(key))
    if path.is_file():
        kept = json.loads(path.read_text())
        other = sorted(name for name in {*said, *kept} if kept.get(name) != said.get(name))
        if other:
            raise InputError(f"{folder}: was made with another {', '.join(other)}; give another --out.")
    make_folder(folder)
    write_text(path, json.dumps(said, indent=2) + "\n")


def train_plain(task: PlainTask, sources: Mapping[str, Path], folder: Path, device: str) -> None:
    """Train the plain network or go on with it, and leave its predictions on each set's test films."""
    start = task.recipe.imagenet_weights
    keep_key(
        folder,
        {
            "recipe": task.recipe.model_dump(exclude={*OF_THE_MACHINE, "imagenet_weights"}),
            "imagenet": hashlib.sha256(Path(start).read_bytes()).hexdigest() if start else None,
            "data": data_digests(sources, task.data),
        },
    )
    if all((folder / f"{name}.csv").is_file() for name in task.data):
        return
    model = as_shipped(fit(task, folder, device=device, resume=True, on_step=Pace(task.recipe.batch_size)))
    for name in sorted(task.data):
        write_predictions(folder / f"{name}.csv", task.predict(model, task.part(name, "test")), {})


class Pace:
    """Prints how far a training is, and the seconds of a step, at most every ten seconds."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size, self.first = batch_size, 0
        self.started = self.said = 0.0

    def __call__(self, step: int, total: int, losses: Mapping[str, float]) -> None:
        now = time.perf_counter()
        if not self.first:
            self.first, self.started = step, now  # the first step also decodes and warms up
        elif now - self.said > 10 or step == total:
            each = (now - self.started) / (step - self.first)
            shown = step * self.batch_size
            print(f"step {step} of {total}, {shown} films shown, {each:.2f} s a step, "
                  f"loss {losses['loss']:.4f}", flush=True)  # fmt: skip
            self.said = now


def measure_given(arguments: argparse.Namespace, sources: Mapping[str, Path], plain: PlainTask) -> None:
    """Leave the given weights' predictions on the test films of the plain network's task."""
    folder = arguments.out / "given"
    task, model, card = finished("diagnosis", arguments.weights, sources, [])
    if not isinstance(task, DiagnosisTask):
        raise InputError(f"{arguments.weights}: are no weights of a diagnosis network; give those.")
    inputs, digests = input_weights(task.film_settings(), task.planes), data_digests(sources, task.data)
    keep_key(folder, {"weights": card.sha256, "inputs": inputs, "data": digests})
    model.to(resolve_device(arguments.device)).eval()
    for name in sorted(plain.data):
        if not (folder / f"{name}.csv").is_file():
            write_predictions(folder / f"{name}.csv", task.predict(model, plain.part(name, "test")), {})


def head_of(arguments: argparse.Namespace, task: PlainTask) -> list[str]:
    """What the tables rest on, in words."""
    recipe, films = task.recipe, len(task.training_part())
    batch = min(recipe.batch_size, films)
    start = f"{arguments.imagenet.name}" if arguments.imagenet else "nothing"
    card = read_card(arguments.weights.with_suffix(".json"))
    return [
        f"**{PLAIN}**: DenseNet-121 on the film alone, begun with {start}; {films} films of "
        f"{', '.join(task.learned_from())} in {recipe.epochs} epochs, "
        f"{films // batch * batch * recipe.epochs} shown; {recipe.size} px, "
        f"batches of {batch}, seed {recipe.seed}.",
        f"**{GIVEN}**: {arguments.weights.name}, sha256 {card.sha256[:12]}.",
        *doubts(card.content, sorted(task.data)),
    ]


def compare(arguments: argparse.Namespace) -> str:
    """Train and measure what is missing; returns the text of ``table.md``."""
    sources = parse_sources(arguments.data)
    task = task_of(arguments, sources)
    measure_given(arguments, sources, task)
    train_plain(task, sources, arguments.out / "plain", resolve_device(arguments.device))
    folders = {GIVEN: arguments.out / "given", PLAIN: arguments.out / "plain"}
    text = "\n\n".join(head_of(arguments, task)) + "\n"
    for name in sorted(task.data):
        text += table(
            name, {kind: read_predictions(folder / f"{name}.csv") for kind, folder in folders.items()}
        )
    write_text(arguments.out / "table.md", text)
    return text


def main() -> None:
    """Read the command line, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--films", type=int, required=True, help="shown to the plain network in all")
    parser.add_argument("--weights", type=Path, default=SHIPPED, help="of the diagnosis network (shipped)")
    parser.add_argument("--imagenet", type=Path, help="timm's densenet121 as safetensors, to begin with")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the plain recipe")
    parser.add_argument("--device", default="auto")
    try:
        print(compare(parser.parse_args()), end="")
    except SuiteError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
