"""What names look like in addresses and bodies; anything else names nothing."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from suite.accounts.users import NAME_PATTERN
from suite.findings import CODES

STUDY_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
JOB_ID = r"^[0-9a-f]{32}$"
UPLOAD_ID = r"^[A-Za-z0-9_-]{16,64}$"
NODE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

TEXT = r"^[^\x00]*$"
"""Text of people: anything that a database keeps."""

LABEL = r"^[^\x00-\x1f\x7f]*$"
"""Text of one line."""


def _string(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern}


_NUMBER = {"type": "integer", "minimum": 1, "maximum": 999_999_999}
PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "study_id": _string(STUDY_ID),
    "job_id": _string(JOB_ID),
    "upload_id": _string(UPLOAD_ID),
    "review_id": _NUMBER,
    "token_id": _NUMBER,
    "push_id": _NUMBER,
    "image": _string(r"^[a-z0-9_-]{1,64}$"),
    "model": _string(r"^[A-Za-z0-9._-]{1,64}$"),
    "node": _string(NODE_NAME),
    "user": _string(NAME_PATTERN),
}
"""JSON Schema of what may stand in an address."""


def _known_finding(code: str) -> str:
    if code not in CODES:
        raise ValueError(f"is no finding; the findings are {', '.join(CODES)}")
    return code


FindingCode = Annotated[str, AfterValidator(_known_finding), Field(json_schema_extra={"enum": list(CODES)})]
JobId = Annotated[str, Field(pattern=JOB_ID)]
NodeName = Annotated[str, Field(pattern=NODE_NAME)]
UploadId = Annotated[str, Field(pattern=UPLOAD_ID)]
UserName = Annotated[str, Field(pattern=NAME_PATTERN)]
