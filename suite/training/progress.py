"""How far a run is, for the worker that started it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

PROGRESS_VARIABLE = "RADSUITE_PROGRESS_FILE"
"""Names the file into which a training run that was submitted writes how far it is."""


class ProgressFile:
    """Written by the run itself: the step it is at, at most twice a second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = 0.0

    @classmethod
    def of_environment(cls) -> ProgressFile | None:
        """The file this run was told to write, if it was submitted as a job."""
        named = os.environ.get(PROGRESS_VARIABLE)
        return cls(Path(named)) if named else None

    def __call__(self, step: int, total: int, losses: Mapping[str, float]) -> None:
        if time.monotonic() - self._written < 0.5 and step < total:
            return
        self._written = time.monotonic()
        content = {
            "step": step,
            "total": total,
            "losses": {key: float(value) for key, value in losses.items()},
        }
        temporary = self._path.with_suffix(f".{threading.get_ident()}.tmp")
        temporary.write_text(json.dumps(content))
        temporary.replace(self._path)
