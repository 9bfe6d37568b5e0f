"""QIDO-RS (PS3.18 10.6): studies, series and instances by their attributes."""

from __future__ import annotations

from flask import Response, request

from suite.dicom.network.queries import SERIES_UID, STUDY_UID, Attributes, Found, Level, Query, search, tag_of
from web.api.problems import ProblemError
from web.dicomweb.service import address_of, blueprint, json_answer
from web.services import services

MAX_LIMIT = 1000
"""Answers of one search; a search that has more says so in a Warning."""

_CONTROL = frozenset({"limit", "offset", "includefield", "fuzzymatching", "emptyvaluematching"})


@blueprint.get("/studies")
def search_studies() -> Response:
    """Studies, the one received last first."""
    return _answer(Level.STUDY)


@blueprint.get("/series")
@blueprint.get("/studies/<study>/series")
def search_series(study: str | None = None) -> Response:
    """Series, of all studies or of one."""
    return _answer(Level.SERIES, study)


@blueprint.get("/instances")
@blueprint.get("/studies/<study>/instances")
@blueprint.get("/studies/<study>/series/<series>/instances")
def search_instances(study: str | None = None, series: str | None = None) -> Response:
    """Instances, of everything, of one study or of one series."""
    return _answer(Level.INSTANCE, study, series)


def _answer(level: Level, study: str | None = None, series: str | None = None) -> Response:
    limit = _number("limit", MAX_LIMIT)
    wanted = _wanted(study, series)
    query = Query(
        level,
        wanted,
        _included(),
        _number("offset", 0),
        min(limit, MAX_LIMIT) + 1,
        within_study=study is not None,
        within_series=series is not None,
    )
    found = search(services().database, query)
    warnings = []
    if request.args.get("fuzzymatching", "").lower() == "true":
        warnings.append('299 radsuite "The fuzzymatching parameter is not supported. Only literal matching '
                        'has been performed."')  # fmt: skip
    if len(found) > MAX_LIMIT:
        warnings.append(
            f'299 radsuite "There are more than {MAX_LIMIT} results; ask for the rest by offset."'
        )
    content = [answer.attributes | _address(answer) for answer in found[: min(limit, MAX_LIMIT)]]
    return json_answer(content, headers={"Warning": ", ".join(warnings)} if warnings else None)


def _address(answer: Found) -> Attributes:
    url = address_of(answer.study_uid, answer.series_uid, answer.instance_uid)
    return {"00081190": {"vr": "UR", "Value": [url]}}


def _wanted(study: str | None, series: str | None) -> dict[str, str]:
    wanted = {tag_of(name): value for name, value in request.args.items() if name not in _CONTROL}
    for tag, uid in ((STUDY_UID, study), (SERIES_UID, series)):
        if uid is not None:
            wanted[tag] = uid
    return wanted


def _included() -> frozenset[str] | None:
    names = [name for given in request.args.getlist("includefield") for name in given.split(",") if name]
    return None if "all" in names else frozenset(tag_of(name) for name in names)


def _number(name: str, default: int) -> int:
    given = request.args.get(name)
    if given is None:
        return default
    if not given.isdecimal() or len(given) > 9:
        raise ProblemError(400, "invalid-request", f"{name}: not a number from 0 on; correct it.")
    return int(given)
