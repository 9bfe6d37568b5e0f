"""The work of ``radsuite calibrate``: films, scores, new cards, and the report of what changed."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from suite.calibration.calibrators import (
    analyzer_of,
    attempt,
    each_that_works,
    load_calibrators,
    recalibrated,
)
from suite.calibration.contract import CalibrationPlan, Calibrator, ScoredFilms
from suite.calibration.in_force import SUMMARY
from suite.calibration.scoring import HEADS, score_films
from suite.calibration.table import head_as_json, section_of, title_of
from suite.datasets.manifest import Manifest, Record, SplitName
from suite.datasets.registry import is_computed, shared_origin
from suite.errors import DatasetError
from suite.stages.weights import ModelCard
from suite.storage import make_folder, write_text

if TYPE_CHECKING:
    from suite.analysis import Analyzer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a calibration left behind.

    Attributes:
        cards: files of the new model cards.
        table: before and after, as Markdown.
        left_out: a sentence for each film that was not used.
        faults: a sentence for each stage that could not be calibrated.
    """

    cards: tuple[Path, ...]
    table: str
    left_out: tuple[str, ...]
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Films:
    """Which films to use.

    Attributes:
        manifests: data sets.
        part: ``all``, a part of the split, or ``auto``: all, but of a data set that the weights have learned
            from the test part alone.
        limit: at most so many films, drawn with the plan's seed; 0 is all.
    """

    manifests: Sequence[Manifest]
    part: str = "auto"
    limit: int = 0

    def chosen(self, cards: Sequence[ModelCard], seed: int) -> tuple[tuple[Record, ...], str]:
        """The films, and a phrase that says which they are.

        Raises:
            DatasetError: none is left, or a set is computed, or shows films that the weights may have learned
                from under the name of another.
        """
        for manifest in self.manifests:
            _check_held_out(manifest, cards, self.part)
        records: list[Record] = []
        phrases = []
        for manifest in self.manifests:
            part, own = self._of(manifest, cards)
            patients = len({record.patient_id for record in own})
            phrases.append(f"{len(own)} films of {patients} patients of {manifest.name}{part}")
            records += own
        if self.limit and len(records) > self.limit:
            order = np.random.default_rng(seed).permutation(len(records))[: self.limit]
            records = [records[index] for index in sorted(order)]
            phrases.append(f"of these {self.limit} drawn at random")
        if not records:
            raise DatasetError("no film is left to calibrate on; give --part all, or another data set.")
        return tuple(records), ", ".join(phrases)

    def _of(self, manifest: Manifest, cards: Sequence[ModelCard]) -> tuple[str, tuple[Record, ...]]:
        teachers = [card for card in cards if manifest.name in _learned_from(card)]
        if self.part == "all" or (self.part == "auto" and not teachers):
            return "", manifest.records
        name: SplitName = "test" if self.part == "auto" else self.part  # type: ignore[assignment]
        seeds = {int(card.content.get("recipe", {}).get("split_seed", 0)) for card in teachers} or {0}
        parts = [manifest.split(seed)[name] for seed in sorted(seeds)]
        common = set.intersection(*({record.id for record in part} for part in parts))
        kept = tuple(record for record in parts[0] if record.id in common)
        return f" ({name} part)", kept


def _check_held_out(manifest: Manifest, cards: Sequence[ModelCard], part: str) -> None:
    """Fail on films that can say nothing of other patients.

    A set that shows films of another under other names is used only where ``part`` is ``all``: its own split
    keeps nothing back that the network has not seen.
    """
    if is_computed(manifest.name):
        raise DatasetError(
            f"{manifest.name}: its films are computed, and a probability fitted to them holds for no real "
            "film; give labelled films of patients."
        )
    for card in cards if part != "all" else ():
        for taught in sorted(_learned_from(card)):
            if origin := shared_origin(manifest.name, taught):
                raise DatasetError(
                    f"{manifest.name}: its films are {origin} films under other names, and the {card.name} "
                    f"weights learned from {taught}, so nobody can tell which of them the network has not "
                    "seen; give films of another source, or --part all to use them all the same."
                )


def _learned_from(card: ModelCard) -> set[str]:
    return {str(name) for name in card.content.get("learned_from", card.content.get("data", {}))}


