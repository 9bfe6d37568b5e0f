"""Earlier films of the same patient, asked for by the viewer once its own film is shown."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app

from suite.records.priors import Headers, Priors
from web import display_ids
from web.reading_page import viewer_data
from web.readings import find_study, latest_reading
from web.services import services

blueprint = Blueprint("priors", __name__)


@blueprint.get("/studies/<study_id>/priors")
def of_study(study_id: str) -> dict[str, Any]:
    """The latest earlier study with a frontal film, for the viewer, and the dates of all. 404 for an unknown
    study."""
    find_study(study_id)
    headers: Headers = current_app.extensions.setdefault("radsuite.headers", Headers())
    found = Priors(services().database, services().store, headers).of(study_id)
    names = display_ids.of_all([prior.study_id for prior in found])
    return {
        "priors": [{"study": names[prior.study_id], "date": prior.date} for prior in found],
        "latest": next(
            (films for prior in found if (films := _films(prior.study_id, prior.date))),
            None,
        ),
    }


def _films(study_id: str, date: str) -> dict[str, Any] | None:
    study = services().catalogue.study(study_id)
    reading = latest_reading(study) if study is not None else None
    if study is None or reading is None:
        return None
    views = viewer_data(study.display_id, reading.report())["views"]
    return {"study": study.display_id, "date": date, "views": views} if "frontal" in views else None
