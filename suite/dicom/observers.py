"""Who observed: the program as a device, and the readers who accepted or rejected its suggestions."""

from __future__ import annotations

from highdicom import sr
from pydicom.valuerep import DT

from suite.dicom import codes
from suite.dicom.provenance import MANUFACTURER, MODEL, Maker
from suite.dicom.reviews import Review


def observers(maker: Maker, reviews: tuple[Review, ...]) -> sr.ObservationContext:
    """The device, and every reader once, in the order of their first verdict."""
    attributes = sr.DeviceObserverIdentifyingAttributes(
        uid=maker.uid("device"),
        name=f"radsuite {maker.version}",
        manufacturer_name=MANUFACTURER,
        model_name=MODEL,
    )
    context = sr.ObservationContext(observer_device_context=sr.ObserverContext(codes.DEVICE, attributes))
    for name in dict.fromkeys(review.reviewer for review in sorted(reviews, key=lambda item: item.time)):
        context.extend(_person(name))
    return context


def mark_reviewed(group: sr.MeasurementsAndQualitativeEvaluations, review: Review) -> None:
    """Name the reader and the time of the verdict in a finding's group (TID 1002 inside TID 1501)."""
    container = group[0]
    container.ContentSequence.extend(_person(review.reviewer))
    container.ObservationDateTime = DT(review.moment.strftime("%Y%m%d%H%M%S+0000"))


def _person(name: str) -> sr.ObserverContext:
    if "^" not in name:  # one word is a family name
        name += "^"
    return sr.ObserverContext(codes.PERSON, sr.PersonObserverIdentifyingAttributes(name=name))
