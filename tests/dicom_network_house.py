"""A service's DICOM side on a temporary folder, small films for it, and dcmtk's tools against it."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partialmethod
from io import BytesIO
from pathlib import Path
from queue import Queue
from socketserver import BaseServer
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.transport import AssociationServer

from suite.dicom.network.exchange import Exchange
from suite.jobs.models import AuditEvent, Instance, Study
from suite.settings import load_settings
from tests.dicom_zoo import make_dataset, scattered


@dataclass
class Wires:
    """The DICOM side, its listener started; jobs wait in ``sent``."""

    exchange: Exchange
    port: int
    sent: Queue[str]

    @property
    def data(self) -> Path:
        return self.exchange.settings.data

    def rows(self, model: type[Any]) -> list[Any]:
        with self.exchange.database.read() as session:
            return list(session.query(model))

    def studies(self) -> list[Study]:
        return self.rows(Study)

    def instances(self) -> list[Instance]:
        return self.rows(Instance)

    def actions(self) -> list[str]:
        return [event.action for event in self.rows(AuditEvent)]

    def stored_files(self) -> list[str]:
        """Names of all DICOM files below the data folder, each inode once."""
        found = {path.stat().st_ino: path.name for path in self.data.rglob("*") if path.suffix == ".dcm"}
        return sorted(found.values())


@contextmanager
def without_leftovers() -> Iterator[None]:
    """Collect at its end what was left to the garbage collector meanwhile, and so not in another test.

    Only what is new is looked at: with torch loaded, a look at everything takes an eighth of a second.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Servers of pynetdicom that start meanwhile look often whether they are to end, not twice a second."""
    quick = partialmethod(BaseServer.serve_forever, poll_interval=0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AssociationServer, "serve_forever", quick)
        yield


@contextmanager
def serving(entity: AE, port: int, handlers: Sequence[Any] = ()) -> Iterator[None]:
    """A system of somebody else's at that port of this computer."""
    with ending_at_once():
        server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=list(handlers))
    try:
        yield
    finally:
        server.shutdown()


@contextmanager
def open_wires(data: Path, **values: Any) -> Iterator[Wires]:
    """Start only the listener; completion, routing and outbox are called by the test."""
    from suite.dicom.network.listener import Listener

    settings = load_settings(data=data, **{"quiet_seconds": 0.0, **values})
    sent: Queue[str] = Queue()
    exchange = Exchange(settings, publish=sent.put)
    exchange.listener = Listener(settings, exchange.reception, exchange.commitment_provider())
    try:
        with ending_at_once():
            port = exchange.listener.start()
        yield Wires(exchange, port, sent)
    finally:
        exchange.stop()


def film(**attributes: Any) -> Dataset:
    """A small CR film whose patient is called ``Nobody^Known``, ``secret-7``."""
    return make_dataset(scattered(0, 4095), **{"InstanceNumber": 1, "SeriesNumber": 1, **attributes})


def film_pair() -> tuple[Dataset, Dataset]:
    """A frontal and a lateral film of one study."""
    study = generate_uid()
    return (
        film(StudyInstanceUID=study, ViewPosition="PA"),
        film(StudyInstanceUID=study, ViewPosition="LL"),
    )


def as_bytes(dataset: Dataset) -> bytes:
    """A data set as a DICOM file."""
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def needs(program: str, package: str) -> None:
    """Skip where a program of Debian is missing; never on the build machine."""
    if shutil.which(program) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is missing; the build installs {package}")
        pytest.skip(f"{program} is not installed; 'apt install {package}'")


def dcmtk(program: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    """Run one of dcmtk's tools; skips where it is not installed."""
    needs(program, "dcmtk")
    command = [program, *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def wait_until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first true value of ``condition``; fails when there is none in time."""
    import time

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"still not so after {seconds:.0f} s")


def store(wires: Wires, *datasets: Dataset, title: str = "MODALITY", **options: Any) -> list[Dataset]:
    """C-STORE over one association; the answers."""
    entity = AE(ae_title=title)
    for dataset in datasets:
        entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", wires.port, ae_title="RADSUITE", **options)
    assert association.is_established
    answers = [association.send_c_store(dataset) for dataset in datasets]
    association.release()
    return answers


def statuses(answers: list[Dataset]) -> list[int]:
    return [answer.Status for answer in answers]
