"""Open-i, the Indiana University collection (Demner-Fushman 2016): reports with MeSH terms, and their films.

Layout, as NLM hands it out::

    ecgen-radiology/1.xml ...             reports: MeSH terms, images (NLMCXR_reports.tgz)
    NLMCXR_png/CXR1_1_IM-0001-3001.png    films (NLMCXR_png.tgz); any folder beside the reports will do
    indiana_projections.csv               optional: uid, filename, projection (Frontal | Lateral)

The reports do not say which film is which view. Where the table of projections is there, it does; else a
caption that names one view is believed, and else the first film is the frontal one and the second the
lateral, in the order of the caption "PA and lateral". Each report is another patient's. Films that indexers
coded "normal" are normal; reports that were not indexed know nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from suite.datasets.layout import table_rows
from suite.datasets.manifest import UNKNOWN, FilmFile, Manifest, Record
from suite.datasets.vocabulary import Vocabulary, named
from suite.errors import DatasetError

NAME = "openi"
LICENCE = "CC BY-NC-ND 4.0"
CITATION = "Demner-Fushman et al. 2016, Preparing a collection of radiology examinations for distribution"
LAYOUT = "ecgen-radiology/N.xml, NLMCXR_png/CXRn_IM-....png, indiana_projections.csv (optional)"
REPORTS = "ecgen-radiology"
PROJECTIONS = "indiana_projections.csv"
NORMAL = "normal"
UNREAD = named("no indexing", "technical quality of image unsatisfactory")
"""Terms of reports that were not coded, or of films too poor to say anything of."""

_OPACITIES = named(
    "opacity/lung",
    "infiltrate",
    "airspace disease",
    "consolidation",
    "pneumonia",
    "pulmonary edema",
    "pulmonary atelectasis",
    "nodule",
    "mass/lung",
)
VOCABULARY = Vocabulary(
    {
        "enlarged_cardiomediastinum": named("mediastinum/enlarged", "cardiomegaly"),
        "cardiomegaly": named("cardiomegaly"),
        "lung_opacity": _OPACITIES,
        "lung_lesion": named("nodule", "mass/lung"),
        "edema": named("pulmonary edema"),
        "consolidation": named("consolidation"),
        "pneumonia": named("pneumonia"),
        "atelectasis": named("pulmonary atelectasis"),
        "pneumothorax": named("pneumothorax", "hydropneumothorax"),
        "pleural_effusion": named("pleural effusion", "hydropneumothorax"),
        "pleural_other": named("thickening/pleura"),
        "fracture": named("fractures, bone"),
        "support_devices": named(
            "catheters, indwelling", "implanted medical device", "medical device", "tube, inserted"
        ),
    },
    {
        "enlarged_cardiomediastinum": named("mediastinum", "cardiac shadow"),
        "cardiomegaly": named("cardiac shadow"),
        "lung_opacity": named("opacity", "density", "mass", "markings"),
        "lung_lesion": named("mass", "granuloma", "calcified granuloma", "cavitation"),
        "edema": named("pulmonary congestion"),
        "consolidation": named("airspace disease"),
        "pneumonia": named("infiltrate", "airspace disease"),
        "atelectasis": named("volume loss"),
        "pleural_effusion": named("costophrenic angle"),
        "pleural_other": named("pleura", "thickening"),
        "support_devices": named("surgical instruments", "stents", "sutures", "foreign bodies"),
    },
)
"""MeSH headings of the indexers in lower case, alone or with one qualifier: "Thickening/pleura/apex" has the
names "thickening", "thickening/pleura" and "thickening/apex"."""


def names_in(terms: Sequence[str]) -> frozenset[str]:
    """The names, in the vocabulary's sense, of MeSH terms such as "Opacity/lung/base/left"."""
    names: set[str] = set()
    for term in terms:
        heading, *qualifiers = (part.strip().lower() for part in term.split("/"))
        names |= {heading, *(f"{heading}/{qualifier}" for qualifier in qualifiers)}
    return frozenset(names)


def read(folder: Path) -> Manifest:
    """All reports with a frontal film.

    Raises:
        DatasetError: the folder does not have the layout, a report cannot be read, or a film is not there.
    """
    reports = sorted((folder / REPORTS).glob("*.xml"), key=lambda path: (len(path.stem), path.stem))
    if not reports:
        raise DatasetError(f"{folder}: {REPORTS}/*.xml is missing; data set {NAME} needs {LAYOUT}.")
    films = {path.stem: path for path in sorted(folder.rglob("*.png"))}
    table = folder / PROJECTIONS
    projections = _projections(table) if table.is_file() else {}
    found = (_record(report, films, projections) for report in reports)
    return Manifest(NAME, tuple(record for record in found if record is not None))


def _projections(table: Path) -> dict[str, str]:
    """Frontal or Lateral by the image's name in the reports."""
    views = {}
    for line, row in table_rows(table, ("uid", "filename", "projection")):
        if row["projection"] not in ("Frontal", "Lateral"):
            raise DatasetError(
                f"{table}: line {line} has the projection {row['projection']!r}; use Frontal or Lateral."
            )
        stem = row["filename"].removesuffix(".png").removesuffix(".dcm")
        views[f"CXR{stem}"] = row["projection"]
    return views


def _record(report: Path, films: Mapping[str, Path], projections: Mapping[str, str]) -> Record | None:
    try:
        root = ElementTree.parse(report).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise DatasetError(f"{report}: is no readable report ({error}); unpack the archive again.") from None
    images = [image.get("id", "") for image in root.iter("parentImage")]
    captions = [(image.findtext("caption") or "").lower() for image in root.iter("parentImage")]
    lacking = [name for name in images if name not in films]
    if lacking:
        raise DatasetError(f"{report}: names {lacking[0]}.png, which is not there; complete the copy.")
    views = _views(images, captions, projections)
    frontal = next((name for name, view in views.items() if view == "Frontal"), None)
    lateral = next((name for name, view in views.items() if view == "Lateral"), None)
    if frontal is None:
        return None
    terms = [term for each in root.iter("major") if (term := (each.text or "").strip())]
    labels, abnormal = labels_from(terms)
    return Record(
        id=frontal,
        patient_id=f"{NAME}-{report.stem}",
        frontal=FilmFile(films[frontal]),
        lateral=None if lateral is None else FilmFile(films[lateral]),
        labels=labels,
        abnormal=abnormal,
    )


def _views(images: Sequence[str], captions: Sequence[str], projections: Mapping[str, str]) -> dict[str, str]:
    if any(name in projections for name in images):
        return {name: projections.get(name, "") for name in images}
    order = ("Frontal", "Lateral")
    views = {}
    for index, (name, caption) in enumerate(zip(images, captions, strict=True)):
        words = set(
            re.findall("[a-z]+", caption)
        )  # "CHEST 2V FRONTAL/LATERAL", "PA, and lateral", "PA & LAT"
        has_lateral = bool(words & {"lateral", "lat"})
        has_frontal = bool(words & {"pa", "ap", "frontal"})
        if has_lateral != has_frontal:
            views[name] = "Lateral" if has_lateral else "Frontal"
        else:
            views[name] = order[index] if index < len(order) else ""
    return views


def labels_from(terms: Sequence[str]) -> tuple[tuple[float, ...], float]:
    """The 13 labels and the abnormal label of a report's MeSH terms."""
    names = names_in(terms)
    if not names or names & UNREAD:
        return UNKNOWN, math.nan
    return VOCABULARY.labels(names), 0.0 if names == {NORMAL} else 1.0
