"""What all DICOMweb views share: who may, where instances are, how answers are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from flask import Blueprint, Flask, Response, current_app, json, request

from suite.accounts.principal import Scope
from suite.dicom.network.archive import Archive
from suite.dicom.network.index import InstanceIndex
from suite.dicom.network.notes import Note, audit_trail
from suite.dicom.network.privacy import keep_values_out_of_logs
from suite.dicom.network.reception import Reception
from web.api.operations import CONTENT_POLICY
from web.api.problems import ProblemError, answer, of_exception
from web.identity import check_origin, identify
from web.kept_text import check_address
from web.services import services

ROOT = "/api/dicomweb"
DICOM_JSON = "application/dicom+json"

blueprint = Blueprint("dicomweb", __name__, url_prefix=ROOT)


@dataclass(frozen=True, slots=True)
class DicomWeb:
    """The parts of the kernel that DICOMweb needs."""

    archive: Archive
    reception: Reception
    note: Note


def open_service(app: Flask) -> None:
    """Open the parts for an application."""
    keep_values_out_of_logs()
    parts = app.extensions["radsuite"]
    archive = Archive(parts.settings.data)
    note = audit_trail(parts.database)
    index = InstanceIndex(parts.database, archive, parts.settings.data)
    reception = Reception(archive, index, parts.settings.max_instance_bytes, note)
    app.extensions["radsuite.dicomweb"] = DicomWeb(archive, reception, note)


def dicomweb() -> DicomWeb:
    """The parts of the current application."""
    found: DicomWeb = current_app.extensions["radsuite.dicomweb"]
    return found


def actor() -> str:
    """Who asks, for the audit trail."""
    return f"{identify().name}@{request.remote_addr or 'unknown'}"


@blueprint.before_request
def _admit() -> None:
    """The rule of the whole interface: a token, the secret or a session, and the scope for what is done."""
    principal = identify()
    storing = request.method not in ("GET", "HEAD", "OPTIONS")
    scope = Scope.STUDIES_WRITE if storing else Scope.STUDIES_READ
    if not principal.may(scope):
        sentence = f"This needs the scope {scope}; ask an administrator for a token with it."
        raise ProblemError(403, "scope-missing", sentence)
    check_address()
    if storing:
        check_origin(principal)
        request.max_content_length = services().settings.max_upload_bytes


@blueprint.after_request
def _protect(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = CONTENT_POLICY
    return response


@blueprint.errorhandler(Exception)
def _problem(error: Exception) -> Response:
    return answer(of_exception(error))


def address_of(study: str, series: str | None = None, instance: str | None = None) -> str:
    """The address of an object on this service, as its caller reaches it."""
    parts = [_own_address() + ROOT, "studies", study]
    if series is not None:
        parts += ["series", series]
    if instance is not None:
        parts += ["instances", instance]
    return "/".join(parts)


def _own_address() -> str:
    """Scheme, host and port as the caller reaches them.

    Some clients leave the port out of ``Host``; it is known where no proxy stands in between, and a proxy
    says so by ``X-Forwarded-Proto``.
    """
    own, port = request.host_url.rstrip("/"), request.environ.get("SERVER_PORT", "80")
    is_direct = "X-Forwarded-Proto" not in request.headers
    has_port = ":" in request.host.rpartition("]")[2]
    return f"{own}:{port}" if is_direct and not has_port and port not in ("80", "443") else own


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Data sets in the DICOM JSON model."""
    return Response(json.dumps(content), status, headers, content_type=DICOM_JSON)


def multipart_answer(parts: Iterator[bytes] | Sequence[bytes], media_type: str, inner: str) -> Response:
    """Parts one after the other, as ``multipart/related``.

    Args:
        parts: the content of each.
        media_type: of all of them, for the answer's own header.
        inner: the whole Content-Type of each part.
    """
    boundary = token_hex(16)

    def body() -> Iterator[bytes]:
        for part in parts:
            yield f"--{boundary}\r\nContent-Type: {inner}\r\n\r\n".encode()
            yield part
            yield b"\r\n"
        yield f"--{boundary}--\r\n".encode()

    kind = f'multipart/related; type="{media_type}"; boundary={boundary}'
    return Response(body(), content_type=kind)
