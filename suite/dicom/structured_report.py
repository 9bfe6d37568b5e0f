"""The reading as a TID 1500 structured report (Comprehensive SR)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from suite.dicom import codes
from suite.dicom.provenance import MANUFACTURER, MODEL, Maker

_Group = sr.MeasurementsAndQualitativeEvaluations | sr.PlanarROIMeasurementsAndQualitativeEvaluations

_SHOWN_STATES = frozenset({"suggested", "uncertain"})


def structured_report(report: Mapping[str, Any], maker: Maker) -> Dataset:
    """The suggested and uncertain findings with probability, state, regions and algorithm, and the triage.

    Args:
        report: ``report.json`` as a mapping.
        maker: source and provenance.
    """
    groups = [_gate(report, maker), *_triage(report, maker), *_findings(report, maker)]
    content = sr.MeasurementReport(
        observation_context=_context(maker),
        procedure_reported=codes.CHEST_RADIOGRAPHY,
        imaging_measurements=groups,
        # The image library describes a CR or DX image by its spacing at the detector, and cannot do without.
        referenced_images=[maker.source] if "ImagerPixelSpacing" in maker.source else None,
    )
    item = sr.ComprehensiveSR(
        evidence=[maker.source],
        content=content,
        sop_instance_uid=maker.uid("report"),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description="radsuite: suggested findings, to be verified",
        **maker.series("report"),
    )
    scheme = Dataset()
    scheme.CodingSchemeDesignator = codes.SCHEME
    scheme.CodingSchemeName = "Terms of radsuite"
    item.add_new("CodingSchemeIdentificationSequence", "SQ", Sequence([scheme]))
    return item


def _context(maker: Maker) -> sr.ObservationContext:
    attributes = sr.DeviceObserverIdentifyingAttributes(
        uid=maker.uid("device"),
        name=f"radsuite {maker.version}",
        manufacturer_name=MANUFACTURER,
        model_name=MODEL,
    )
    device = sr.ObserverContext(sr.CodedConcept("121007", "DCM", "Device"), attributes)
    return sr.ObservationContext(observer_device_context=device)


def _algorithm(stage: str, maker: Maker) -> sr.AlgorithmIdentification:
    weights = maker.weights.get(stage)
    parameters = [f"weights sha256 {weights}"] if weights else None
    return sr.AlgorithmIdentification(f"radsuite {stage}", maker.version, parameters=parameters)


def _gate(report: Mapping[str, Any], maker: Maker) -> _Group:
    """Whether the film was found fit to be read; always there, so that a report is never empty."""
    gate = report.get("gate")
    state = "not_judged" if not gate else "accepted" if gate["accepted"] else "refused"
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(maker.uid("gate"), "Gate"),
        finding_type=codes.GATE,
        algorithm_id=_algorithm("gate", maker),
        qualitative_evaluations=[sr.QualitativeEvaluation(codes.STATE, codes.state_code(state))],
    )


def _triage(report: Mapping[str, Any], maker: Maker) -> Iterator[_Group]:
    triage = report.get("triage")
    if not triage:
        return
    yield sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(maker.uid("triage"), "Triage"),
        finding_type=codes.TRIAGE,
        algorithm_id=_algorithm("triage", maker),
        finding_sites=[sr.FindingSite(codes.CHEST)],
        measurements=_probability(triage),
        qualitative_evaluations=[sr.QualitativeEvaluation(codes.STATE, codes.state_code(triage["state"]))],
    )


def _findings(report: Mapping[str, Any], maker: Maker) -> Iterator[_Group]:
    for finding in report.get("findings") or ():
        if finding["state"] not in _SHOWN_STATES:
            continue
        yield sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(maker.uid(finding["code"]), finding["name"]),
            finding_type=codes.finding_code(finding["code"]),
            algorithm_id=_algorithm("diagnosis", maker),
            finding_sites=[sr.FindingSite(codes.CHEST)],
            measurements=_probability(finding),
            qualitative_evaluations=[
                sr.QualitativeEvaluation(codes.STATE, codes.state_code(finding["state"]))
            ],
        )
        frontal = [region for region in finding["regions"] if region["view"] == "frontal"]
        for number, region in enumerate(frontal, start=1):
            yield _region(finding, region, number, maker)


def _probability(result: Mapping[str, Any]) -> list[sr.Measurement] | None:
    value = result.get("probability")
    if value is None:
        return None
    return [sr.Measurement(codes.PROBABILITY, round(float(value), 4), codes.NO_UNITS)]


def _region(finding: Mapping[str, Any], region: Mapping[str, Any], number: int, maker: Maker) -> _Group:
    """A box, as the closed outline that the standard has for it."""
    x0, y0, x1, y1 = (float(edge) for edge in region["box"])
    outline = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])
    source_image = sr.SourceImageForRegion.from_source_image(maker.source)
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            maker.uid(finding["code"], str(number)), f"{finding['name']}, region {number}"
        ),
        referenced_region=sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, outline, source_image),
        finding_type=codes.finding_code(finding["code"]),
        algorithm_id=_algorithm("diagnosis", maker),
        qualitative_evaluations=[sr.QualitativeEvaluation(codes.ZONE, codes.zone_code(region["zone"]))],
    )
