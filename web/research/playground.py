"""The phantom playground: a computed patient with one finding, exposed as one likes, 256 pixels, at once.

What a reader can ask for is bounded: every value is clamped and rounded to a grid, pictures are kept, one is
computed at a time, and each reader has so many a minute.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from flask import Blueprint, Response, abort, current_app, render_template, request

from suite.accounts.principal import Scope
from suite.findings import FINDINGS
from suite.phantom.pathology.severity import SCALES, of_severity
from web.access import needs
from web.identity import identify
from web.services import services

blueprint = Blueprint("playground", __name__)

PIXELS = 256
PATIENTS = 24
KEPT_PICTURES = 256
PER_MINUTE = 60
WAITING = 3
"""So many threads of the server wait for a picture, a quarter of them at most; the others are for those who
read."""

WAIT_SECONDS = 25.0
"""The first picture after a start waits for the phantom's code to be compiled."""

LAYERS = {"frontal": "Film", "bone": "Bone alone", "soft": "Soft tissue alone"}
KVP = (50, 150, 10)
DOSE = (-7, 2)
"""Powers of two of the usual exposure."""

USUAL_UGY = 60.0
"""Air kerma at the detector in the open beam, about which the phantom's patients vary."""

DEVICES = "support_devices"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be seen; every field on its grid.

    Attributes:
        severity: 0 to 20, twentieths of the finding's scale.
        dose: power of two of the usual exposure.
    """

    patient: int
    finding: str
    severity: int
    side: int
    kvp: int
    dose: int
    layer: str
    outlined: bool

    @property
    def exposure_ugy(self) -> float:
        """Air kerma at the detector in the open beam."""
        return float(USUAL_UGY * 2.0**self.dose)


class Darkroom:
    """Computes pictures one at a time, keeps them, and counts who asks how often."""

    def __init__(self, threads: int) -> None:
        self._turn = threading.Lock()
        self._queue = threading.BoundedSemaphore(max(1, min(WAITING, threads // 4)))
        self._lock = threading.Lock()
        self._kept: OrderedDict[Wish, bytes] = OrderedDict()
        self._asked: dict[str, deque[float]] = {}

    def kept(self, wish: Wish) -> bytes | None:
        """A picture that was computed before."""
        with self._lock:
            if wish in self._kept:
                self._kept.move_to_end(wish)
            return self._kept.get(wish)

    def wait_seconds(self, who: str) -> float:
        """How long somebody must wait for their next picture; 0 counts this one."""
        now = time.monotonic()
        with self._lock:
            times = self._asked.setdefault(who, deque(maxlen=PER_MINUTE))
            if len(times) == PER_MINUTE and now - times[0] < 60.0:
                return 60.0 - (now - times[0])
            times.append(now)
            return 0.0

    def compute(self, wish: Wish) -> bytes | None:
        """The picture, or ``None`` when others kept the darkroom busy for too long."""
        if not self._queue.acquire(blocking=False):
            return None
        try:
            if not self._turn.acquire(timeout=WAIT_SECONDS):
                return None
            try:
                picture = self.kept(wish) or expose(wish)
            finally:
                self._turn.release()
        finally:
            self._queue.release()
        with self._lock:
            self._kept[wish] = picture
            while len(self._kept) > KEPT_PICTURES:
                self._kept.popitem(last=False)
        return picture


@blueprint.get("/research/phantom")
def index() -> str:
    """The sliders."""
    return render_template(
        "research/playground.html",
        findings=[finding for finding in FINDINGS if finding.code in SCALES or finding.code == DEVICES],
        scales=SCALES,
        layers=LAYERS,
        patients=PATIENTS,
        kvp=KVP,
        dose=DOSE,
        usual=USUAL_UGY,
        wish=wish(),
    )


@blueprint.get("/research/phantom.png")
@needs(Scope.STUDIES_READ)
def picture() -> Response:
    """One picture. 429 for those who ask too often, 503 when others keep it busy."""
    wanted, room = wish(), _darkroom()
    found = room.kept(wanted)
    if found is None:
        if wait := room.wait_seconds(identify().name):
            return _too_many(wait)
        found = room.compute(wanted)
    if found is None:
        abort(503, "Others are computing phantoms just now; try again in a moment.")
    response = Response(found, content_type="image/png")
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


def _too_many(seconds: float) -> Response:
    sentence = f"That were {PER_MINUTE} pictures in a minute; wait {round(seconds) or 1} s."
    response = Response(sentence, 429, content_type="text/plain")
    response.headers["Retry-After"] = str(round(seconds) or 1)
    return response


def wish() -> Wish:
    """What the query asks for, every value within its range and on its grid."""
    asked = request.args
    finding = asked.get("finding", "")
    layer = asked.get("layer", "")
    low, high, step = KVP
    kvp = _within(asked.get("kvp", 120, type=int), low, high)
    return Wish(
        patient=_within(asked.get("patient", 3, type=int), 1, PATIENTS),
        finding=finding if finding in SCALES or finding == DEVICES else "",
        severity=_within(asked.get("severity", 10, type=int), 0, 20),
        side=1 if asked.get("side") == "left" else -1,
        kvp=low + round((kvp - low) / step) * step,
        dose=_within(asked.get("dose", 0, type=int), *DOSE),
        layer=layer if layer in LAYERS else "frontal",
        outlined=asked.get("outline") == "yes",
    )


def expose(wanted: Wish) -> bytes:
    """The picture as PNG: (256, 256), grey; coloured where the true outline is drawn."""
    from suite.phantom import Patient, render_study

    patient = Patient.draw(np.random.default_rng(wanted.patient)).with_technique(
        kvp=float(wanted.kvp), exposure_ugy=wanted.exposure_ugy
    )
    findings: list[object] = []
    if wanted.finding in SCALES:
        findings = [of_severity(wanted.finding, wanted.severity / 20, wanted.side)]
    elif wanted.finding:
        findings = [wanted.finding]
    study = render_study(patient, PIXELS, findings or None, lateral=False, oversample=1)  # type: ignore[arg-type]
    layer = {"frontal": study.frontal, "bone": study.bone, "soft": study.soft}[wanted.layer]
    shown: npt.NDArray[Any] = np.clip(np.rint(layer * 255), 0, 255).astype(np.uint8)
    mask = study.masks.get(f"finding_{wanted.finding}")
    if wanted.outlined and mask is not None:
        outlines, _ = cv2.findContours((mask > 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        shown = cv2.cvtColor(shown, cv2.COLOR_GRAY2BGR)
        cv2.drawContours(shown, outlines, -1, (95, 180, 245), 1)
    return cv2.imencode(".png", shown)[1].tobytes()


def _within(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def _darkroom() -> Darkroom:
    threads = services().settings.web_threads
    found: Darkroom = current_app.extensions.setdefault("radsuite.darkroom", Darkroom(threads))
    return found
