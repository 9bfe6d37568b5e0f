"""Pixels for the viewer: raw numbers, because browsers reduce 16-bit PNG files to 8 bits.

``/studies/<id>/pixels/<layer>.u16`` gives little-endian unsigned 16-bit values row by row, ``.u8`` bytes;
both gzipped, with ``X-Rows`` and ``X-Columns``. Grey layers share one scale: 0 is the film's black, 65535 its
white. ``?halvings=N`` sends the film reduced to a half N times, for a first look at a large one.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
from flask import Blueprint, Response, abort, request

from suite.findings import CODES
from web.readings import Reading, find_study, latest_reading

blueprint = Blueprint("pixels", __name__)

FILM_LAYERS = {"film": "frontal", "film_lateral": "lateral"}
DERIVED_LAYERS = ("bone_suppressed", "bone_subtracted", "residual")
DIFFERENCE_LAYERS = ("bone_subtracted", "residual")
MOST_HALVINGS = 5
THUMBNAIL_PIXELS = 144
_FULL_SCALE = 65535.0
_GZIP_LEVEL = 1
_PROBE_BYTES = 1 << 16
_WORTHWHILE = 0.75
"""A film's noise hardly compresses (measured: 93 % after 0.8 s for 2048 x 2048); masks and heatmaps do."""

AnyImage = npt.NDArray[np.generic]


@blueprint.get("/studies/<study_id>/pixels/<layer>.<any(u16, u8):depth>")
def layer(study_id: str, layer: str, depth: str) -> Response:
    """One layer's pixels, or a small copy of it. 404 when the study or the layer does not exist."""
    reading = _reading(study_id)
    report = reading.report()
    path = reading.file(_relative_path(report, layer, depth))
    halvings = min(max(request.args.get("halvings", 0, type=int), 0), MOST_HALVINGS)
    etag = _etag(reading.name, layer, depth, str(halvings))
    if request.if_none_match.contains(etag):
        return _cached(Response(status=304), etag)
    pixels = _halved(_decode(path), halvings)
    if layer in DERIVED_LAYERS:
        pixels = _on_film_scale(pixels, layer, report)
    body = _as_depth(pixels, depth).tobytes()
    response = Response(body, content_type="application/octet-stream")
    if "gzip" in request.headers.get("Accept-Encoding", "") and _is_worth_compressing(body):
        response = Response(gzip.compress(body, _GZIP_LEVEL), content_type="application/octet-stream")
        response.headers["Content-Encoding"] = "gzip"
    response.headers["X-Rows"], response.headers["X-Columns"] = (str(side) for side in pixels.shape)
    response.headers["Vary"] = "Accept-Encoding"
    return _cached(response, etag)


@blueprint.get("/studies/<study_id>/thumbnail.png")
def thumbnail(study_id: str) -> Response:
    """A small picture of a film for lists: of ``view``, or of the first there is. 404 before a reading."""
    reading = _reading(study_id)
    images, view = stored_images(reading.report()), request.args.get("view")
    names = [name for name, own in FILM_LAYERS.items() if name in images and view in (None, own)]
    name = names[0] if names else None
    if name is None:
        abort(404)
    etag = _etag(reading.name, name, "thumbnail")
    if request.if_none_match.contains(etag):
        return _cached(Response(status=304), etag)
    picture = _scaled_png(reading.file(images[name]), THUMBNAIL_PIXELS)
    return _cached(Response(picture, content_type="image/png"), etag)


def small_film(reading: Reading, report: Mapping[str, Any], pixels: int) -> bytes | None:
    """The film as an 8-bit PNG whose longer side has so many pixels; ``None`` when none is stored."""
    images = stored_images(report)
    name = next((name for name in FILM_LAYERS if name in images), None)
    path = reading.file(images[name]) if name is not None else None
    return _scaled_png(path, pixels) if path is not None and path.is_file() else None


def stored_images(report: Mapping[str, Any]) -> dict[str, str]:
    """The reading's pictures by name. A film that was refused is stored too, under its usual name."""
    views = report["study"]["views"]
    films = {name: f"{name}.png" for name, view in FILM_LAYERS.items() if view in views}
    return films | (report.get("images") or {})


