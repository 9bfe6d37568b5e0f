"""Where a worker's models live: in the process that loaded them, which forks no other to use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from celery import Celery

from suite.jobs import worker
from suite.settings import load_settings
from tests.jobs_fakes import FakeAnalyzer, load_study


class Recorded:
    """Celery's consumer, which notes what it is built with and ends at once."""

    exitcode = 0
    built: ClassVar[dict[str, Any]] = {}

    def __init__(self, **options: Any) -> None:
        type(self).built = options

    def start(self) -> None:
        pass


def test_jobs_run_in_the_process_that_loaded_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CUDA context does not survive a fork: Celery's own default would fork one process a core."""
    monkeypatch.setattr(Celery, "Worker", Recorded)
    monkeypatch.setattr(worker.logs, "configure", lambda _settings: None)
    loaded: list[FakeAnalyzer] = []

    def analyzer() -> FakeAnalyzer:
        loaded.append(FakeAnalyzer())
        return loaded[-1]

    settings = load_settings(data=tmp_path / "data")
    assert worker.run(settings, analyzer=analyzer, load=load_study) == 0
    assert len(loaded) == 1
    assert Recorded.built["pool"] == "solo"
