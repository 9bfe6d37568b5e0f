"""Who may associate: AE titles, each with the addresses it may come from."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from suite.dicom.network.settings import check_ae_title
from suite.errors import RecipeError

ANY = "*"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list; ``None`` means any."""

    ae_title: str | None
    network: Network | None

    def admits(self, ae_title: str, address: str) -> bool:
        """Whether a caller of this name and address is meant."""
        if self.ae_title is not None and self.ae_title != ae_title.strip():
            return False
        return self.network is None or _address(address) in self.network


@dataclass(frozen=True, slots=True)
class AllowList:
    """All entries; an empty list admits everybody, and is only possible on a loopback address."""

    entries: tuple[Entry, ...]

    def admits(self, ae_title: str, address: str) -> bool:
        """Whether a caller may associate."""
        return not self.entries or any(entry.admits(ae_title, address) for entry in self.entries)


def parse(lines: Iterable[str]) -> AllowList:
    """The list from lines such as ``PACS``, ``PACS@10.0.0.7``, ``*@10.0.0.0/24``, ``*``.

    Raises:
        RecipeError: a line has another form.
    """
    return AllowList(tuple(_entry(line) for line in lines))


def _entry(line: str) -> Entry:
    title, at, place = line.partition("@")
    try:
        name = None if title.strip() == ANY else check_ae_title(title)
        network = ipaddress.ip_network(place.strip(), strict=False) if at and place.strip() != ANY else None
    except ValueError as error:
        raise RecipeError(
            f"listen_allow: {line!r} is not read ({error}); write AET, AET@address or AET@network/bits."
        ) from error
    return Entry(name, network)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """A peer's address; IPv4 that came through an IPv6 socket counts as IPv4."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address
