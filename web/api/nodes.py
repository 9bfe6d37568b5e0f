"""Other systems, and results on their way to them."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, RootModel

from suite.accounts.principal import Scope
from suite.dicom.network.nodes import DIMSE, Destination, KnownNode, Nodes
from suite.dicom.network.routing import enqueue
from suite.dicom.network.rules import Kind, Rules
from suite.errors import ConflictError, InputError, NotFoundError
from suite.records.pushes import PushRecord, find_push, pushes_of
from web.api.names import FindingCode, NodeName
from web.api.operations import ROOT, Reply
from web.api.resources import Resource
from web.api.shapes import Moment, Shape, Wanted
from web.services import services

nodes = Resource("nodes", reads=Scope.NODES_READ, writes=Scope.ADMIN)
pushes = Resource("nodes", reads=Scope.NODES_READ, writes=Scope.NODES_SEND)


def _readable_url(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0:  # both raise ValueError for what is no host and no port
        raise ValueError("is no address such as https://pacs/dicom-web")
    return url


ServiceUrl = Annotated[
    str,
    Field(max_length=1000, pattern=r"^https?://[!-~]+$", description="User and password may stand in it"),
    AfterValidator(_readable_url),
]


class NodeShape(Shape):
    """One system that takes results."""

    name: str
    kind: Literal["dimse", "stow"]
    address: str = Field(description="Title, host and port, or URL without its credentials")
    tls: bool
    rules: Rules
    enabled: bool


class NodeList(Shape):
    """All systems."""

    items: list[NodeShape]


class RulesRequest(Wanted):
    """When results are sent by themselves, and which of them."""

    when: Literal["always", "accepted", "abnormal", "suggested", "never"] = "accepted"
    findings: list[FindingCode] = Field(default_factory=list, description="For `suggested`; none is any")
    objects: list[Kind] = Field(default_factory=list, description="Kinds of objects; none is all")
    commitment: bool = Field(
        default=False, description="Ask a `dimse` node to commit itself to what it was sent"
    )


class DimseNode(Wanted):
    """A system that takes DICOM associations."""

    name: NodeName
    kind: Literal["dimse"]
    ae_title: str = Field(min_length=1, max_length=16, pattern=r"^[!-\[\]-~]+$")
    host: str = Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:_-]+$")
    port: int = Field(ge=1, le=65535)
    tls: bool = False
    rules: RulesRequest = Field(default_factory=RulesRequest)


class StowNode(Wanted):
    """A system that takes STOW-RS."""

    name: NodeName
    kind: Literal["stow"]
    url: ServiceUrl
    rules: RulesRequest = Field(default_factory=RulesRequest)


class NodeRequest(RootModel[Annotated[DimseNode | StowNode, Field(discriminator="kind")]]):
    """A system that takes results."""


class NodeChange(Wanted):
    """What shall change of a node."""

    enabled: bool = Field(description="False holds back what is meant for it")


class PushRequest(Wanted):
    """Where a study's latest reading is sent."""

    node: NodeName
    again: bool = Field(False, description="Also if it was sent before")


class PushShape(Shape):
    """One reading on its way to one node."""

    id: int
    study_id: str
    job_id: str
    node: str
    state: Literal["queued", "sending", "sent", "failed"]
    attempts: int
    next_attempt_at: Moment
    error: str | None
    created_at: Moment
    sent_at: Moment | None
    committed_at: Moment | None = Field(description="When the node answered that it keeps all objects")


class PushList(Shape):
    """What was and is sent of a study."""

    items: list[PushShape]


@nodes.get("/nodes", "The nodes", NodeList)
def list_nodes() -> NodeList:
    """The systems that results can be sent to."""
    return NodeList(items=[_shape(node) for node in _nodes().all()])


@nodes.post("/nodes", 201, "The node", NodeShape, at="The node", body=NodeRequest, audit="node.created")
def create_node(body: NodeRequest) -> Reply:
    """Add a system. A name that is taken answers 409."""
    wanted = body.root
    if any(node.destination.name == wanted.name for node in _nodes().all()):
        raise ConflictError(f"{wanted.name}: a node of that name exists; choose another name.")
    _nodes().add(Destination(**wanted.model_dump(exclude={"rules"})), wanted.rules.model_dump(mode="json"))
    headers = {"Location": f"{ROOT}/nodes/{wanted.name}"}
    return Reply(_shape(_node(wanted.name)), 201, headers, wanted.name, {"kind": wanted.kind})


@nodes.get("/nodes/<node>", "The node", NodeShape)
def get_node(node: str) -> NodeShape:
    """One system."""
    return _shape(_node(node))


@nodes.patch("/nodes/<node>", "The node as it is now", NodeShape, body=NodeChange, audit="node.changed")
def change_node(node: str, body: NodeChange) -> Reply:
    """Hold back what is meant for a system, or send again."""
    _node(node)
    _nodes().enable(node, enabled=body.enabled)
    return Reply(_shape(_node(node)), detail={"enabled": body.enabled})


@nodes.delete("/nodes/<node>", 204, "It is gone", audit="node.removed")
def remove_node(node: str) -> Reply:
    """Remove a system and what was still to be sent to it."""
    _node(node)
    _nodes().remove(node)
    return Reply(status=204)


@pushes.post(
    "/studies/<study_id>/pushes",
    202,
    "It is in the outbox",
    PushShape,
    at="The push",
    body=PushRequest,
    audit="study.pushed",
)
def push_study(study_id: str, body: PushRequest) -> Reply:
    """Send the objects of a study's latest reading to a node.

    They wait in the outbox until the node has confirmed them. What is on its way already is not queued twice.
    """
    study = services().search.study(study_id)
    if study.done is None:
        raise ConflictError(f"{study_id}: has no finished reading to send yet; wait until its job is done.")
    node = _node(body.node)
    enqueue(services().database, study.done.id, node.id, time.time(), again=body.again)
    push = find_push(services().database, study_id, job_id=study.done.id, node_id=node.id)
    headers = {"Location": f"{ROOT}/studies/{study_id}/pushes/{push.id}"}
    return Reply(_push(push), 202, headers, detail={"node": body.node, "job": study.done.id})


@pushes.get("/studies/<study_id>/pushes", "What was and is sent", PushList)
def list_pushes(study_id: str) -> PushList:
    """What was sent of a study, and what is on its way."""
    services().search.study(study_id)
    return PushList(items=[_push(push) for push in pushes_of(services().database, study_id)])


@pushes.get("/studies/<study_id>/pushes/<push_id>", "The push", PushShape)
def get_push(study_id: str, push_id: int) -> PushShape:
    """How far one push is."""
    return _push(find_push(services().database, study_id, push_id=push_id))


def _nodes() -> Nodes:
    return Nodes(services().database)


def _node(name: str) -> KnownNode:
    try:
        return _nodes().named(name)
    except InputError:
        raise NotFoundError(
            f"{name}: there is no node of that name; list the nodes to see which are."
        ) from None


def _shape(node: KnownNode) -> NodeShape:
    kind: Any = node.destination.kind
    tls = node.destination.tls if kind == DIMSE else node.destination.url.startswith("https:")
    return NodeShape(
        name=node.destination.name,
        kind=kind,
        address=str(node.destination),
        tls=tls,
        rules=node.rules,
        enabled=node.enabled,
    )


def _push(push: PushRecord) -> PushShape:
    return PushShape.model_validate(push)
