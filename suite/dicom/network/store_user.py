"""C-STORE and C-ECHO as the user of another system's service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.dicom.apart import decompress
from suite.dicom.attributes import MALFORMED, parser_silenced, text, to_uid
from suite.dicom.network.nodes import Destination
from suite.dicom.network.sending import DeliveryError, Sender, Sent
from suite.dicom.network.tls import client_context
from suite.dicom.pixels import plugin_for
from suite.dicom.reading import read_dataset
from suite.errors import UnreadableFileError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_VERIFICATION = "1.2.840.10008.1.1"
_UNCOMPRESSED = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
_MOST_CLASSES = 60
"""An association has 128 presentation contexts; each class and syntax takes up to two of them."""

_STATUS_WORDS = {
    0x0122: "SOP class not supported",
    0x0124: "not authorised",
    0xA700: "out of resources",
    0xA900: "data set does not match its SOP class",
    0xC000: "cannot understand",
}


@dataclass(frozen=True, slots=True)
class _Object:
    path: Path
    class_uid: str
    instance_uid: str
    syntax: str


def store(sender: Sender, destination: Destination, files: Sequence[Path], on_sent: Sent) -> None:
    """Store files, a batch an association.

    Raises:
        DeliveryError, UnreadableFileError: as :meth:`Sender.send`.
    """
    objects = [_identify(path) for path in files]
    for batch in _batches(objects):
        with association_with(sender, destination, _contexts(batch)) as association:
            for item in batch:
                _store_one(association, destination, item)
                on_sent(item.instance_uid)


def echo(sender: Sender, destination: Destination) -> None:
    """Verify that the node answers.

    Raises:
        DeliveryError: it does not.
    """
    with association_with(sender, destination, [(_VERIFICATION, _UNCOMPRESSED[1])]) as association:
        if association.send_c_echo().get("Status") != 0x0000:
            raise DeliveryError(
                f"{destination.name}: it did not answer C-ECHO; ask who runs it.", reached=True
            )


def _identify(path: Path) -> _Object:
    dataset = read_dataset(path, path.name, pixels=False)
    found = [text(dataset, keyword) for keyword in ("SOPClassUID", "SOPInstanceUID")]
    syntax = text(getattr(dataset, "file_meta", None) or dataset, "TransferSyntaxUID")
    if not all(found) or not syntax:
        raise UnreadableFileError(f"{path.name}: it lacks SOP UIDs or its transfer syntax; export it again.")
    return _Object(path, str(found[0]), str(found[1]), syntax)


def _batches(objects: Sequence[_Object]) -> Iterator[list[_Object]]:
    """Runs of objects whose classes and syntaxes fit into one association."""
    batch: list[_Object] = []
    for item in objects:
        if len({(other.class_uid, other.syntax) for other in [*batch, item]}) > _MOST_CLASSES:
            yield batch
            batch = []
        batch.append(item)
    yield batch


def _contexts(batch: Sequence[_Object]) -> list[tuple[str, str]]:
    """Each class in its own syntax first, then uncompressed, into which it can be turned."""
    own = dict.fromkeys((item.class_uid, item.syntax) for item in batch)
    plain = dict.fromkeys((item.class_uid, syntax) for item in batch for syntax in _UNCOMPRESSED)
    return list(islice(dict.fromkeys([*own, *plain]), 128))


@contextmanager
def association_with(
    sender: Sender,
    destination: Destination,
    contexts: Sequence[tuple[str, str]],
    handlers: Sequence[tuple[Any, Any]] = (),
    *,
    provides: str | None = None,
) -> Iterator[Any]:
    """An association with a node, released afterwards.

    Args:
        sender: how this suite introduces itself.
        destination: the node.
        contexts: classes with a transfer syntax each.
        handlers: pynetdicom's events with what to call.
        provides: a class of which this side is the provider although it asks for the association.

    Raises:
        DeliveryError: there is none.
    """
    from pynetdicom import AE, build_role

    entity = AE(ae_title=sender.ae_title)
    entity.connection_timeout = entity.acse_timeout = sender.timeout_seconds
    entity.dimse_timeout = entity.network_timeout = sender.timeout_seconds
    for class_uid, syntax in contexts:
        entity.add_requested_context(class_uid, to_uid(syntax))
    # A context for each syntax: one that lists several leaves the choice to the node.
    tls = (
        (client_context(sender.ca, sender.certificate, sender.key), destination.host)
        if destination.tls
        else None
    )
    roles: list[Any] = [build_role(to_uid(provides), scp_role=True)] if provides is not None else []
    association = entity.associate(
        destination.host,
        destination.port,
        ae_title=destination.ae_title,
        tls_args=tls,
        evt_handlers=list(handlers),
        ext_neg=roles,
    )
    if not association.is_established:
        raise _no_association(association, destination)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def _store_one(association: Any, destination: Destination, item: _Object) -> None:
    dataset = _in_accepted_syntax(association, destination, item)
    try:
        with parser_silenced():
            status = association.send_c_store(dataset)
    except (*MALFORMED, RuntimeError) as error:
        raise DeliveryError(
            f"{destination.name}: {item.instance_uid} could not be sent ({type(error).__name__}: {error}); "
            "it is tried again.",
            reached=True,
        ) from error
    code = status.get("Status")
    if code is None:
        raise DeliveryError(
            f"{destination.name}: the connection broke while {item.instance_uid} was sent; try again.",
            reached=False,
        )
    if code != 0x0000 and code >> 12 != 0xB:  # Bxxx: stored, with a remark
        words = _STATUS_WORDS.get(code, _STATUS_WORDS.get(code & 0xFF00, "refused"))
        remark = f", {text(status, 'ErrorComment')}" if text(status, "ErrorComment") else ""
        raise DeliveryError(
            f"{destination.name}: it refused {item.instance_uid} (0x{code:04X}, {words}{remark}); "
            "correct the node, then send again.",
            reached=True,
        )


def _in_accepted_syntax(association: Any, destination: Destination, item: _Object) -> Dataset:
    """The data set, uncompressed when the node does not take its compression."""
    accepted = {
        str(context.transfer_syntax[0])
        for context in association.accepted_contexts
        if context.abstract_syntax == item.class_uid
    }
    if not accepted:
        raise DeliveryError(
            f"{destination.name}: it takes no objects of the class {to_uid(item.class_uid).name}; "
            "allow them there, or leave them out in the node's rules.",
            reached=True,
        )
    dataset = read_dataset(item.path, item.path.name)
    if item.syntax not in accepted and to_uid(item.syntax).is_compressed:
        try:
            with parser_silenced():
                decompress(dataset, plugin_for(item.syntax))
        except (*MALFORMED, RuntimeError) as error:
            raise DeliveryError(
                f"{destination.name}: it does not take {to_uid(item.syntax).name}, and {item.instance_uid} "
                "cannot be decompressed; allow that transfer syntax there.",
                reached=True,
            ) from error
    return dataset


def _no_association(association: Any, destination: Destination) -> DeliveryError:
    if association.is_rejected:
        return DeliveryError(
            f"{destination.name}: {destination} rejected the association; check both AE titles there.",
            reached=True,
        )
    if association.rejected_contexts:
        names = dict.fromkeys(
            to_uid(str(context.abstract_syntax)).name for context in association.rejected_contexts
        )
        return DeliveryError(
            f"{destination.name}: it takes nothing of what was offered ({', '.join(names)}); allow that "
            "there, or leave it out in the node's rules.",
            reached=True,
        )
    return DeliveryError(
        f"{destination.name}: {destination} does not answer or ended the association; check host, port, TLS "
        "and whether it runs.",
        reached=False,
    )
