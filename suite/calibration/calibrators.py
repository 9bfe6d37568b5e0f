"""Calibrators by entry points, and their work: one that is broken is told of, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from suite.calibration.contract import CalibrationPlan, Calibrator, HeadReport, Recalibration, ScoredFilms
from suite.errors import InputError, StageError, SuiteError
from suite.stages.graph import GATE
from suite.stages.plugins import CALIBRATORS, STAGES, installed, load_plugin
from suite.stages.weights import ModelCard

if TYPE_CHECKING:
    from suite.analysis import Analyzer

Made = TypeVar("Made")
Told = Callable[[str], None]
"""Takes a sentence on one stage that failed; the others go on."""


def load_calibrators(stages: Sequence[str] | None, plan: CalibrationPlan, failed: Told) -> list[Calibrator]:
    """Calibrators of ``stages``, or all that are installed; ``failed`` is told of each that does not load.

    Raises:
        InputError: a stage has none, or the plan is not sound.
        SuiteError: the only one, or each of them, does not load.
    """
    known = installed(CALIBRATORS)
    names = list(known) if stages is None else list(dict.fromkeys(stages))
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise InputError(f"stage {unknown!r} has no probabilities to calibrate; use {', '.join(known)}.")
    if not names:
        raise InputError("no network that is installed can be calibrated; install the package again.")

    def load(name: str) -> Calibrator:
        made = attempt(name, lambda: load_plugin(known[name])(plan))
        _check_calibrator(name, made)
        return made

    return each_that_works(names, load, failed, fatal=InputError)


def each_that_works(
    names: Sequence[str],
    make: Callable[[str], Made],
    failed: Told,
    fatal: type[SuiteError] | tuple[type[SuiteError], ...] = (),
) -> list[Made]:
    """What ``make`` makes of each stage's name; ``failed`` is told of those that fail while others work.

    Raises:
        SuiteError: one of ``fatal``, or the first of all, when nothing was made.
    """
    made: list[Made] = []
    faults: dict[str, SuiteError] = {}
    for name in names:
        try:
            made.append(make(name))
        except SuiteError as error:
            if isinstance(error, fatal):
                raise
            faults[name] = error
    if not made:
        raise next(iter(faults.values()))
    for name, fault in faults.items():
        failed(str(fault) if name in str(fault) else f"stage {name} was not calibrated: {fault}")
    return made


def attempt(stage: str, work: Callable[[], Made]) -> Made:
    """The result of a calibrator's work.

    Raises:
        SuiteError: as it says itself.
        StageError: it failed in any other way.
    """
    try:
        return work()
    except SuiteError:
        raise
    except (Exception, SystemExit) as error:  # a calibrator is a plug-in and may fail in any way
        raise _broken(stage, "failed", f"{type(error).__name__}: {error}") from error


def recalibrated(calibrator: Calibrator, films: ScoredFilms) -> Recalibration:
    """What a calibrator makes of the films.

    Raises:
        SuiteError: as it says itself.
        StageError: it failed in any other way, or what it made cannot be a recalibrated model card.
    """
    name = calibrator.stage
    made: Any = attempt(name, lambda: calibrator.recalibrate(films))
    if not isinstance(made, Recalibration):
        raise _broken(name, "made no Recalibration", f"a {type(made).__name__}")
    if not isinstance(made.card, Mapping) or not isinstance(made.card.get("recalibration"), Mapping):
        raise _broken(name, "made no recalibrated model card", "it has no entry `recalibration`")
    if not all(isinstance(head, HeadReport) for head in attempt(name, lambda: list(made.heads))):
        raise _broken(name, "made no report of its heads", "each is to be a HeadReport")
    return made


def analyzer_of(
    calibrators: list[Calibrator], device: str, failed: Told
) -> tuple[Analyzer, list[Calibrator]]:
    """What reads the films, and the calibrators whose stages it has; ``failed`` is told of the others.

    Raises:
        SuiteError: no stage can be built.
    """
    from suite.analysis import Analyzer

    names = [each.stage for each in calibrators]
    try:
        return Analyzer(_with_gate(names), device), calibrators
    except SuiteError:
        if len(names) == 1:
            raise
    # which of them it was is found by building each alone
    works = each_that_works(names, lambda name: (name, Analyzer([name], device))[0], failed)
    return Analyzer(_with_gate(works), device), [each for each in calibrators if each.stage in works]


def _with_gate(stages: Sequence[str]) -> list[str]:
    return [*([GATE] if GATE in installed(STAGES) else []), *stages]


def _check_calibrator(name: str, made: Any) -> None:
    if getattr(made, "stage", None) != name:
        raise _broken(name, "is another stage's", f"its `stage` is {getattr(made, 'stage', None)!r}")
    if not isinstance(getattr(made, "card", None), ModelCard):
        raise _broken(name, "has no model card", "its `card` is no ModelCard")


def _broken(stage: str, what: str, why: str) -> StageError:
    reason = " ".join(why.split())[:300]
    return StageError(
        f"stage {stage} was not calibrated: its calibrator {what} ({reason}); mend or uninstall the package "
        "it comes from, or name the others with --stage."
    )
