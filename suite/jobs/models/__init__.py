"""The rows everything else is derived from, one module a subject."""

from suite.jobs.models.access import AuditEvent, IdempotencyKey, SignInLink, Token, User
from suite.jobs.models.base import Base
from suite.jobs.models.films import Instance, Study, Upload, View
from suite.jobs.models.jobs import Job, JobKind, JobState, QueueName, StageRun, StageState, Worker
from suite.jobs.models.network import Node, Outgoing
from suite.jobs.models.results import Artifact, OfferState, Review, StageOffer, StageResult
from suite.jobs.models.room import Addendum, WorkItem, WrittenReport

__all__ = [
    "Addendum",
    "Artifact",
    "AuditEvent",
    "Base",
    "IdempotencyKey",
    "Instance",
    "Job",
    "JobKind",
    "JobState",
    "Node",
    "OfferState",
    "Outgoing",
    "QueueName",
    "Review",
    "SignInLink",
    "StageOffer",
    "StageResult",
    "StageRun",
    "StageState",
    "Study",
    "Token",
    "Upload",
    "User",
    "View",
    "WorkItem",
    "Worker",
    "WrittenReport",
]
