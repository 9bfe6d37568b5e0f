"""The report's JSON Schema, and the check that every report passes before it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from suite.errors import SuiteError

SCHEMA = "radsuite.report/1"


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads((files("suite.report") / "schema.json").read_text()))


def as_text(report: Mapping[str, Any]) -> str:
    """``report`` as the text of ``report.json``, once it follows the schema.

    Raises:
        SuiteError: it does not follow the schema, or holds a number that is not finite.
    """
    validate(report)
    try:
        return json.dumps(report, indent=2, allow_nan=False) + "\n"
    except ValueError as error:
        raise SuiteError(
            f"the report of study {report['study']['id']} holds a number that is not finite; "
            "please report this as a defect."
        ) from error


def validate(report: Mapping[str, Any]) -> None:
    """Fail if ``report`` does not follow the schema.

    Raises:
        SuiteError: with the first place that does not.
    """
    error = next(iter(_validator().iter_errors(report)), None)
    if error is not None:
        place = "/".join(str(part) for part in error.absolute_path) or "the report"
        raise SuiteError(
            f"{place} does not follow {SCHEMA}: {error.message[:200]}; please report this as a defect."
        )
