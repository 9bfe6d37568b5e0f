"""Who may call the listener: titles, addresses, certificates, how many at once."""

from __future__ import annotations

import gc
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from pynetdicom import AE

from suite.dicom.network.allow_list import parse
from suite.errors import InputError, RecipeError
from tests.dicom_network_house import (
    dcmtk,
    open_wires,
    wait_until,
    without_leftovers,
)

CT = "1.2.840.10008.5.1.4.1.1.2"

SUCCESS, OUT_OF_RESOURCES, WRONG_CLASS, UNREADABLE = 0x0000, 0xA700, 0xA900, 0xC000

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
"""pynetdicom leaves the socket of an association that the peer ended to the garbage collector."""


@pytest.fixture(autouse=True)
def nothing_left_to_collect() -> Iterator[None]:
    """Those sockets, while their warning is expected."""
    with without_leftovers():
        yield


def test_callers_that_are_not_on_the_list_are_rejected(tmp_path: Path) -> None:
    with open_wires(tmp_path, listen_allow=("MODALITY", "PACS@10.1.0.0/16")) as wires:
        assert (
            dcmtk("echoscu", "-aet", "MODALITY", "-aec", "RADSUITE", "127.0.0.1", wires.port).returncode == 0
        )
        for caller in ("PACS", "STRANGER"):
            answer = dcmtk("echoscu", "-aet", caller, "-aec", "RADSUITE", "127.0.0.1", wires.port)
            assert answer.returncode != 0
            assert "Calling AE Title Not Recognized" in answer.stderr
        answer = dcmtk("echoscu", "-aet", "MODALITY", "-aec", "OTHER", "127.0.0.1", wires.port)
        assert "Called AE Title Not Recognized" in answer.stderr
        wait_until(lambda: wires.actions().count("association.rejected") == 3)


@pytest.mark.parametrize(
    ("lines", "caller", "address", "admitted"),
    [
        ((), "ANY", "10.0.0.1", True),
        (("A",), "A", "10.0.0.1", True),
        (("A",), "B", "10.0.0.1", False),
        (("A@10.0.0.1",), "A", "10.0.0.2", False),
        (("A@10.0.0.0/24", "B"), "A", "10.0.0.200", True),
        (("*@10.0.0.0/24",), "X", "10.0.1.1", False),
        (("*@fd00::/8",), "X", "fd00::1", True),
        (("A@10.0.0.0/8",), "A ", "::ffff:10.2.3.4", True),
        (("*",), "X", "2001:db8::1", True),
    ],
)
def test_the_list_compares_titles_and_networks(
    lines: tuple[str, ...], caller: str, address: str, admitted: bool
) -> None:
    assert parse(lines).admits(caller, address) is admitted


@pytest.mark.parametrize("line", ["", "A@nowhere", "SEVENTEEN_LETTERS", "A@10.0.0.0/64"])
def test_a_line_that_is_not_understood_is_named(line: str) -> None:
    with pytest.raises(RecipeError, match="listen_allow"):
        parse([line])


def test_a_call_by_another_name_is_explained_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entity = AE(ae_title="CR1")
    entity.add_requested_context("1.2.840.10008.1.1")
    with open_wires(tmp_path) as wires:
        assert entity.associate("127.0.0.1", wires.port, ae_title="RADSUIT").is_rejected
        explained = "CR1@127.0.0.1 rejected: it calls 'RADSUIT' and this is RADSUITE; correct"
        wait_until(lambda: explained in caplog.text)


def test_one_association_too_many_is_rejected_for_now(tmp_path: Path) -> None:
    entity = AE()
    entity.add_requested_context("1.2.840.10008.1.1")
    with open_wires(tmp_path, listen_max_associations=1) as wires:
        first = entity.associate("127.0.0.1", wires.port, ae_title="RADSUITE")
        second = entity.associate("127.0.0.1", wires.port, ae_title="RADSUITE")
        assert (first.is_established, second.is_rejected) == (True, True)
        first.release()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_with_tls_only_callers_with_a_certificate_of_the_authority_come_in(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    server, client, other = (
        authority.issue_cert("localhost"),
        authority.issue_cert("modality"),
        stranger.issue_cert("modality"),
    )
    files = {
        "server.pem": server.cert_chain_pems[0],
        "key.pem": server.private_key_pem,
        "ca.pem": authority.cert_pem,
    }
    for name, blob in files.items():
        blob.write_to_path(tmp_path / name)

    def context(leaf: trustme.LeafCert | None) -> ssl.SSLContext:
        made = ssl.create_default_context()
        authority.configure_trust(made)
        if leaf is not None:
            leaf.configure_cert(made)
        return made

    with open_wires(
        tmp_path / "data",
        listen_certificate=tmp_path / "server.pem",
        listen_key=tmp_path / "key.pem",
        listen_client_ca=tmp_path / "ca.pem",
    ) as wires:
        silent = socket.create_connection(("127.0.0.1", wires.port))  # says nothing, and keeps nobody out
        entity = AE()
        entity.add_requested_context("1.2.840.10008.1.1")
        outcomes = []
        for tls in (
            (context(client), "localhost"),
            (context(other), "localhost"),
            (context(None), "localhost"),
            None,
        ):
            association = entity.associate("127.0.0.1", wires.port, ae_title="RADSUITE", tls_args=tls)
            outcomes.append(association.is_established and association.send_c_echo().get("Status") == 0)
            association.abort()
        silent.close()
    gc.collect()  # the caller's library leaves the sockets of failed handshakes to the collector
    assert outcomes == [True, False, False, False]


def test_a_wrong_certificate_is_said_in_one_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    with (
        pytest.raises(InputError, match=r"bad.pem: certificate or key cannot be used"),
        open_wires(tmp_path, listen_certificate=bad, listen_key=bad),
    ):
        pass


def test_a_port_in_use_is_said_in_one_sentence(tmp_path: Path) -> None:
    with (
        open_wires(tmp_path / "one") as wires,
        pytest.raises(InputError, match="cannot be listened on"),
        open_wires(tmp_path / "two", listen_port=wires.port),
    ):
        pass


def test_a_listener_others_can_reach_needs_a_list(tmp_path: Path) -> None:
    from suite.settings import load_settings

    with pytest.raises(RecipeError, match="RADSUITE_LISTEN_ALLOW"):
        load_settings(data=tmp_path, listen_port=11112, listen_host="0.0.0.0")
