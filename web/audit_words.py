"""What the codes of the audit trail are called on its page."""

from __future__ import annotations

from collections.abc import Mapping

ACTIONS: Mapping[str, str] = {
    "association.aborted": "Connection broken off",
    "association.rejected": "Connection rejected",
    "instance.received": "Film received",
    "instance.refused": "Film refused",
    "instances.retrieved": "Films fetched",
    "job.cancelled": "Job cancelled",
    "job.requested": "Job asked for",
    "job.retried": "Job asked for again",
    "node.changed": "Node changed",
    "node.created": "Node added",
    "node.removed": "Node removed",
    "report.addendum": "Addendum signed",
    "report.downloaded": "Report downloaded",
    "report.drafted": "Draft of a report saved",
    "report.signed": "Report signed",
    "results.committed": "Results kept by the node",
    "results.given_up": "Results could not be sent",
    "results.not_kept": "Results not kept by the node",
    "results.sent": "Results sent",
    "review.added": "Verdict given",
    "review.undone": "Verdict taken back",
    "session.begun": "Signed in",
    "sign-in.refused": "Sign-in refused",
    "studies.handed_in": "Studies handed in through the API",
    "study.assigned": "Study assigned to a reader",
    "study.completed": "Study complete, all its films are here",
    "study.deleted": "Study deleted",
    "study.done": "Study marked as done",
    "study.downloaded": "Study downloaded",
    "study.given-back": "Study given back",
    "study.opened": "Study opened",
    "study.pushed": "Study sent to a node",
    "study.reopened": "Study marked as not done",
    "study.uploaded": "Films uploaded",
    "token.created": "Token created",
    "token.revoked": "Token revoked",
    "upload.abandoned": "Upload abandoned",
    "upload.begun": "Upload begun",
    "upload.continued": "Upload continued",
    "user.binding-allowed": "Provider's sign-in allowed",
    "user.bound": "Bound to a provider's sign-in",
    "user.changed": "User changed",
    "user.created": "User created",
    "user.invited": "One-time link made",
    "user.password-changed": "Password changed",
    "user.removed": "User removed",
    "user.unbound": "Provider's sign-in ended",
}


def action_words(action: str) -> str:
    """An action in words; one of an older or newer release, as its code says it."""
    return ACTIONS.get(action, action)
