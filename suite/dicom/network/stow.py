"""STOW-RS (PS3.18 10.5) as the user of another system's service."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import requests

from suite.dicom.attributes import text
from suite.dicom.network.nodes import Destination
from suite.dicom.network.sending import DeliveryError, Sender, Sent
from suite.dicom.reading import read_dataset

_CHUNK = 1 << 20
_FAILED_SOP_SEQUENCE, _INSTANCE, _REASON = "00081198", "00081155", "00081197"
_UNAUTHORISED = (401, 403)


def push(sender: Sender, destination: Destination, files: Sequence[Path], on_sent: Sent) -> None:
    """Store files with one request.

    Raises:
        DeliveryError, InputError: as :meth:`Sender.send`.
    """
    uids = [text(read_dataset(path, path.name, pixels=False), "SOPInstanceUID") or "" for path in files]
    boundary = secrets.token_hex(16)
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Accept": "application/dicom+json",
    }
    url = f"{destination.url.rstrip('/')}/studies"
    answer = _request(sender, destination, "POST", url, headers, _body(files, boundary))
    failed = _failures(answer)
    if answer.status_code not in (200, 202, 409) or (answer.status_code != 200 and not failed):
        raise _refused(destination, answer)
    for uid in uids:
        if uid not in failed:
            on_sent(uid)
    if failed:
        uid, reason = next(iter(failed.items()))
        raise DeliveryError(
            f"{destination.name}: it refused {len(failed)} of {len(files)} objects ({uid}: {reason}); "
            "correct the node, then send again.",
            reached=True,
        )


def probe(sender: Sender, destination: Destination) -> None:
    """Whether the service answers a search.

    Raises:
        DeliveryError: it does not.
    """
    url = f"{destination.url.rstrip('/')}/studies?limit=1"
    answer = _request(sender, destination, "GET", url, {"Accept": "application/dicom+json"}, None)
    if answer.status_code not in (200, 204):
        raise _refused(destination, answer)


def _body(files: Sequence[Path], boundary: str) -> Iterator[bytes]:
    """The parts as they are sent, a piece of a file at a time."""
    for path in files:
        yield f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _request(
    sender: Sender, destination: Destination, method: str, url: str, headers: dict[str, str], body: Any
) -> requests.Response:
    certificate = (str(sender.certificate), str(sender.key)) if sender.certificate and sender.key else None
    try:
        return requests.request(
            method,
            url,
            data=body,
            headers=headers,
            timeout=sender.timeout_seconds,
            verify=str(sender.ca) if sender.ca else True,
            cert=certificate,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        raise DeliveryError(
            f"{destination.name}: {destination} does not answer ({type(error).__name__}); check its address "
            "and whether it runs.",
            reached=False,
        ) from error


def _failures(answer: requests.Response) -> dict[str, str]:
    """Reasons by SOP Instance UID of what was not stored."""
    try:
        items = answer.json()[_FAILED_SOP_SEQUENCE]["Value"]
        return {item[_INSTANCE]["Value"][0]: f"0x{int(item[_REASON]['Value'][0]):04X}" for item in items}
    except (ValueError, KeyError, TypeError, IndexError):
        return {}


def _refused(destination: Destination, answer: requests.Response) -> DeliveryError:
    cure = "check user and password in its URL" if answer.status_code in _UNAUTHORISED else "see its log"
    return DeliveryError(
        f"{destination.name}: {destination} answered {answer.status_code} {answer.reason}; {cure}.",
        reached=True,
    )
