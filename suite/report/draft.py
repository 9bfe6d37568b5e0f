"""From what a reader accepted to the first draft of a report: text to be changed, and signed by a person.

Only accepted and added findings become text. What nobody judged, what was rejected, and what would have to be
concluded from silence ("normal") does not: an empty section is the reader's to fill.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from suite.findings import CODES, NAMES, UNPAIRED
from suite.records.reviews import ReviewSheet, ReviewView, Verdict

_MEASURED = re.compile(r"((?:Length|Angle) [^\[\]]{1,60}) \[\w+(?: -?\d+\.\d,-?\d+\.\d)+\]")
"""How the viewer writes a measurement: what people read, then the points (``web/viewer/measures.js``)."""


def draft_sections(report: Mapping[str, Any], sheet: ReviewSheet, *, job_id: str) -> dict[str, str]:
    """Text by section.

    Args:
        report: ``report.json`` as a mapping.
        sheet: what readers said of the study.
        job_id: of the reading that the report is of. Probability and place stand only beside verdicts on this
            very reading: those on another one were given before other numbers.

    Returns:
        ``technique`` from the views, ``findings`` and ``impression`` from the accepted and added findings in
        the vocabulary's order; ``indication`` is not known and empty.
    """
    standing = sheet.standing
    kept = [
        (code, standing[code])
        for code in CODES
        if code in standing and standing[code].verdict in (Verdict.ACCEPTED, Verdict.ADDED)
    ]
    reported = {finding["code"]: finding for finding in report.get("findings") or ()}
    known = {code: reported.get(code, {}) if said.job_id == job_id else None for code, said in kept}
    return {
        "indication": "",
        "technique": _technique(report),
        "findings": "\n".join(
            _sentence(code, said, known[code]) + _measured(sheet, code) for code, said in kept
        ),
        "impression": "\n".join(
            f"{number}. {_title(code, said, known[code])}." for number, (code, said) in enumerate(kept, 1)
        ),
    }


def _technique(report: Mapping[str, Any]) -> str:
    views = report["study"]["views"]
    frontal = str((views.get("frontal") or {}).get("projection") or "")
    words = [frontal if frontal in ("PA", "AP") else "frontal"] if "frontal" in views else []
    words += ["lateral"] if "lateral" in views else []
    return f"Chest radiograph, {' and '.join(words)}."


def _title(code: str, said: ReviewView, finding: Mapping[str, Any] | None) -> str:
    """The finding and where it is; the software's place only where its suggestion was accepted.

    Args:
        finding: as the report has it; ``None`` where the verdict is on another reading.
    """
    regions = (finding or {}).get("regions") or () if said.verdict is Verdict.ACCEPTED else ()
    zones = list(dict.fromkeys(region["zone"] for region in regions if region.get("zone")))
    if not zones or code in UNPAIRED:
        return NAMES[code]
    where = f"{', '.join(zones[:-1])} and {zones[-1]} zones" if len(zones) > 1 else f"{zones[0]} zone"
    return f"{NAMES[code]}, {where}"


def _sentence(code: str, said: ReviewView, finding: Mapping[str, Any] | None) -> str:
    note = f" {said.text.strip().rstrip('.')}." if said.text else ""
    return f"{_title(code, said, finding)} ({_source(said, finding)}).{note}"


def _measured(sheet: ReviewSheet, code: str) -> str:
    """The measurements that readers attached to a finding, each as a sentence."""
    texts = (
        entry.text or ""
        for entry in sheet.entries
        if entry.finding == code and entry.verdict is Verdict.COMMENT and entry.undone_at is None
    )
    found = (_MEASURED.match(text) for text in texts)
    return "".join(f" {match[1]}." for match in found if match)


def _source(said: ReviewView, finding: Mapping[str, Any] | None) -> str:
    if said.verdict is Verdict.ADDED:
        return f"added by {said.user}"
    if finding is None:
        return f"suggested in another reading, accepted by {said.user}"
    probability = finding.get("probability")
    if probability is None:
        return f"suggested by the software, accepted by {said.user}"
    interval = finding.get("interval")
    within = f", 95 % interval {100 * interval[0]:.0f} to {100 * interval[1]:.0f} %" if interval else ""
    return f"suggested with {100 * probability:.0f} %{within}, accepted by {said.user}"
