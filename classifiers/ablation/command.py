"""The ablation of the diagnosis network: what each input channel is worth, by the paper's Table 1.

Four configurations, a placebo, on computed chests the true bone image and two exposures, some seeds each with
the same initialisation and budget. Films are decoded once. A finished run leaves its predictions, so an
interrupted ablation goes on where it stopped, and its tables can be made of what there is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifiers.ablation.films import decode_films, films_key
from classifiers.ablation.folder import STATE_FILE, open_folder, weights_keys
from classifiers.ablation.plan import LEAVE_ONE_OUT, VARIANTS, Variant, choose
from classifiers.ablation.predictions import ATTRIBUTES, read_predictions
from classifiers.ablation.processes import device_count, in_child, run_all
from classifiers.ablation.runs import (
    OWN_KEYS,
    Outcome,
    Plan,
    Run,
    all_records,
    open_sources,
)
from classifiers.ablation.shared import FILMS_LOCK, missing, run_shared, taken
from classifiers.ablation.statistics import Statistics, summarise
from classifiers.ablation.tables import write_all
from classifiers.diagnosis.parts import is_chest
from classifiers.learned_sets import LearnedSets
from suite.devices import resolve_device
from suite.errors import InputError
from suite.storage import make_folder
from suite.training.precision import fastest_precision

EVERY_NAME = tuple(variant.name for variant in (*VARIANTS, *LEAVE_ONE_OUT))
MOST_SEEDS = 1000
"""Seeds that tables look for."""

Say = Callable[[str], None]
OnRun = Callable[[int, int, Mapping[str, float]], None]
"""Called after each run with (runs done, runs in all, figures)."""


@dataclass(frozen=True, slots=True)
class Options:
    """How an ablation is run.

    Attributes:
        seeds: networks of each kind.
        names: configurations; empty: all that the data allow.
        leave_one_out: also the full network without each of its inputs.
        subgroups: attributes to report by, of view, age, sex, source.
        processes: networks trained side by side; 0: one on each GPU, one on the processor.
        device: auto, cpu or cuda.
        resume: go on with the ablation in the folder.
        keep_weights: keep each network's checkpoint.
        tables_only: train nothing, make the tables of the finished networks.
        cache: folder for the decoded films; the folder of the results unless given.
        shared: other processes may be at networks of the same folder; what they are at is left to them.
        one: with ``shared``, train one network that nobody is at, and make no tables.
    """

    seeds: int = 5
    names: tuple[str, ...] = ()
    leave_one_out: bool = False
    subgroups: tuple[str, ...] = ()
    processes: int = 0
    device: str = "auto"
    resume: bool = False
    keep_weights: bool = False
    tables_only: bool = False
    cache: Path | None = None
    shared: bool = False
    one: bool = False


class Ablation:
    """Found by the command line under ``suite.studies``."""

    name = "ablation"

    def run(
        self,
        sources: Mapping[str, Path],
        settings: Sequence[str],
        out: Path,
        options: Mapping[str, Any],
        *,
        say: Say,
        on_run: OnRun | None = None,
    ) -> str:
        """Train what is not finished and write the tables; returns the text of ``table.md``.

        Raises:
            InputError: a configuration, recipe key, subgroup or folder that cannot be used.
        """
        return ablate(sources, settings, out, Options(**options), say=say, on_run=on_run)


def ablate(
    sources: Mapping[str, Path],
    settings: Sequence[str],
    out: Path,
    options: Options,
    *,
    say: Say,
    on_run: OnRun | None = None,
) -> str:
    """As ``Ablation.run``."""
    _check(options)
    if options.tables_only:
        return remake_tables(out, options)
    device = resolve_device(options.device)
    cache = options.cache or out
    values = _parsed(settings)
    if device == "cuda" and values.get("precision", "auto") == "auto":
        values["precision"] = in_child(fastest_precision)
    plan = Plan(dict(sources), values, out, device, cache, options.keep_weights)
    manifests = open_sources(sources)
    variants = choose(options.names, list(manifests.values()), leave_one_out=options.leave_one_out)
    recipes = [plan.recipe(variant, 0) for variant in variants]
    LearnedSets.of(
        "diagnosis", recipes[0].learn_from, manifests, is_chest, split_seed=0, limit=0, finished=False
    ).check_apart()
    runs = [Run(variant, seed) for seed in range(options.seeds) for variant in variants]
    head = _head(plan, recipes[0], len(all_records(manifests)))
    open_folder(plan, recipes[0], options.resume, {"head": head, "planned": len(runs)})
    waiting = [run for run in runs if not run.predictions(out).is_file()]
    if waiting:
        say(f"{len(waiting)} of {len(runs)} networks to train; decoding films.")
        _train(plan, variants, waiting, options, say, on_run, head, len(runs))
    if options.one:
        left = len(missing(plan, runs))
        return f"{len(runs) - left} of {len(runs)} networks are finished; the tables are another's work."
    return write_all(out, _collect(out, runs, options.subgroups), head)


def remake_tables(out: Path, options: Options) -> str:
    """The tables of the networks that are finished in ``out``; neither films nor data sets are needed.

    Raises:
        InputError: the folder is no ablation, or none of its networks is finished.
    """
    path = out / STATE_FILE
    if not path.is_file():
        raise InputError(f"{out}: is no ablation; name the folder that one was written to.")
    state = json.loads(path.read_text())
    runs = [
        Run(variant, seed)
        for variant in choose(options.names or EVERY_NAME, [], leave_one_out=options.leave_one_out)
        for seed in range(MOST_SEEDS)
        if Run(variant, seed).predictions(out).is_file()
    ]
    if not runs:
        raise InputError(f"{out}: holds no finished network yet; leave out --tables-only.")
    head = state.get("head") or [f"Data: {', '.join(state['data'])}."]
    planned = max(len(runs), state.get("planned", 0))
    if len(runs) < planned and not options.names:
        head = [*head, _partial(len(runs), planned)]
    return write_all(out, _collect(out, runs, options.subgroups), head)


def _train(
    plan: Plan,
    variants: Sequence[Variant],
    waiting: Sequence[Run],
    options: Options,
    say: Say,
    on_run: OnRun | None,
    head: Sequence[str],
    total: int,
) -> None:
    key = films_key(plan, variants)
    say(f"{_decoded(plan, variants, key, options)} studies decoded.")
    every, done = _all_runs(variants, options.seeds), total - len(waiting)
    if options.shared and on_run is not None:
        on_run(done, total, {})  # now others can help
    for outcome in _outcomes(plan, variants, waiting, key, options):
        done = total - len(missing(plan, every)) if options.shared else done + 1
        if outcome is None:
            if on_run is not None:
                on_run(done, total, {})
            continue
        say(_line(outcome, done, total))
        if on_run is not None:
            on_run(done, total, {"mean_auc": outcome.mean_auc})
        if done % len(variants) == 0 and done < total and not options.one:
            finished = [run for run in every if run.predictions(plan.out).is_file()]
            write_all(
                plan.out, _collect(plan.out, finished, options.subgroups), [*head, _partial(done, total)]
            )


def _decoded(plan: Plan, variants: Sequence[Variant], key: str, options: Options) -> int:
    """Decode the films, unless they are there; returns how many studies there are."""
    make_folder(plan.cache)
    own = (plan, variants, key)
    with taken(plan.cache / FILMS_LOCK, wait=True) if options.shared else nullcontext():
        return int(in_child(decode_films, *own) if plan.device == "cuda" else decode_films(*own))


def _outcomes(
    plan: Plan, variants: Sequence[Variant], waiting: Sequence[Run], key: str, options: Options
) -> Iterator[Outcome | None]:
    if options.shared:
        return run_shared(plan, variants, waiting, key, one=options.one)
    processes = min(options.processes or device_count(plan.device), len(waiting))
    return run_all(plan, variants, waiting, key, processes)


def _all_runs(variants: Sequence[Variant], seeds: int) -> list[Run]:
    return [Run(variant, seed) for seed in range(seeds) for variant in variants]


def _partial(done: int, total: int) -> str:
    return f"\n**{done} of {total} networks are trained; these figures are not final.**"


def _line(outcome: Outcome, done: int, total: int) -> str:
    area = "no AUC" if math.isnan(outcome.mean_auc) else f"mean AUC {outcome.mean_auc:.3f}"
    pace = "" if math.isnan(outcome.rate) else f" ({outcome.rate:.0f} a second while training)"
    return (
        f"[{done}/{total}] {outcome.run.variant.name}, seed {outcome.run.seed}: "
        f"{area}, {outcome.samples} samples in {outcome.seconds:.0f} s{pace}"
    )


def _check(options: Options) -> None:
    if options.seeds < 1:
        raise InputError(f"--seeds {options.seeds} trains nothing; give 1 or more.")
    if options.processes < 0:
        raise InputError(f"--processes {options.processes} is no number of processes; give 1 or more.")
    if options.shared and options.processes > 1:
        raise InputError("--shared trains one network after the other here; leave --processes out.")
    if options.one and not options.shared:
        raise InputError("--one is for an ablation that others are at; add --shared.")
    for name in options.subgroups:
        if name not in ("source", *ATTRIBUTES):
            raise InputError(f"--subgroups names {name!r}; use some of source, {', '.join(ATTRIBUTES)}.")


def _parsed(settings: Sequence[str]) -> dict[str, str]:
    """``key=value`` settings as a mapping, without those the ablation sets itself."""
    values: dict[str, str] = {}
    for setting in settings:
        key, separator, value = setting.partition("=")
        if not separator:
            raise InputError(f"--set {setting!r} is not of the form key=value; for example --set epochs=5.")
        if key.strip() in OWN_KEYS:
            raise InputError(
                f"--set {key.strip()} is what the ablation varies; use --configurations or --seeds."
            )
        values[key.strip()] = value.strip()
    return values


def _collect(out: Path, runs: Sequence[Run], subgroups: Sequence[str]) -> Statistics:
    found: dict[str, list[Any]] = {}
    for run in runs:
        found.setdefault(run.variant.name, []).append(read_predictions(run.predictions(out)))
    return summarise(found, subgroups)


def _head(plan: Plan, recipe: Any, studies: int) -> list[str]:
    """What was trained on what, for the top of the table; of weights their names, not their folders."""
    names = ", ".join(sorted(plan.sources))
    files = weights_keys()
    shown = {k: Path(v).name if k in files else v for k, v in sorted(plan.settings.items())}
    settings = " ".join(f"{key}={value}" for key, value in shown.items()) or "the defaults"
    passes = recipe.epochs * recipe.passes
    return [
        f"Data: {studies} studies of {names}, split by patient. Films of {recipe.size} x {recipe.size}, "
        f"{passes} pass{'es' if passes > 1 else ''} over the training part in batches of "
        f"{recipe.batch_size}.",
        f"Recipe: {settings}.",
    ]
