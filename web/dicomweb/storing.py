"""STOW-RS (PS3.18 10.5): each instance of a request has its own fate."""

from __future__ import annotations

import logging
from io import BytesIO
from typing import Any

from flask import Response, request

from suite.dicom.attributes import MALFORMED, parser_silenced, text
from suite.dicom.network.acceptance import Announced, is_uid
from suite.dicom.network.statuses import RefusedInstanceError, Status, comment, status_of
from suite.errors import SuiteError
from web.api.problems import ProblemError
from web.dicomweb.multipart import parts_of
from web.dicomweb.service import actor, address_of, blueprint, dicomweb, json_answer

_log = logging.getLogger(__name__)

_CLASS, _INSTANCE, _URL, _REASON = "00081150", "00081155", "00081190", "00081197"
_FAILED, _STORED, _OTHER, _COMMENT = "00081198", "00081199", "0008119A", "00000902"

Item = dict[str, Any]


@blueprint.post("/studies")
@blueprint.post("/studies/<study>")
def store(study: str | None = None) -> Response:
    """Store instances: 200 for all, 202 for some, 409 for none.

    ``503`` when the disk is full and nothing could be stored.
    """
    stored: list[Item] = []
    failed: list[Item] = []
    unnamed: list[Item] = []
    studies: set[str] = set()
    for content in parts_of(request.stream, request.headers.get("Content-Type", "")):
        _store_one(content, study, (stored, failed, unnamed), studies)
    if not stored and not failed and not unnamed:
        raise ProblemError(400, "malformed-multipart", "The request holds no instance; send one or more.")
    answer: Item = {}
    if len(studies) == 1:
        answer[_URL] = {"vr": "UR", "Value": [address_of(studies.pop())]}
    for tag, items in ((_STORED, stored), (_FAILED, failed), (_OTHER, unnamed)):
        if items:
            answer[tag] = {"vr": "SQ", "Value": items}
    if not stored:
        return json_answer(answer, 503 if _is_full(failed) else 409)
    return json_answer(answer, 202 if failed or unnamed else 200)


def _store_one(
    content: bytes, study: str | None, lists: tuple[list[Item], list[Item], list[Item]], studies: set[str]
) -> None:
    stored, failed, unnamed = lists
    class_uid, instance_uid = _names(content)
    try:
        taken = dicomweb().reception.take(content, actor(), Announced(class_uid, instance_uid, study))
    except SuiteError as error:
        reason, words = status_of(error), comment(error)
    except MemoryError:
        reason, words = Status.OUT_OF_RESOURCES, "there is no memory for it now"
    except Exception:  # noqa: BLE001 -- the other instances of the request are owed an answer
        _log.exception("an instance that was stored over HTTP could not be handled")
        reason, words = Status.PROCESSING_FAILURE, "it could not be handled"
    else:
        found = taken.received
        studies.add(found.study_uid)
        url = address_of(found.study_uid, found.series_uid, found.instance_uid)
        stored.append({**_reference(found.class_uid, found.instance_uid), _URL: {"vr": "UR", "Value": [url]}})
        return
    item = {_REASON: {"vr": "US", "Value": [int(reason)]}, _COMMENT: {"vr": "LO", "Value": [words]}}
    if class_uid and instance_uid:
        failed.append(_reference(class_uid, instance_uid) | item)
    else:
        unnamed.append(item)


def _names(content: bytes) -> tuple[str | None, str | None]:
    """SOP class and instance UID of what may be no DICOM file at all."""
    from pydicom import dcmread

    try:
        with parser_silenced():
            tags: Any = ["SOPClassUID", "SOPInstanceUID"]
            found = dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=tags)
            names = [text(found, tag) for tag in tags]
    except (*MALFORMED, RuntimeError, MemoryError, RecursionError, OSError, RefusedInstanceError):
        return None, None
    return (names[0], names[1]) if all(name and is_uid(name) for name in names) else (None, None)


def _reference(class_uid: str, instance_uid: str) -> Item:
    return {_CLASS: {"vr": "UI", "Value": [class_uid]}, _INSTANCE: {"vr": "UI", "Value": [instance_uid]}}


def _is_full(failed: list[Item]) -> bool:
    return bool(failed) and all(item[_REASON]["Value"] == [int(Status.OUT_OF_RESOURCES)] for item in failed)
