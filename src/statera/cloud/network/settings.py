"""Settings of the embedded network service."""

from __future__ import annotations

from dataclasses import dataclass

from statera.service.settings import option


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """What an operator can choose about the Network API."""

    mtu: int = option(
        1500, "MTU of a network whose creator names none; that of Ethernet.", min=1280, max=65535
    )
    project_ranges: tuple[str, ...] = option(
        ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
        "Ranges in which a subnet made without role admin must be.  A machine reaches what is in "
        "a subnet's range through that subnet alone, so no project may take a range in which the "
        "machine has something to reach; the default is what the Internet does not route.",
    )
    page_size: int = option(
        1000,
        "Most objects in one reply of a list; more come by the `next` link, so that one request "
        "cannot take all memory.",
        min=1,
    )
    max_body_bytes: int = option(
        1_048_576, "Largest request body; a bulk of a thousand ports fits in.", min=1024
    )
    www_authenticate_uri: str = option(
        "", "Where a caller without a valid token is sent to; empty leaves the address out."
    )
