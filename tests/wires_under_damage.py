"""Damaged films over both wires, and what must be so afterwards. Shared by the test and the benchmark."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import requests
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from tests.mutated_films import Mutant

NO_ANSWER = "no answer"


def store_all(mutants: Sequence[Mutant], port: int, count: Counter[str]) -> set[str]:
    """C-STORE each, as its sound film was announced; UIDs of those that were taken."""
    entity = AE(ae_title="DAMAGED")
    entity.dimse_timeout = entity.network_timeout = 120
    for class_uid, syntax in sorted({(mutant.class_uid, mutant.syntax) for mutant in mutants}):
        entity.add_requested_context(class_uid, syntax)
    taken: set[str] = set()
    association = entity.associate("127.0.0.1", port, ae_title="RADSUITE")
    for mutant in mutants:
        if not association.is_established:
            association = entity.associate("127.0.0.1", port, ae_title="RADSUITE")
        status = _send(association, mutant)
        count[NO_ANSWER if status is None else f"0x{status:04X}"] += 1
        if status == 0x0000:
            taken.add(mutant.instance_uid)
    association.release()
    return taken


def _send(association: Association, mutant: Mutant) -> int | None:
    """One C-STORE of bytes that the library would refuse to build; its status."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = mutant.class_uid
    request.AffectedSOPInstanceUID = mutant.instance_uid
    request.DataSet = BytesIO(mutant.message or b"\0")  # a message without any data set is no C-STORE at all
    (context,) = (
        item
        for item in association.accepted_contexts
        if (item.abstract_syntax, item.transfer_syntax[0]) == (mutant.class_uid, mutant.syntax)
    )
    association._reactor_checkpoint.clear()
    while not association._is_paused and association.is_alive():
        time.sleep(0.0001)
    association.dimse.send_msg(request, context.context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    while association._is_paused and association.is_alive():  # or its thread takes the next answer away
        time.sleep(0.0001)
    status: int | None = getattr(answer, "Status", None)
    return status


def push_all(
    mutants: Sequence[Mutant], address: str, headers: dict[str, str], count: Counter[str]
) -> set[str]:
    """STOW-RS each in a request of its own; UIDs of those that were taken, as the answers name them."""
    taken = set()
    for mutant in mutants:
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + mutant.content + b"\r\n--b--\r\n"
        kind = 'multipart/related; type="application/dicom"; boundary=b'
        try:
            answer = requests.post(
                f"{address}/studies", data=body, headers={**headers, "Content-Type": kind}, timeout=60
            )
        except requests.RequestException:
            count[NO_ANSWER] += 1
            continue
        count[str(answer.status_code)] += 1
        if answer.status_code == 200:
            for item in answer.json()["00081199"]["Value"]:
                taken.add(item["00081155"]["Value"][0])
    return taken


def stored(data: Path) -> set[str]:
    """UIDs of everything that lies in the archive."""
    return {path.stem for path in (data / "instances" / "objects").rglob("*.dcm")}


def left_over(data: Path) -> list[str]:
    """Files that lie where an instance is only while it is looked at."""
    return [path.name for path in (data / "instances" / "incoming").glob("*")]


def ask_for_all(address: str, headers: dict[str, str], count: Counter[str]) -> None:
    """Search, and fetch each instance in every way; whatever it holds, the service answers."""
    found, offset = [], 0
    while page := requests.get(
        f"{address}/instances?limit=500&offset={offset}&includefield=all", headers=headers, timeout=120
    ).json():
        found += page
        offset += len(page)
    for item in found:
        url = item["00081190"]["Value"][0]
        for ending in ("", "/metadata", "/frames/1", "/rendered"):
            try:
                answer = requests.get(url + ending, headers=headers, timeout=60)
                count[f"{ending or 'instance'} {answer.status_code}"] += 1
            except requests.RequestException:
                count[f"{ending or 'instance'} {NO_ANSWER}"] += 1
