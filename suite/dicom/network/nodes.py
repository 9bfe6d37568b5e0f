"""Where results are sent: nodes by name, and how each is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from suite.dicom.network.rules import Rules, parse_rules
from suite.dicom.network.settings import check_ae_title
from suite.errors import InputError
from suite.jobs.database import Database
from suite.jobs.models import Node

DIMSE, STOW = "dimse", "stow"


@dataclass(frozen=True, slots=True)
class Destination:
    """One system: by AE title, host and port, or by the address of its DICOMweb service.

    Attributes:
        name: what people call it.
        kind: ``dimse`` or ``stow``.
        url: of the service, such as ``https://pacs/dicom-web``; user and password may stand in it.
        tls: whether an association is encrypted; a URL says it itself.
    """

    name: str
    kind: str
    ae_title: str = ""
    host: str = ""
    port: int = 0
    url: str = ""
    tls: bool = False

    def __str__(self) -> str:
        """Without what may be secret."""
        if self.kind == DIMSE:
            return f"{self.ae_title}@{self.host}:{self.port}" + (" (TLS)" if self.tls else "")
        parts = urlsplit(self.url)
        place = parts.hostname or "" if parts.port is None else f"{parts.hostname}:{parts.port}"
        return urlunsplit((parts.scheme, place, parts.path, "", ""))


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A node as it stands in the database."""

    id: int
    destination: Destination
    rules: Rules
    enabled: bool


class Nodes:
    """Reads and changes the table of nodes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[KnownNode]:
        """All nodes by name."""
        with self._database.read() as session:
            return [_known(row) for row in session.scalars(select(Node).order_by(Node.name))]

    def named(self, name: str) -> KnownNode:
        """One node.

        Raises:
            InputError: there is none of that name.
        """
        with self._database.read() as session:
            row = session.scalars(select(Node).where(Node.name == name)).one_or_none()
            if row is not None:
                return _known(row)
            names = ", ".join(session.scalars(select(Node.name).order_by(Node.name))) or "none yet"
        raise InputError(f"{name}: there is no node of that name; the nodes are: {names}.")

    def add(self, destination: Destination, rules: Mapping[str, Any]) -> int:
        """Add a node; gives its number.

        Raises:
            InputError: the name is taken, or the address or the rules are not complete.
        """
        check_destination(destination)
        checked = parse_rules(rules)
        try:
            with self._database.write() as session:
                row = Node(
                    name=destination.name,
                    kind=destination.kind,
                    ae_title=destination.ae_title or None,
                    host=destination.host or None,
                    port=destination.port or None,
                    url=destination.url or None,
                    tls=destination.tls,
                    rules=checked.model_dump(mode="json"),
                    enabled=True,
                )
                session.add(row)
                session.flush()
                return row.id
        except IntegrityError as error:
            raise InputError(
                f"{destination.name}: a node of that name exists; remove it first, or choose another name."
            ) from error

    def enable(self, name: str, *, enabled: bool) -> None:
        """Send to a node again, or hold back what is meant for it.

        Raises:
            InputError: there is none of that name.
        """
        number = self.named(name).id
        with self._database.write() as session:
            session.get_one(Node, number).enabled = enabled

    def remove(self, name: str) -> None:
        """Remove a node and what was still to be sent to it.

        Raises:
            InputError: there is none of that name.
        """
        number = self.named(name).id
        with self._database.write() as session:
            session.delete(session.get_one(Node, number))


def parse_destination(
    name: str, ae_title: str | None, host: str | None, port: int | None, url: str | None, *, tls: bool = False
) -> Destination:
    """A destination from what was typed: an AE title with host and port, or a URL.

    Raises:
        InputError: neither or both, or something is missing; says what.
    """
    if (url is None) == (ae_title is None):
        raise InputError(f"{name}: give an AE title with host and port, or the URL of a DICOMweb service.")
    if url is not None:
        found = Destination(name, STOW, url=url)
    else:
        found = Destination(name, DIMSE, ae_title or "", host or "", port or 0, tls=tls)
    check_destination(found)
    return found


def check_destination(destination: Destination) -> None:
    """Whether there is enough to reach it.

    Raises:
        InputError: something is missing or malformed; says what.
    """
    if not destination.name.strip():
        raise InputError("The node has no name; give one.")
    if destination.kind == STOW:
        parts = urlsplit(destination.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"{destination.name}: a STOW node needs a URL such as https://pacs/dicom-web.")
        return
    try:
        check_ae_title(destination.ae_title)
    except ValueError as error:
        raise InputError(f"{destination.name}: {error}; give the title of the PACS.") from error
    if not destination.host or not 1 <= destination.port <= 65535:
        raise InputError(f"{destination.name}: a DICOM node needs a host and a port from 1 to 65535.")


def destination_of(row: Node) -> Destination:
    """How a node is reached."""
    return Destination(
        name=row.name,
        kind=row.kind,
        ae_title=row.ae_title or "",
        host=row.host or "",
        port=row.port or 0,
        url=row.url or "",
        tls=row.tls,
    )


def _known(row: Node) -> KnownNode:
    return KnownNode(row.id, destination_of(row), parse_rules(row.rules), row.enabled)
