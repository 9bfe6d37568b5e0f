"""The exchange as a process of its own: what it took survives its death, and it ends when it is asked to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from suite.jobs.database import Database
from suite.jobs.models import Job, Study
from suite.settings import Settings, load_settings, to_environment
from tests.dicom_network_house import dcmtk, film, wait_until
from tests.dicom_zoo import save
from tests.ports import free_port


@contextmanager
def running(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "suite.dicom.network.exchange"]
    process = subprocess.Popen(command, env={**os.environ, **to_environment(settings)})
    try:
        port = settings.listen_port
        wait_until(lambda: dcmtk("echoscu", "-aec", "RADSUITE", "127.0.0.1", port).returncode == 0, 120)
        yield process
    finally:
        process.kill()
        process.wait(30)


def test_what_a_killed_exchange_had_taken_is_handed_in_once_by_the_next(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path / "data", listen_port=free_port(), quiet_seconds=600.0)
    path = save(film(), tmp_path / "film.dcm")
    with running(settings) as process:
        answer = dcmtk("storescu", "-aec", "RADSUITE", "127.0.0.1", settings.listen_port, path)
        assert answer.returncode == 0, answer.stderr
        process.kill()
    database = Database(settings)
    try:

        def counts() -> tuple[int, int]:
            with database.read() as session:
                return session.query(Study).count(), session.query(Job).count()

        assert counts() == (0, 0)
        with running(settings.model_copy(update={"quiet_seconds": 0.0})) as process:
            wait_until(lambda: counts() == (1, 1), 60)
            dcmtk("storescu", "-aec", "RADSUITE", "127.0.0.1", settings.listen_port, path)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        assert counts() == (1, 1)
    finally:
        database.close()
