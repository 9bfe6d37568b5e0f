"""What a reading can be told of stages that were done already, or that somebody else does meanwhile."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from suite.stages.contract import Outputs, Stage, StageRun
from suite.version import __version__


@dataclass(frozen=True, slots=True)
class Done:
    """A stage's outputs for one study, and the provenance of the run that made them."""

    outputs: Outputs
    run: StageRun


class StageMemory(Protocol):
    """Knows results of stages for one study; asked before and told after each stage."""

    def choose(self, ready: Sequence[str]) -> str:
        """Which of the stages that could run now is next; ``ready`` is in running order and not empty."""

    def recall(self, stage: str) -> Done | None:
        """The result of a stage, if it is there; ``None``: it has to be run."""

    def keep(self, stage: str, done: Done) -> None:
        """Told of every stage that was run here."""


class Forgetful:
    """Knows nothing and keeps nothing: every stage runs here, in order."""

    def choose(self, ready: Sequence[str]) -> str:
        return ready[0]

    def recall(self, stage: str) -> Done | None:
        return None

    def keep(self, stage: str, done: Done) -> None:
        pass


def stage_keys(stages: Sequence[Stage], variants: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """For each stage a sha256 that changes when its result may: its weights, those of what it builds on, the
    suite's version, and its variant.

    Args:
        stages: in running order.
        variants: for stages that do not read as shipped, what tells them apart, such as a calibration.
    """
    keys: dict[str, str] = {}
    makers: dict[str, str] = {}
    for stage in stages:
        builds_on = sorted({makers[name] for name in stage.needs | stage.uses if name in makers})
        content: list[object] = [
            __version__,
            stage.name,
            stage.weights_sha256,
            [keys[maker] for maker in builds_on],
        ]
        if variants and variants.get(stage.name):
            content.append(variants[stage.name])
        keys[stage.name] = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        makers.update(dict.fromkeys(stage.makes, stage.name))
    return keys
