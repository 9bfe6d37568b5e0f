"""The reading as a TID 1500 structured report (Comprehensive SR)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from suite.dicom import codes
from suite.dicom.mask_objects import SEGMENTS
from suite.dicom.observers import mark_reviewed, observers
from suite.dicom.provenance import Maker
from suite.dicom.reviews import Review, latest_by_finding
from suite.report.withheld import reasons

_Group = sr.MeasurementsAndQualitativeEvaluations | sr.PlanarROIMeasurementsAndQualitativeEvaluations

INTENDED_USE = (
    "Computed by research software, not for diagnostic use. Nothing here was verified by a person unless a "
    "reader is named with it."
)
"""Said in every report, since viewers show the content of a report and seldom its series or its flags."""

_SHOWN_STATES = frozenset({"suggested", "uncertain"})


def structured_report(
    report: Mapping[str, Any],
    maker: Maker,
    *,
    reviews: tuple[Review, ...] = (),
    masks: Mapping[str, Dataset] | None = None,
    evidence: Sequence[Dataset] = (),
) -> Dataset:
    """Triage, and findings suggested, uncertain or reviewed: probability, state, regions, algorithm.

    A finding with a score and no probability has a group of its own only where a reader reviewed it; that it
    has none, and why, is always told as text.

    Args:
        report: ``report.json`` as a mapping.
        maker: source and provenance.
        reviews: readers' verdicts; each reader becomes an observer of the report and of the finding.
        masks: the segmentations of this reading by the picture's name; each segment becomes a group.
        evidence: other objects of this reading, named as evidence.
    """
    verdicts = latest_by_finding(reviews)
    groups: list[_Group] = [_gate(report, maker), *_triage(report, maker)]
    groups += [*_findings(report, maker, verdicts), *_withheld(report, maker)]
    for name, mask in (masks or {}).items():
        groups += _segments(report, SEGMENTS[name][0], mask, maker)
    content = sr.MeasurementReport(
        observation_context=observers(maker, reviews),
        procedure_reported=codes.CHEST_RADIOGRAPHY,
        imaging_measurements=groups,
        # The image library describes a CR or DX image by its spacing at the detector, and cannot do without.
        referenced_images=[maker.source] if "ImagerPixelSpacing" in maker.source else None,
    )
    item = sr.ComprehensiveSR(
        evidence=[maker.source, *(masks or {}).values(), *evidence],
        content=content,
        sop_instance_uid=maker.uid("report", *(repr(review) for review in reviews)),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,  # a reader's verdicts are no signature
        **maker.series("report"),
    )
    scheme = Dataset()
    scheme.CodingSchemeDesignator = codes.SCHEME
    scheme.CodingSchemeName = "Terms of radsuite"
    item.add_new("CodingSchemeIdentificationSequence", "SQ", Items([scheme]))
    return item


def _algorithm(stage: str, maker: Maker) -> sr.AlgorithmIdentification:
    weights = maker.weights.get(stage)
    parameters = [f"weights sha256 {weights}"] if weights else None
    return sr.AlgorithmIdentification(
        f"radsuite {stage}", maker.version, parameters=parameters, family=codes.ARTIFICIAL_INTELLIGENCE
    )


def _gate(report: Mapping[str, Any], maker: Maker) -> _Group:
    """Whether the film was found fit to be read; always there, so that a report is never empty."""
    gate = report.get("gate")
    state = "not_judged" if not gate else "accepted" if gate["accepted"] else "refused"
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(maker.uid("gate"), "Gate"),
        algorithm_id=_algorithm("gate", maker),
        qualitative_evaluations=[sr.QualitativeEvaluation(codes.IMAGE_QUALITY, codes.quality_code(state))],
    )
    _comment(group, INTENDED_USE)
    return group


def _comment(group: _Group, line: str) -> None:
    item = sr.TextContentItem(codes.COMMENT, line, sr.RelationshipTypeValues.CONTAINS)
    group[0].ContentSequence.append(item)


def _triage(report: Mapping[str, Any], maker: Maker) -> Iterator[_Group]:
    triage = report.get("triage")
    if not triage:
        return
    yield sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(maker.uid("triage"), "Triage"),
        algorithm_id=_algorithm("triage", maker),
        finding_sites=[sr.FindingSite(codes.CHEST)],
        measurements=_numbers(triage),
        qualitative_evaluations=[
            sr.QualitativeEvaluation(codes.NORMALITY, codes.normality_code(triage["state"]))
        ],
    )


def _findings(report: Mapping[str, Any], maker: Maker, verdicts: Mapping[str, Review]) -> Iterator[_Group]:
    for finding in report.get("findings") or ():
        verdict = verdicts.get(finding["code"])
        is_told = finding["state"] in _SHOWN_STATES and finding.get("probability") is not None
        if not is_told and verdict is None:
            continue
        evaluations = [sr.QualitativeEvaluation(codes.STATE, codes.state_code(finding["state"]))]
        if verdict is not None:
            evaluations.append(sr.QualitativeEvaluation(codes.VERDICT, codes.verdict_code(verdict.verdict)))
        frontal = [region for region in finding["regions"] if region["view"] == "frontal"]
        group = sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(maker.uid(finding["code"]), finding["name"]),
            finding_type=codes.finding_code(finding["code"]),
            algorithm_id=_algorithm("diagnosis", maker),
            finding_sites=_sites(finding["code"], [region["zone"] for region in frontal]),
            measurements=_numbers(finding),
            qualitative_evaluations=evaluations,
        )
        if verdict is not None:
            mark_reviewed(group, verdict)
        yield group
        for number, region in enumerate(frontal, start=1):
            yield _region(finding, region, number, maker)


def _withheld(report: Mapping[str, Any], maker: Maker) -> Iterator[_Group]:
    """The findings with a score and no probability, by reason, as comments: having no group says nothing."""
    lines = reasons(report.get("findings") or ())
    if not lines:
        return
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(maker.uid("withheld"), "Findings without a probability"),
        algorithm_id=_algorithm("diagnosis", maker),
    )
    for line in lines:
        _comment(group, line)
    yield group


def _sites(code: str, zones: Sequence[str]) -> list[sr.FindingSite]:
    """The organ, once for each side that a region lies on; without a side where there is no region."""
    found: dict[tuple[str, str], sr.FindingSite] = {}
    for zone in zones or [""]:
        side = next((word for word in zone.split() if word in codes.SIDES), "")
        site, laterality = codes.site_code(code, side)
        key = (site.value, "" if laterality is None else laterality.value)
        found.setdefault(key, sr.FindingSite(site, laterality=laterality))
    return list(found.values())


def _numbers(result: Mapping[str, Any]) -> list[sr.Measurement] | None:
    """The calibrated probability with its interval, and the operating point that it was held against."""
    value = result.get("probability")
    if value is None:
        return None
    properties = None
    if result.get("interval") is not None:
        low, high = result["interval"]
        properties = sr.MeasurementProperties(
            lower_measurement_uncertainty=round(max(0.0, value - low), 4),
            upper_measurement_uncertainty=round(max(0.0, high - value), 4),
        )
    measured = [
        sr.Measurement(codes.PROBABILITY, round(float(value), 4), codes.NO_UNITS, properties=properties)
    ]
    if result.get("operating_point") is not None:
        point = round(float(result["operating_point"]), 4)
        measured.append(sr.Measurement(codes.OPERATING_POINT, point, codes.NO_UNITS))
    return measured


def _region(finding: Mapping[str, Any], region: Mapping[str, Any], number: int, maker: Maker) -> _Group:
    """A box, as the closed outline that the standard has for it."""
    x0, y0, x1, y1 = (float(edge) for edge in region["box"])
    outline = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])
    source_image = sr.SourceImageForRegion.from_source_image(maker.source)
    site, laterality = codes.site_code(finding["code"], region["zone"])
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            maker.uid(finding["code"], str(number)), f"{finding['name']}, region {number}"
        ),
        referenced_region=sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, outline, source_image),
        finding_type=codes.finding_code(finding["code"]),
        algorithm_id=_algorithm("diagnosis", maker),
        finding_sites=[sr.FindingSite(site, laterality=laterality)],
        qualitative_evaluations=[sr.QualitativeEvaluation(codes.ZONE, codes.zone_code(region["zone"]))],
    )


def _segments(report: Mapping[str, Any], stage: str, mask: Dataset, maker: Maker) -> Iterator[_Group]:
    """Each segment of a mask, with its area at the detector where the film's spacing is known."""
    source_image = sr.SourceImageForSegmentation(maker.source.SOPClassUID, maker.source.SOPInstanceUID)
    for frame, segment in enumerate(mask.SegmentSequence, start=1):
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        sides = kind.get("SegmentedPropertyTypeModifierCodeSequence")
        site, laterality = codes.copied(kind), codes.copied(sides[0]) if sides else None
        group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(segment.TrackingUID, segment.SegmentLabel),
            referenced_segment=sr.ReferencedSegmentationFrame(
                mask.SOPClassUID, mask.SOPInstanceUID, frame, segment.SegmentNumber, source_image
            ),
            finding_type=site,
            algorithm_id=_algorithm(stage, maker),
            finding_sites=[sr.FindingSite(site, laterality=laterality)],
            measurements=_area(report, mask, frame),
        )
        _refer_by_frame_only(group)
        yield group


def _refer_by_frame_only(group: _Group) -> None:
    """A frame of a binary segmentation has one segment; PS3.3 table 10-3 forbids to name both."""
    for item in group[0].ContentSequence:
        for reference in item.get("ReferencedSOPSequence") or ():
            if "ReferencedFrameNumber" in reference:
                reference.pop("ReferencedSegmentNumber", None)


def _area(report: Mapping[str, Any], mask: Dataset, frame: int) -> list[sr.Measurement] | None:
    spacing = report["study"]["views"].get("frontal", {}).get("spacing_mm")
    if spacing is None:
        return None
    frames = mask.pixel_array
    pixels = int(np.count_nonzero(frames if frames.ndim == 2 else frames[frame - 1]))
    return [sr.Measurement(codes.AREA, round(pixels * spacing[0] * spacing[1], 1), codes.SQUARE_MILLIMETRE)]
