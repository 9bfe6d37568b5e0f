"""The findings as the panel lists them: by falling calibrated probability, what was not trained last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from suite.findings import UNPAIRED
from web.presentation import STATE_WORDS, Bar, bar, detail, lateral, number, percent

NO_PROBABILITY = "no probability"
NOT_TRAINED = "The network was not trained on this finding; nothing is known about it."


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One finding as the panel shows it. ``number`` is a dash where nothing was measured.

    Attributes:
        zones: where its heatmap is high, in words, once each; none for the heart, which is in no lung.
        places: the same, one line a region, with the share inside the lungs.
        reason: why there is a score and no probability; empty where there is one.
        look: class of the row: the state, or ``scored`` where there is a score and no probability, which is
            no equivocal one and must not look like it.
        lateral: what the lateral film did to the score, one sentence; empty where none was read.
        is_suggested: the network names it, or its interval holds the operating point; a reader accepts or
            rejects it. What the network does not name can be added, and so can what has no probability:
            without an operating point its score suggests nothing.
    """

    code: str
    name: str
    state: str
    words: str
    number: str
    detail: str
    bar: Bar | None
    zones: tuple[str, ...]
    places: tuple[str, ...]
    has_heatmap: bool
    reason: str
    look: str
    lateral: str
    is_suggested: bool


def finding_rows(report: Mapping[str, Any]) -> list[FindingRow]:
    """All findings by falling probability (or score, where one was not calibrated); not trained last."""
    findings = list(report.get("findings") or ())
    findings.sort(key=_rank)
    return [_row(finding) for finding in findings]


def _rank(finding: Mapping[str, Any]) -> tuple[int, float]:
    if finding["state"] == "not_trained":
        return (2, 0.0)
    if finding.get("probability") is not None:
        return (0, -float(finding["probability"]))
    return (1, -float(finding.get("score") or 0.0))


def _row(finding: Mapping[str, Any]) -> FindingRow:
    state = finding["state"]
    trained = state != "not_trained"
    regions = finding.get("regions") or ()
    suggested = is_suggested(finding)
    scored_only = trained and finding.get("probability") is None
    zones = tuple(dict.fromkeys(_zone(region) for region in regions))
    return FindingRow(
        code=finding["code"],
        name=finding["name"],
        state=state,
        words=NO_PROBABILITY if scored_only else STATE_WORDS.get(state, state),
        number=number(finding) if trained else "–",
        detail=detail(finding) if trained else NOT_TRAINED,
        bar=bar(finding) if trained else None,
        zones=zones if suggested and finding["code"] not in UNPAIRED else (),
        places=tuple(_place(region) for region in regions) if trained else (),
        has_heatmap=trained and bool(finding.get("heatmap")),
        reason=str(finding.get("no_probability") or "") if scored_only else "",
        look="scored" if scored_only else state,
        lateral=lateral(finding),
        is_suggested=suggested,
    )


def is_suggested(finding: Mapping[str, Any]) -> bool:
    """Whether the network says something of this film that a reader should judge."""
    if finding["state"] == "uncertain":
        return finding.get("probability") is not None
    return bool(finding["state"] == "suggested")


def _zone(region: Mapping[str, Any]) -> str:
    return f"{region['zone']} (lateral)" if region["view"] == "lateral" else str(region["zone"])


def _place(region: Mapping[str, Any]) -> str:
    share = region.get("inside_lung")
    return _zone(region) + (f", {percent(share)} of it inside the lungs" if share is not None else "")
