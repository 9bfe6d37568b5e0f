"""A complete service in one process: pages, tables, store, and a worker thread around the fake networks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Queue
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from suite.jobs.execution import JobRunner
from suite.jobs.identity import WorkerIdentity
from suite.jobs.submission import Submission, Upload, file_name
from suite.settings import Settings, load_settings
from tests.jobs_fakes import FakeAnalyzer, collect, load_study
from web import create_app
from web.services import Services, open_services


@dataclass
class House:
    """One service on a temporary folder. Jobs wait in ``sent`` until :meth:`work` is called."""

    settings: Settings
    services: Services
    app: Flask
    sent: Queue[str | None]
    analyzer: FakeAnalyzer = field(default_factory=FakeAnalyzer)

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def take(self, name: str, frontal: bytes, lateral_name: str, lateral: bytes) -> None:
        """Hand in one pair of pictures, as the upload does."""
        with self.services.store.staging() as staging:
            uploads = [Upload(staging / name, name), Upload(staging / lateral_name, lateral_name)]
            for upload, content in zip(uploads, (frontal, lateral), strict=True):
                upload.path.write_bytes(content)
            self.services.submission.submit(staging, uploads[:1], {0: uploads[1]})

    def work(self) -> None:
        """Run everything that was handed over so far."""
        runner = self._runner()
        while not self.sent.empty():
            runner.run(self.sent.get() or "")

    def wait(self) -> None:
        """Until every study's latest job has ended, whoever runs it."""
        while any(
            study.latest and not study.latest.state.is_final for study in self.services.catalogue.studies()
        ):
            threading.Event().wait(0.01)

    def _runner(self) -> JobRunner:
        parts = self.services
        return JobRunner(
            parts.database,
            parts.queue,
            parts.store,
            self.settings,
            WorkerIdentity.of_this_process(),
            analyzer=lambda: self.analyzer,
            load=load_study,
        )

    @contextmanager
    def open_for_browsers(self) -> Iterator[str]:
        """Serve on a free port, with a worker thread; gives the address."""
        server = make_server("127.0.0.1", 0, self.app, threaded=True)
        # looking for its end twice a second, as it does by itself, would keep every test waiting
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        threads = [serving, threading.Thread(target=self._work_on)]
        for thread in threads:
            thread.start()
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            self.sent.put(None)
            server.shutdown()
            for thread in threads:
                thread.join()
            server.server_close()

    def _work_on(self) -> None:
        runner = self._runner()
        while (job_id := self.sent.get()) is not None:
            runner.run(job_id)


@contextmanager
def open_house(data: Path, **values: Any) -> Iterator[House]:
    """Build a service on ``data`` with settings ``values``."""
    settings = load_settings(data=data, **values)
    sent: Queue[str | None] = Queue()
    opened = open_services(settings, publish=sent.put)
    submission = Submission(
        opened.database, opened.store, sent.put, collect=collect, clock=time.time, name=file_name
    )
    services = replace(opened, submission=submission)
    try:
        yield House(settings, services, create_app(settings, services=services), sent)
    finally:
        services.database.close()
