"""WADO-RS (PS3.18 10.4): instances, metadata, frames, binary values, and pictures for a screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flask import Response, request
from werkzeug.http import parse_options_header

from suite.dicom.display import MAX_SIDE, Display, rendered
from suite.dicom.network.retrieval import FRAME_TYPES, bulk_value, frames, in_syntax, metadata, syntax_of
from suite.dicom.rules import Window
from suite.errors import UnsupportedPixelsError
from suite.jobs.models import Instance
from web.api.problems import ProblemError
from web.dicomweb.service import (
    actor,
    address_of,
    blueprint,
    dicomweb,
    json_answer,
    multipart_answer,
)
from web.services import services

_DICOM, _BYTES = "application/dicom", "application/octet-stream"
_PICTURES = ("image/jpeg", "image/png")
_STUDY = "/studies/<study>"
_SERIES = f"{_STUDY}/series/<series>"
_INSTANCE = f"{_SERIES}/instances/<instance>"
_MAX_FRAMES = 1000


@blueprint.get(_STUDY)
@blueprint.get(_SERIES)
@blueprint.get(_INSTANCE)
def retrieve(study: str, series: str | None = None, instance: str | None = None) -> Response:
    """Whole instances, as stored unless another transfer syntax is asked for."""
    paths = _paths(study, series, instance)
    wanted, single = _wanted_syntax()
    dicomweb().note("instances.retrieved", actor(), study, {"instances": len(paths)})
    syntax = wanted if wanted not in (None, "*") else syntax_of(paths[0])
    try:
        if single and len(paths) == 1:
            kind = f"{_DICOM}; transfer-syntax={syntax}"
            return Response(in_syntax(paths[0], wanted), content_type=kind)
        first = in_syntax(paths[0], wanted)  # what cannot be done is said before anything is sent
    except UnsupportedPixelsError as error:
        raise ProblemError(406, "not-acceptable", str(error)) from error

    def parts() -> Iterator[bytes]:
        yield first
        for path in paths[1:]:
            yield in_syntax(path, wanted)

    return multipart_answer(parts(), _DICOM, _DICOM)


@blueprint.get(f"{_STUDY}/metadata")
@blueprint.get(f"{_SERIES}/metadata")
@blueprint.get(f"{_INSTANCE}/metadata")
def retrieve_metadata(study: str, series: str | None = None, instance: str | None = None) -> Response:
    """Data sets without their pixels."""
    rows = _rows(study, series, instance)
    content = []
    for row in rows:
        base = address_of(row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid)
        content.append(metadata(_path(row), lambda tag, base=base: f"{base}/bulkdata/{tag}"))  # type: ignore[misc]
    return json_answer(content)


@blueprint.get(f"{_INSTANCE}/frames/<numbers>")
def retrieve_frames(study: str, series: str, instance: str, numbers: str) -> Response:
    """Frames: uncompressed as octets, or as stored when that media type, or anything, is taken."""
    (path,) = _paths(study, series, instance)
    wanted = numbers.split(",")
    if not all(part.isdecimal() and len(part) < 7 for part in wanted) or len(wanted) > _MAX_FRAMES:
        raise ProblemError(400, "invalid-request", "Frames are numbers from 1 on, with commas between them.")
    stored = FRAME_TYPES.get(syntax_of(path), _BYTES)
    taken = _accepted_types()
    decoded = not (stored in taken or ("*/*" in taken and _BYTES not in taken))
    if decoded and not taken & {_BYTES, "*/*", "multipart/related"}:
        raise ProblemError(406, "not-acceptable", f"Its frames are given as {stored} or {_BYTES}.")
    content, kind = frames(path, [int(part) for part in wanted], decoded=decoded)
    return multipart_answer(content, kind, kind)


@blueprint.get(f"{_INSTANCE}/bulkdata/<tag>")
def retrieve_bulk_value(study: str, series: str, instance: str, tag: str) -> Response:
    """A binary value of the metadata."""
    (path,) = _paths(study, series, instance)
    if len(tag) != 8 or not all(sign in "0123456789ABCDEFabcdef" for sign in tag):
        raise ProblemError(404, "not-found", "A tag has eight hexadecimal digits; look at the metadata.")
    return multipart_answer([bulk_value(path, tag)], _BYTES, _BYTES)


@blueprint.get(f"{_INSTANCE}/rendered")
@blueprint.get(f"{_INSTANCE}/thumbnail")
@blueprint.get(f"{_INSTANCE}/frames/1/rendered")
def retrieve_rendered(study: str, series: str, instance: str) -> Response:
    """A picture: ``window=CENTER,WIDTH,FUNCTION``, ``viewport=COLUMNS,ROWS``, ``quality=1..100``."""
    (path,) = _paths(study, series, instance)
    display = _display(thumbnail=request.path.endswith("/thumbnail"))
    return Response(rendered(path, display), content_type=display.media_type)


def _rows(study: str, series: str | None, instance: str | None) -> list[Instance]:
    """The rows of a study, a series or an instance. 404 when there is none."""
    with services().database.read() as session:
        wanted = session.query(Instance).filter(Instance.study_instance_uid == study)
        if series is not None:
            wanted = wanted.filter(Instance.series_instance_uid == series)
        if instance is not None:
            wanted = wanted.filter(Instance.sop_instance_uid == instance)
        rows = wanted.order_by(Instance.series_instance_uid, Instance.sop_instance_uid).all()
    kept = [row for row in rows if _path(row).is_file()]
    if not kept:
        raise ProblemError(404, "not-found", "There is no such object here; search for what there is.")
    return kept


def _paths(study: str, series: str | None, instance: str | None) -> list[Path]:
    return [_path(row) for row in _rows(study, series, instance)]


def _path(row: Instance) -> Path:
    return services().settings.data / row.file


def _wanted_syntax() -> tuple[str | None, bool]:
    """The transfer syntax asked for, and whether one object may come without a multipart envelope."""
    accept = request.headers.get("Accept", "*/*")
    for choice in accept.split(","):
        kind, options = parse_options_header(choice)
        if kind in ("multipart/related", _DICOM, "*/*", "multipart/*", "application/*"):
            if options.get("type", _DICOM) != _DICOM:
                continue
            return options.get("transfer-syntax"), kind == _DICOM
    raise ProblemError(406, "not-acceptable", f'Instances are given as multipart/related; type="{_DICOM}".')


def _accepted_types() -> set[str]:
    found = set()
    for choice in request.headers.get("Accept", "*/*").split(","):
        kind, options = parse_options_header(choice)
        found.add(options.get("type", kind))
    return found


def _display(*, thumbnail: bool) -> Display:
    taken = request.accept_mimetypes.best_match(_PICTURES, default="")
    if not taken and "Accept" not in request.headers:
        taken = _PICTURES[0]
    if not taken:
        raise ProblemError(406, "not-acceptable", f"Pictures are given as {' or '.join(_PICTURES)}.")
    try:
        viewport = [float(part) for part in request.args.get("viewport", "").split(",") if part]
        quality = int(request.args.get("quality", 90))
        if len(viewport) not in (0, 2, 6) or not 1 <= quality <= 100:
            raise ValueError
        if viewport and not all(1 <= side <= MAX_SIDE for side in viewport[:2]):
            raise ValueError
        size = (int(viewport[0]), int(viewport[1])) if viewport else ((256, 256) if thumbnail else None)
        region = [int(part) for part in viewport[2:]]
        if any(part < 0 for part in region):
            raise ValueError
        return Display(
            window=_window(request.args.get("window")),
            viewport=size,
            region=(region[0], region[1], region[2], region[3]) if region else None,
            quality=quality,
            media_type=taken,
        )
    except (ValueError, OverflowError) as error:
        sentence = "Write viewport=COLUMNS,ROWS, window=CENTER,WIDTH,linear and quality from 1 to 100."
        raise ProblemError(400, "invalid-request", sentence) from error


def _window(given: str | None) -> Window | None:
    if not given:
        return None
    center, width, *function = given.split(",")
    names = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
    name = names.get(function[0].lower() if function else "linear")
    if name is None or len(function) > 1:
        raise ValueError(given)
    found = Window(float(center), float(width), name)
    if not (abs(found.center) < 1e9 and 1.0 <= found.width < 1e9):
        raise ValueError(given)
    return found
