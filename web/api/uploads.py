"""Large files in pieces: announced, sent, gone on with after an interruption, then handed in.

The offset travels as in tus 1.0 (``Upload-Offset``, ``Upload-Length``), so that a client of that protocol
needs little change.
"""

from __future__ import annotations

from typing import IO, Literal

from flask import request
from pydantic import Field
from werkzeug.exceptions import ClientDisconnected

from suite.accounts.principal import Scope
from suite.records.uploads import UploadView
from web.api.intake import Handed, Outcome, hand_in, placed, replied
from web.api.names import LABEL, UploadId
from web.api.operations import ROOT, Reply
from web.api.problems import ProblemError
from web.api.resources import Resource
from web.api.shapes import Moment, Shape, Wanted
from web.identity import identify
from web.services import services

resource = Resource("uploads", reads=Scope.STUDIES_WRITE, writes=Scope.STUDIES_WRITE)

MAX_PIECE = 64_000_000
MEDIA = "application/offset+octet-stream"
_MAX_SIZE = 2**53 - 1
_OFFSET = {"Upload-Offset": "Bytes that are here", "Upload-Length": "Bytes of the whole file"}


class UploadShape(Shape):
    """How far one upload is."""

    id: str
    filename: str
    size: int
    received: int = Field(description="Bytes that are here; the next piece begins there")
    sha256: str | None
    state: Literal["open", "complete", "taken", "abandoned"]
    created_at: Moment
    expires_at: Moment = Field(description="It is removed when nobody goes on with it until then")


class UploadList(Shape):
    """One's own unfinished uploads."""

    items: list[UploadShape]


class UploadRequest(Wanted):
    """A file that will come in pieces."""

    filename: str = Field(min_length=1, max_length=200, pattern=LABEL)
    size: int = Field(ge=1, le=_MAX_SIZE, description="Bytes")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="Checked when all bytes are here")


class ImportItem(Wanted):
    """A complete upload, and the lateral named for it."""

    upload: UploadId
    lateral: UploadId | None = None


class ImportRequest(Wanted):
    """Complete uploads that are handed in together; DICOM views among them find each other."""

    items: list[ImportItem] = Field(min_length=1, max_length=100)


@resource.post(
    "/uploads",
    201,
    "Send pieces to `Location`",
    UploadShape,
    at="The upload",
    headers=_OFFSET,
    body=UploadRequest,
    audit="upload.begun",
)
def begin_upload(body: UploadRequest) -> Reply:
    """Announce a file that comes in pieces. More than the service takes answers 413 at once."""
    limit = services().settings.max_upload_bytes
    upload = services().uploads.create(identify(), body.filename, body.size, body.sha256, max_bytes=limit)
    return _reply(upload, 201, {"Location": f"{ROOT}/uploads/{upload.id}"})


@resource.get("/uploads", "The uploads", UploadList)
def list_uploads() -> UploadList:
    """One's own uploads that were not handed in yet, the oldest first."""
    uploads = services().uploads.all(identify())
    return UploadList(items=[UploadShape.model_validate(upload) for upload in uploads])


@resource.get("/uploads/<upload_id>", "The upload", UploadShape, headers=_OFFSET)
def get_upload(upload_id: str) -> Reply:
    """How far an upload is; `HEAD` gives the headers alone."""
    return _reply(services().uploads.get(identify(), upload_id), 200)


@resource.patch(
    "/uploads/<upload_id>",
    "The upload as it is now",
    UploadShape,
    headers=_OFFSET,
    media={MEDIA: {"description": "Bytes"}},
    max_body=MAX_PIECE,
    request_headers={
        "Upload-Offset": {
            "type": "integer",
            "minimum": 0,
            "maximum": _MAX_SIZE,
            "required": True,
            "description": "Where the piece begins: `received` of the upload",
        }
    },
    problems=(409,),
    audit="upload.continued",
)
def continue_upload(upload_id: str) -> Reply:
    """Send the next piece, of at most 64 MB.

    What arrived before an interruption counts: ask for the offset and go on from there. A piece that begins
    elsewhere, and a whole file of another sha256, answer 409; after the latter the file begins anew at 0.
    """
    if request.mimetype != MEDIA:
        raise ProblemError(415, "unsupported-media-type", f"Send the piece as `Content-Type: {MEDIA}`.")
    text = request.headers.get("Upload-Offset", "")
    if not text.isascii() or not text.isdigit() or len(text) > 16:
        raise ProblemError(400, "malformed-offset", "Say where the piece begins in the header Upload-Offset.")
    stream: IO[bytes] = _Piece(request.stream)  # type: ignore[assignment]
    upload = services().uploads.append(identify(), upload_id, int(text), stream)
    return _reply(upload, 200)


@resource.delete("/uploads/<upload_id>", 204, "It is gone", audit="upload.abandoned")
def abandon_upload(upload_id: str) -> Reply:
    """Give an upload up."""
    services().uploads.remove(identify(), upload_id)
    return Reply(status=204)


@resource.post(
    "/imports",
    200,
    "The fate of each file; at least one was taken",
    Outcome,
    body=ImportRequest,
    audit="studies.handed_in",
    problems=(404,),
)
def import_uploads(body: ImportRequest) -> Reply:
    """Hand in complete uploads: films and zip archives of films.

    The uploads are gone afterwards, whatever became of them. An incomplete one answers 409, and nothing is
    handed in.
    """
    who, uploads = identify(), services().uploads
    ids = [name for item in body.items for name in (item.upload, item.lateral) if name is not None]
    if len(set(ids)) != len(ids):
        raise ProblemError(422, "invalid-request", "An upload is named twice; name each once.")
    with services().store.staging() as staging:
        films = {}
        for index, name in enumerate(ids):
            films[name] = placed(uploads.get(who, name).filename, staging / str(index))
            uploads.take(who, name, films[name].path)
        pairs = [(films[item.upload], films[item.lateral] if item.lateral else None) for item in body.items]
        fates = hand_in(staging, [Handed(film, lateral) for film, lateral in pairs])
        for name in ids:
            uploads.finish(name)
        return replied(fates)


class _Piece:
    """The request's bytes; a sender who goes away in the middle ends the piece, not the upload."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except ClientDisconnected as error:
            raise ConnectionError(str(error)) from error


def _reply(upload: UploadView, status: int, headers: dict[str, str] | None = None) -> Reply:
    offset = {"Upload-Offset": str(upload.received), "Upload-Length": str(upload.size)}
    detail = {"received": upload.received, "size": upload.size}
    return Reply(
        UploadShape.model_validate(upload),
        status,
        {**offset, **(headers or {}), "Cache-Control": "no-store"},
        subject=upload.id,
        detail=detail,
    )
