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
