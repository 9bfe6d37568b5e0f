"""What the page of one study needs: the panel's rows, and for the viewer's script sizes and addresses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import url_for

from suite.accounts.principal import Role, Scope
from suite.jobs.catalogue import StudyView
from web import presentation
from web.finding_rows import finding_rows
from web.identity import identify
from web.measurement_rows import measurement_rows
from web.pixels import DERIVED_LAYERS, FILM_LAYERS, heatmap_layers, mask_layers, stored_images
from web.readings import Reading

OUTLINES: dict[str, tuple[tuple[str, str, dict[str, int]], ...]] = {
    "lung_mask": (
        ("right-lung", "Right lung", {"equals": 128}),
        ("left-lung", "Left lung", {"equals": 255}),
    ),
    "lung_whole": (("lung-whole", "Whole lungs, behind heart and diaphragm", {"any": 1}),),
    "heart_mask": (("heart", "Heart", {"equals": 255}),),
    "organ_mask": (("heart", "Heart", {"bits": 4}), ("clavicles", "Clavicles", {"bits": 24})),
    "tissue_mask": (("bone", "Bone", {"equals": 255}), ("body", "Body against open beam", {"any": 1})),
    "pneumothorax_mask": (("pneumothorax", "Pneumothorax", {"any": 1}),),
}
"""What each mask outlines: key of its colour, its name, and which values belong to it. A mask that is not
listed is outlined whole."""

LAYER_WORDS = {
    "film": "Film",
    "film_lateral": "Film",
    "bone_suppressed": "Soft tissue",
    "bone_subtracted": "Bone",
    "residual": "Removed",
}
LAYER_DETAIL = {
    "film": "the film as it was taken",
    "film_lateral": "the film as it was taken",
    "bone_suppressed": "bone-suppressed: the film without what the network takes for bone",
    "bone_subtracted": "bone-subtracted: what the network takes for bone",
    "residual": "residual: what was removed from the film to make the soft-tissue image",
}

MODULES = tuple(sorted(path.name for path in (Path(__file__).parent / "viewer").glob("*.js")))
"""All scripts of the viewer, so that a browser asks for them at once and not one after the other."""


def reading_page(study: StudyView, reading: Reading) -> dict[str, Any]:
    """Variables of the study page's template."""
    report = reading.report()
    gate = report.get("gate") or {}
    return {
        "report": report,
        "gate": gate,
        "views": [(name.capitalize(), view) for name, view in report["study"]["views"].items()],
        "checks": presentation.check_rows(gate.get("checks") or {}),
        "triage": presentation.triage_card(report),
        "findings": finding_rows(report),
        "measurements": measurement_rows(report),
        "viewer": viewer_data(study.display_id, report) | {"job": reading.job_id},
        "viewer_modules": MODULES,
        "may_review": identify().may(Scope.REVIEWS_WRITE),
    }


def viewer_data(study_id: str, report: Mapping[str, Any]) -> dict[str, Any]:
    """What the viewer's script needs to know of a reading: views, layers, outlines, heatmaps, regions."""
    images = stored_images(report)
    views = {
        view: _view(study_id, report, film, view) for film, view in FILM_LAYERS.items() if film in images
    }
    heatmaps = {
        code: {view: _address(study_id, f"heatmap-{code}-{view}", "u8") for view in paths if view in views}
        for code, paths in heatmap_layers(report).items()
    }
    findings = report.get("findings") or ()
    who = identify()
    return {
        "study": study_id,
        "reader": who.name,
        "may_review": who.may(Scope.REVIEWS_WRITE),
        "may_undo_all": who.role is Role.ADMIN,
        "views": views,
        "heatmaps": heatmaps,
        "names": {finding["code"]: finding["name"] for finding in findings},
        "regions": {finding["code"]: finding.get("regions") or [] for finding in findings},
        "states": {finding["code"]: finding["state"] for finding in findings},
        "reasons": {
            finding["code"]: finding["no_probability"]
            for finding in findings
            if finding.get("no_probability")
        },
        "weights": {
            stage["name"]: stage["weights_sha256"] for stage in report["provenance"].get("stages") or ()
        },
        "addresses": {
            "priors": url_for("viewer.priors.of_study", study_id=study_id),
            "card": url_for("cards.show", name="NAME"),
            "api": "/api/v1",
        },
    }


def _view(study_id: str, report: Mapping[str, Any], film: str, view: str) -> dict[str, Any]:
    images = stored_images(report)
    facts = report["study"]["views"].get(view) or {}
    names = [film, *(name for name in DERIVED_LAYERS if view == "frontal" and name in images)]
    return {
        "projection": facts.get("projection", ""),
        "rows": facts.get("rows"),
        "columns": facts.get("columns"),
        "spacing_mm": facts.get("spacing_mm"),
        "layers": {
            "film" if name == film else name: {
                "label": LAYER_WORDS[name],
                "detail": LAYER_DETAIL[name],
                "url": _address(study_id, name, "u16"),
                "derived": name != film,
            }
            for name in names
        },
        "outlines": _outlines(study_id, report) if view == "frontal" else [],
        "lungs": _address(study_id, "lung_mask", "u8")
        if view == "frontal" and "lung_mask" in images
        else None,
    }


def _outlines(study_id: str, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry a structure, in the order of ``OUTLINES``; the heart once, though two masks may hold it."""
    found: dict[str, dict[str, Any]] = {}
    order = [*OUTLINES, *mask_layers(report)]
    for name in sorted(mask_layers(report), key=order.index):
        whole = ((name, name.replace("_", " ").capitalize(), {"any": 1}),)
        for key, label, belongs in OUTLINES.get(name, whole):
            entry = {"key": key, "label": label, "url": _address(study_id, name, "u8"), "belongs": belongs}
            found.setdefault(key, entry)
    return list(found.values())


def _address(study_id: str, layer: str, depth: str) -> str:
    return url_for("pixels.layer", study_id=study_id, layer=layer, depth=depth)
