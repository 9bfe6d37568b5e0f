"""A real worker process around the fake networks, for tests that kill it.

It stops inside the stage "bone" as long as the file ``hold`` lies in the data folder, after writing
``holding``.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from suite.jobs.worker import run
from suite.settings import Settings, load_settings
from tests.jobs_fakes import FakeAnalyzer, load_study


def hold_inside(settings: Settings, stage: str) -> None:
    """Wait while the test wants this worker to be in mid-task."""
    flag = settings.data / "hold"
    if stage != "bone" or not flag.exists():
        return
    Path(settings.data / "holding").touch()
    while flag.exists():
        threading.Event().wait(0.02)


if __name__ == "__main__":
    own = load_settings()
    sys.exit(run(own, analyzer=lambda: FakeAnalyzer(lambda stage: hold_inside(own, stage)), load=load_study))
