"""Addresses of hosts: which of them only this computer can reach."""

from __future__ import annotations

import ipaddress


def is_local_host(host: str) -> bool:
    """Whether an address is reachable from this computer only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