def mask_layers(report: Mapping[str, Any]) -> list[str]:
    """Names of the pictures that are masks on the frontal film."""
    grey = {*FILM_LAYERS, *DERIVED_LAYERS}
    return [name for name in stored_images(report) if name not in grey and not name.startswith("heatmap_")]


def heatmap_layers(report: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Per finding code and view, the path of its heatmap: ``{"edema": {"frontal": "..."}}``."""
    return {
        finding["code"]: {view: path for view, path in finding["heatmap"].items() if path}
        for finding in report.get("findings") or ()
        if finding.get("heatmap")
    }


def _reading(study_id: str) -> Reading:
    reading = latest_reading(find_study(study_id))
    if reading is None:
        abort(404)
    return reading


def _relative_path(report: Mapping[str, Any], layer: str, depth: str) -> str:
    images = stored_images(report)
    path: str | None = None
    stored = (*FILM_LAYERS, *DERIVED_LAYERS) if depth == "u16" else mask_layers(report)
    if layer in stored:
        path = images.get(layer)
    elif depth == "u8" and layer.startswith("heatmap-"):
        code, _, view = layer.removeprefix("heatmap-").rpartition("-")
        path = heatmap_layers(report).get(code, {}).get(view) if code in CODES else None
    if not path:
        abort(404)
    return path


def _scaled_png(path: Path, longest: int) -> bytes:
    film = _decode(path)
    rows, columns = film.shape
    scale = longest / max(rows, columns)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    small = cv2.resize(film.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".png", np.clip(small / 257.0, 0, 255).astype(np.uint8))[1].tobytes()


def _decode(path: Path) -> AnyImage:
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        abort(404)
    pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 2:
        abort(500)
    decoded: AnyImage = pixels
    return decoded


def _halved(pixels: AnyImage, times: int) -> AnyImage:
    """Means of squares; an odd rest at the lower and right edge is left out, as the viewer does itself."""
    side = 1 << times
    rows, columns = (length // side for length in pixels.shape)
    if times == 0 or not rows or not columns:
        return pixels
    whole = cast("npt.NDArray[np.integer[Any]]", pixels[: rows * side, : columns * side])
    small: AnyImage = cv2.resize(np.ascontiguousarray(whole), (columns, rows), interpolation=cv2.INTER_AREA)
    return small


def _as_depth(pixels: AnyImage, depth: str) -> AnyImage:
    if depth == "u8":
        return pixels.astype(np.uint8, copy=False)
    wide = pixels.astype("<u2", copy=False)
    return wide * np.uint16(257) if pixels.dtype == np.uint8 else wide


def _on_film_scale(pixels: AnyImage, name: str, report: Mapping[str, Any]) -> AnyImage:
    """Derived images are stored in the source's own greys; the film is sent on the full scale, and so are
    they.

    Differences (``bone_subtracted``, ``residual``) carry no offset: nothing is 0 whatever the film's black
    is.
    """
    scale = (report["provenance"].get("grey_scale") or {}).get("frontal") or {}
    black, white = float(scale.get("black", 0.0)), float(scale.get("white", _FULL_SCALE))
    if (black, white) == (0.0, _FULL_SCALE):
        return pixels
    if name in DIFFERENCE_LAYERS:
        values = pixels.astype(np.float32) * (_FULL_SCALE / abs(white - black))
    else:
        values = (pixels.astype(np.float32) - black) * (_FULL_SCALE / (white - black))
    return np.clip(np.rint(values), 0, _FULL_SCALE).astype(np.uint16)


def _is_worth_compressing(body: bytes) -> bool:
    """Whether a piece from the middle shrinks enough to pay for compressing it all."""
    start = max(0, (len(body) - _PROBE_BYTES) // 2)
    probe = body[start : start + _PROBE_BYTES]
    return len(gzip.compress(probe, _GZIP_LEVEL)) < _WORTHWHILE * len(probe)


def _etag(reading: str, *parts: str) -> str:
    return hashlib.sha256("/".join((reading, *parts)).encode()).hexdigest()[:32]


def _cached(response: Response, etag: str) -> Response:
    response.set_etag(etag)
    response.headers["Cache-Control"] = "private, no-cache"
    return response