def calibrate(
    films: Films,
    stages: Sequence[str] | None,
    plan: CalibrationPlan,
    out: Path,
    *,
    device: str = "auto",
    override_gate: bool = False,
    on_film: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Recalibrate and write cards, ``calibration.md``, ``calibration.json``, ``films.csv`` and diagrams.

    A stage whose calibrator is broken is left as it was, and the others go on.

    Raises:
        InputError: the plan, the films or the stages cannot be used.
        StageError: no film is left and a stage failed on one, or no stage could be calibrated.
    """
    faults: list[str] = []
    cards = [each.card for each in load_calibrators(stages, plan, faults.append)]  # before a film is read
    records, source = films.chosen(cards, plan.seed)
    _check_labels(records)
    plan, faults = replace(plan, source=source), []
    calibrators = load_calibrators(stages, plan, faults.append)
    analyzer, calibrators = analyzer_of(calibrators, device, faults.append)
    scored = score_films(
        records,
        analyzer,
        override_gate=override_gate,
        on_film=None if on_film is None else lambda done: on_film(done, len(records)),
    )
    make_folder(out)
    by_stage = {each.stage: each for each in calibrators}
    made = each_that_works(
        list(by_stage), lambda name: _made(by_stage[name], scored.films, analyzer, out), faults.append
    )
    for each in made:
        write_text(out / f"{each.stage}.json", each.card)
    title = title_of(plan, len(scored.films.ids), len(scored.left_out))
    table = "\n".join([title, *(each.section for each in made), *(f"{line}\n" for line in faults)])
    write_text(out / "calibration.md", table)
    summary = {each.stage: each.heads for each in made}
    write_text(out / SUMMARY, json.dumps(summary, indent=2) + "\n")
    write_text(out / "films.csv", _films_csv(scored.films))
    write_text(out / "left_out.txt", "".join(f"{line}\n" for line in scored.left_out))
    return Outcome(tuple(out / f"{each.stage}.json" for each in made), table, scored.left_out, tuple(faults))


@dataclass(frozen=True, slots=True)
class _Made:
    """What one calibrator leaves behind, as text."""

    stage: str
    card: str
    section: str
    heads: Sequence[Mapping[str, Any]]


def _made(calibrator: Calibrator, films: ScoredFilms, analyzer: Analyzer, out: Path) -> _Made:
    """The work of one calibrator, its diagram drawn.

    Raises:
        SuiteError: it failed.
    """
    result, name = recalibrated(calibrator, films), calibrator.stage

    def told() -> _Made:
        if result.draw is not None:
            result.draw(out / f"reliability-{name}.png")
        card = json.dumps(_with_inputs(result.card, name, analyzer), indent=2) + "\n"
        return _Made(
            name, card, section_of(name, result.heads), [head_as_json(head) for head in result.heads]
        )

    return attempt(name, told)


def _with_inputs(card: Mapping[str, Any], name: str, analyzer: Analyzer) -> dict[str, Any]:
    """The card with the weights that made the stage's inputs: for others the calibration does not hold.

    Of the inputs only those that the card says its scores depend on, since a network need not read all that
    its stage is given; all, where the card says nothing.
    """
    stage = next(stage for stage in analyzer.stages if stage.name == name)
    made_by = analyzer.input_weights(stage)
    stated = card.get("input_weights")
    read = made_by if stated is None else stated
    account = {
        **card["recalibration"],
        "input_weights": {maker: sha256 for maker, sha256 in made_by.items() if maker in read},
    }
    return {**card, "recalibration": account}


def _check_labels(records: Sequence[Record]) -> None:
    if not any(not math.isnan(value) for record in records for value in (*record.labels, record.abnormal)):
        raise DatasetError("none of the films has a known label, so nothing can be calibrated; label some.")


def _films_csv(films: ScoredFilms) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    heads = [head for head in HEADS if not np.isnan(films.scores[head]).all()]
    writer.writerow(["film", "patient", *(f"{head}_{kind}" for head in heads for kind in ("label", "score"))])
    for index, (name, patient) in enumerate(zip(films.ids, films.patients, strict=True)):
        numbers = [of[head][index] for head in heads for of in (films.labels, films.scores)]
        writer.writerow([name, patient, *("" if math.isnan(each) else f"{each:.6g}" for each in numbers)])
    return stream.getvalue()
