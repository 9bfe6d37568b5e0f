"""``radsuite listen``, ``radsuite send`` and ``radsuite nodes``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.commands.console import error_line, output
from suite.commands.serving import settings_from
from suite.dicom.network.privacy import keep_values_out_of_logs
from suite.errors import InputError
from suite.settings import Settings

if TYPE_CHECKING:
    from suite.dicom.network.nodes import Destination, Nodes

DEFAULT_PORT = 11112
"""Registered for DICOM, and open to users without special rights."""


def listen(*, folder_only: bool, **options: Any) -> int:
    """Listen and watch until stopped; returns the exit status."""
    settings = settings_from(**options)
    if settings.listen_port is None and not folder_only:
        settings = settings_from(**{**options, "listen_port": DEFAULT_PORT})
    from suite.dicom.network.exchange import run

    return run(settings)


def send(
    inputs: Sequence[str],
    *,
    node: str | None,
    destination: Destination | None,
    data: Path | None,
    attempts: int,
    again: bool,
) -> int:
    """Send files, or the results of studies; returns the exit status.

    Raises:
        InputError: an input is neither a file nor a study, or the node is unknown.
        DeliveryError: a node did not take them after so many attempts.
    """
    keep_values_out_of_logs()
    settings = settings_from(data=data)
    files = [path for given in inputs for path in _files(Path(given))]
    studies = [given for given in inputs if not Path(given).exists()]
    if not files or studies or node is not None:
        with _House(settings) as house:
            target = destination or house.nodes.named(node or "").destination
            if node is not None and studies:
                house.enqueue(studies, node, again=again)
            files += [path for study in studies if node is None for path in house.objects(study)]
            sent = _send_files(settings, target, files, attempts)
            return max(sent, house.deliver() if node is not None and studies else 0)
    if destination is None:
        raise InputError("Say where to: --to NODE, --aet with --host and --port, or --stow URL.")
    return _send_files(settings, destination, files, attempts)


def send_pending(*, data: Path | None, retry_failed: bool) -> int:
    """Deliver what waits in the outbox now; 1 when something still waits afterwards."""
    keep_values_out_of_logs()
    with _House(settings_from(data=data)) as house:
        if retry_failed:
            house.outbox.retry_failed()
        house.outbox.hurry()
        return house.deliver()


def list_nodes(*, data: Path | None) -> None:
    """Name, address and rules of each node."""
    with _House(settings_from(data=data)) as house:
        nodes = house.nodes.all()
        if not nodes:
            output("There are no nodes yet; `radsuite nodes add` adds one.")
        for node in nodes:
            state = "" if node.enabled else "  (held back)"
            rules = node.rules.model_dump(mode="json", exclude_defaults=True) or {"when": node.rules.when}
            output(f"{node.destination.name}  {node.destination}  {rules}{state}")
        for state, count in house.counts().items():
            output(f"outbox: {count} {state}")


def add_node(destination: Destination, rules: Mapping[str, Any], *, data: Path | None) -> None:
    """Add a node."""
    with _House(settings_from(data=data)) as house:
        house.nodes.add(destination, rules)
        output(f"{destination.name}: {destination} is added; 'radsuite nodes check' tries it.")


def change_node(name: str, change: str, *, data: Path | None) -> None:
    """``remove``, ``hold`` or ``resume`` a node."""
    with _House(settings_from(data=data)) as house:
        if change == "remove":
            house.nodes.remove(name)
        else:
            house.nodes.enable(name, enabled=change == "resume")


def check_node(name: str, *, data: Path | None) -> None:
    """Whether a node answers.

    Raises:
        DeliveryError: it does not.
    """
    from suite.dicom.network.outbox import sender_of

    keep_values_out_of_logs()
    settings = settings_from(data=data)
    with _House(settings) as house:
        destination = house.nodes.named(name).destination
    sender_of(settings).check(destination)
    output(f"{name}: {destination} answers.")


class _House:
    """The parts of the service that sending needs, opened for one command."""

    def __init__(self, settings: Settings) -> None:
        from suite.dicom.network.nodes import Nodes
        from suite.dicom.network.notes import audit_trail
        from suite.dicom.network.outbox import Outbox
        from suite.dicom.network.result_objects import result_objects
        from suite.jobs.database import Database
        from suite.jobs.store import open_store

        self.database = Database(settings)
        self.nodes: Nodes = Nodes(self.database)
        self.results = result_objects(settings, self.database, open_store(settings))
        self.outbox = Outbox(self.database, self.results, settings, audit_trail(self.database))

    def __enter__(self) -> _House:
        return self

    def __exit__(self, *_error: object) -> None:
        self.database.close()

    def objects(self, study: str) -> list[Path]:
        """The objects of a study's latest reading."""
        from suite.dicom.network.routing import latest_reading

        files = self.results.of_job(latest_reading(self.database, study))
        if not files:
            raise InputError(f"{study}: came as a picture, so there are no DICOM objects of it to send.")
        return files

    def enqueue(self, studies: Sequence[str], node: str, *, again: bool) -> None:
        """Put studies into the outbox for a node."""
        from suite.dicom.network.routing import enqueue, latest_reading

        number = self.nodes.named(node).id
        for study in studies:
            enqueue(self.database, latest_reading(self.database, study), number, time.time(), again=again)

    def deliver(self) -> int:
        """Deliver what is due and say what remains; 1 when something does."""
        sent = self.outbox.deliver_due()
        counts = self.counts()
        output(f"{sent} readings sent.")
        waiting = counts.get("queued", 0) + counts.get("sending", 0)
        if waiting:
            error_line(f"{waiting} readings wait; 'radsuite serve' tries again by itself.")
        if counts.get("failed"):
            error_line(f"{counts['failed']} were given up; '--pending --retry-failed' tries them again.")
        return 1 if waiting or counts.get("failed") else 0

    def counts(self) -> dict[str, int]:
        """How many entries of the outbox are in which state."""
        from sqlalchemy import func, select

        from suite.jobs.models import Outgoing

        wanted = select(Outgoing.state, func.count()).group_by(Outgoing.state).order_by(Outgoing.state)
        with self.database.read() as session:
            return {str(row[0]): int(row[1]) for row in session.execute(wanted)}


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(item for item in path.rglob("*.dcm") if item.is_file())
    return [path] if path.is_file() else []


def _send_files(settings: Settings, destination: Destination, files: Sequence[Path], attempts: int) -> int:
    """Send files now; those a node confirmed are not sent again."""
    from suite.dicom.attributes import text
    from suite.dicom.network.outbox import pause_seconds, sender_of
    from suite.dicom.network.sending import DeliveryError
    from suite.dicom.reading import read_dataset

    uids = {path: text(read_dataset(path, str(path), pixels=False), "SOPInstanceUID") for path in files}
    confirmed: set[str] = set()
    for attempt in range(1, attempts + 1):
        left = [path for path in files if uids[path] not in confirmed]
        try:
            sender_of(settings).send(destination, left, confirmed.add)
            break
        except DeliveryError as error:
            if attempt == attempts:
                raise
            error_line(f"{error} (attempt {attempt} of {attempts})")
            time.sleep(pause_seconds(attempt, settings))
    if files:
        output(f"{len(files)} objects sent to {destination}.")
    return 0
