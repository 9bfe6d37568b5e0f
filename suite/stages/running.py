"""One stage on the artifacts that are there: when its turn comes, and how it fails."""

from __future__ import annotations

import time
from collections.abc import Sequence

from suite.devices import is_out_of_gpu_memory
from suite.errors import StageError, SuiteError
from suite.stages.contract import Inputs, Stage, StageRun, check_outputs
from suite.stages.graph import GATE
from suite.stages.memory import Done


class StageOutOfMemoryError(Exception):
    """A stage did not fit into the GPU's memory."""


def is_held_up(stage: Stage, waiting: Sequence[Stage]) -> bool:
    """Whether a stage that has not run yet makes something this one builds on."""
    others = [other for other in waiting if other is not stage]
    if stage.name != GATE and any(other.name == GATE for other in others):
        return True
    return any((stage.needs | stage.uses) & other.makes for other in others)


def run_checked(stage: Stage, available: Inputs, study_id: str) -> Done:
    """Run a stage on what it needs and uses of ``available``.

    Raises:
        StageOutOfMemoryError: the GPU's memory is full.
        StageError: the stage failed in another way, or its outputs are not what it declares.
    """
    wanted = {name: artifact for name, artifact in available.items() if name in stage.needs | stage.uses}
    start = time.perf_counter()
    try:
        outputs = stage.run([wanted])
    except SuiteError:
        raise
    except Exception as error:  # a stage is a plug-in and may fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        if stage.device != "cpu" and is_out_of_gpu_memory(error):
            raise StageOutOfMemoryError(reason) from error
        # no option by name: a command, a setting and a call in Python each have their own
        remedy = (
            "leave it out of the stages to run" if stage.device == "cpu" else "run it again on device cpu"
        )
        raise StageError(
            f"stage {stage.name} failed on study {study_id} ({reason[:300]}); {remedy}."
        ) from error
    seconds = time.perf_counter() - start
    check_outputs(stage, [wanted], outputs)
    return Done(outputs[0], StageRun(stage.name, stage.weights_sha256, stage.device, seconds))
