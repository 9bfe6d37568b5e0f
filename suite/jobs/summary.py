"""The few facts of a report that lists show, kept in the job's row so that a list opens no files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suite.report.withheld import has_score_only

TOP_FINDINGS = 3
"""Findings named in a list row; the study page has them all."""


def summarise(report: Mapping[str, Any]) -> dict[str, Any]:
    """Gate, triage and the leading findings of a report (schema ``radsuite.report/1``).

    Returns:
        ``{"accepted": bool | None, "reasons": [...], "triage": {"state", "probability"} | None,
        "findings": [{"code", "name", "state", "probability"}, ...] | None, "suggested": int,
        "with_probability": int, "without_probability": int}``; findings are those suggested, then those
        uncertain, each by falling probability, and ``None`` when nobody looked.
        One with a score and no probability is not among them: without an operating point it suggests nothing,
        and is counted, because it is not known to be absent either.
    """
    gate = report.get("gate") or {}
    triage = report.get("triage")
    findings = list(report.get("findings") or ())
    leading = [finding for finding in findings if _is_told(finding)]
    leading.sort(key=lambda finding: (_RANK[finding["state"]], -_number(finding)))
    return {
        "accepted": gate.get("accepted"),
        "reasons": list(gate.get("reasons") or ()),
        "triage": {"state": triage["state"], "probability": triage.get("probability")} if triage else None,
        "findings": None
        if report.get("findings") is None
        else [
            {key: finding.get(key) for key in ("code", "name", "state", "probability")}
            for finding in leading[:TOP_FINDINGS]
        ],
        "suggested": sum(finding["state"] == "suggested" for finding in leading),
        "with_probability": sum(finding.get("probability") is not None for finding in findings),
        "without_probability": sum(map(has_score_only, findings)),
    }


_RANK = {"suggested": 0, "uncertain": 1}


def _is_told(finding: Mapping[str, Any]) -> bool:
    return finding["state"] in _RANK and finding.get("probability") is not None


def _number(finding: Mapping[str, Any]) -> float:
    value = finding.get("probability")
    if value is None:
        value = finding.get("score")
    return float(value) if value is not None else 0.0
