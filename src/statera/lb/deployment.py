"""What an installation allows: the part of its configuration that rules depend on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deployment:
    """Switches of an installation, named as the options that set them."""

    allow_tls_terminated_listeners: bool = True
    allow_prometheus_listeners: bool = True
    allow_ping_health_monitors: bool = True
    minimum_tls_version: str | None = None
    tls_cipher_prohibit_list: tuple[str, ...] = ()
    udp_connect_min_interval_health_monitor: int = 3
    reserved_ips: tuple[str, ...] = ("169.254.169.254",)
