"""What a stage is, and the artifacts by which stages meet.

Stages never import each other. One that needs lungs says ``needs = {"lung_mask"}``, and whichever installed
stage makes that artifact runs before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from suite.errors import StageError
from suite.grid import Grid

SOURCES: frozenset[str] = frozenset({"frontal", "lateral"})
"""Artifacts that come from the study itself; no stage makes them."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One named thing a study has or a stage made of it.

    Attributes:
        value: what ``suite.stages.artifacts`` documents for the name; arrays lie on ``grid``.
        grid: how the array relates to its film's pixels; ``None`` for what is no picture.
        history: what was done to get there, one phrase a step.
        warnings: what a reader should know, one sentence each.
    """

    value: Any
    grid: Grid | None = None
    history: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


Inputs = Mapping[str, Artifact]
Outputs = Mapping[str, Artifact]


@runtime_checkable
class Stage(Protocol):
    """One step of the reading.

    A stage is built by ``Stage(device)`` and then run on batches of studies. ``run`` gets, for each study, at
    least the artifacts in ``needs``, those of ``uses`` that exist, and returns exactly those in ``makes``.

    A class with ``on_request = True`` runs only where it is asked for by name. The class of the gate names
    its checks in ``checks``, a tuple; an override of any other is then told before anything is loaded.
    """

    name: str
    needs: frozenset[str]
    uses: frozenset[str]
    makes: frozenset[str]
    weights_sha256: str | None
    device: str

    def run(self, studies: Sequence[Inputs]) -> list[Outputs]: ...


@runtime_checkable
class Explained(Protocol):
    """A stage whose heatmaps can be made in more than one way."""

    def explain_by(self, method: str) -> None:
        """Make them by ``method`` from now on.

        Raises:
            InputError: the method is not known, or cannot be used here.
        """


@runtime_checkable
class Downstream(Protocol):
    """A stage whose calibration holds only for inputs made with the weights it was fitted with."""

    def made_with(self, weights: Mapping[str, str | None]) -> bool:
        """Told, once it is built, the sha256 of the weights of each stage that makes an input, by its name.

        Returns:
            whether any calibration of it holds for them; what does not hold gives no probability, and its
            artifacts warn of it.
        """


@dataclass(frozen=True, slots=True)
class StageRun:
    """Provenance of one stage's work on one study.

    Attributes:
        fallback: why it did not run on the device it was built for.
        calibration: sha256 and source of the site's calibration it read by, where it was not its own.
    """

    name: str
    weights_sha256: str | None
    device: str
    seconds: float
    preprocessing: tuple[str, ...] = field(default_factory=tuple)
    fallback: str | None = None
    calibration: Mapping[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        """The entry of ``report.provenance.stages``."""
        return {
            "name": self.name,
            "weights_sha256": self.weights_sha256,
            "device": self.device,
            "seconds": round(self.seconds, 4),
            **({"fallback": self.fallback} if self.fallback else {}),
            **({"calibration": dict(self.calibration)} if self.calibration else {}),
        }


def check_outputs(stage: Stage, studies: Sequence[Inputs], outputs: Sequence[Outputs]) -> None:
    """Fail if a stage did not return what it promised.

    Raises:
        StageError: another number of results than studies, other artifacts than ``makes``, or what is none.
    """
    if not isinstance(outputs, Sequence):
        raise StageError(
            f"stage {stage.name} returned no list of results but a {type(outputs).__name__}; mend the stage."
        )
    if len(outputs) != len(studies):
        raise StageError(
            f"stage {stage.name} returned {len(outputs)} results for {len(studies)} studies; mend the stage."
        )
    for result in outputs:
        if not isinstance(result, Mapping):
            raise StageError(
                f"stage {stage.name} returned a {type(result).__name__} where artifacts by name are due; "
                "mend the stage."
            )
        if set(result) != set(stage.makes):
            raise StageError(
                f"stage {stage.name} made {sorted(result)} but promised {sorted(stage.makes)}; "
                "mend the stage."
            )
        for name, made in result.items():
            if not isinstance(made, Artifact):
                raise StageError(
                    f"stage {stage.name} made {name} as a bare {type(made).__name__} and not as an "
                    "Artifact; mend the stage."
                )
