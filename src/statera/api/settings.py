"""The options of the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from statera.lb.deployment import Deployment
from statera.service.settings import option
from statera.store.work import FURTHEST

_CIPHERS = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-CHACHA20-POLY1305",
)
_VERSIONS = ("TLSv1.2", "TLSv1.3")
_ALPN = ("h2", "http/1.1", "http/1.0")


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Options of the API; names are Octavia's where it has them."""

    max_request_body_size: int = option(
        114688, "Largest request body in bytes; the size that oslo.middleware allows", min=1024
    )
    pagination_max_limit: int = option(
        1000, "Most objects on one page of a list; 0: no limit", min=0
    )
    pending_ceiling: float = option(
        600.0, "Seconds after which a wish that is still pending shows as ERROR", min=1
    )
    reservation_seconds: float = option(
        60.0,
        "How long the creation of a load balancer may wait for the network service; what is left "
        "of one that was interrupted is removed then",
        min=1,
        max=FURTHEST,
    )
    www_authenticate_uri: str = option(
        "", "Address of the identity service, told to clients without a valid token"
    )
    api_base_uri: str = option("", "Base of the addresses in replies; empty: the request's own")
    default_provider_driver: str = option("amphora", "Provider of load balancers that name none")
    enabled_provider_drivers: tuple[str, ...] = option(
        (
            "amphora: The load balancer provider of this installation.",
            "octavia: Deprecated alias of the amphora provider.",
        ),
        "Providers that users may choose, each with the description they see",
    )
    loadbalancer_topology: str = option(
        "SINGLE", "How load balancers run", choices=("SINGLE", "ACTIVE_STANDBY")
    )
    allow_tls_terminated_listeners: bool = option(True, "TERMINATED_HTTPS listeners may be made")
    allow_prometheus_listeners: bool = option(True, "PROMETHEUS listeners may be made")
    allow_ping_health_monitors: bool = option(True, "PING health monitors may be made")
    minimum_tls_version: str = option("", "Oldest TLS version that users may choose; empty: any")
    tls_cipher_prohibit_list: tuple[str, ...] = option((), "Ciphers that nobody may use")
    udp_connect_min_interval_health_monitor: int = option(
        3, "Least delay of UDP-CONNECT monitors in seconds: less floods members", min=0
    )
    allow_vip_network_id: bool = option(True, "Users may give the network of a VIP")
    allow_vip_subnet_id: bool = option(True, "Users may give the subnet of a VIP")
    allow_vip_port_id: bool = option(True, "Users may give the port of a VIP")
    valid_vip_networks: tuple[str, ...] = option((), "Networks that VIPs may be on; empty: any")
    denylist_vip_networks: tuple[str, ...] = option((), "Networks that no VIP may be on")
    allow_invisible_resource_usage: bool = option(
        False, "Users may name subnets, networks and ports that they cannot see"
    )
    reserved_ips: tuple[str, ...] = option(
        ("169.254.169.254",), "Addresses that no member may have: the metadata service"
    )
    timeout_client_data: int = option(50000, "Default of listeners (ms)")
    timeout_member_connect: int = option(5000, "Default of listeners (ms)")
    timeout_member_data: int = option(50000, "Default of listeners (ms)")
    timeout_tcp_inspect: int = option(0, "Default of listeners (ms)")
    default_listener_ciphers: str = option(":".join(_CIPHERS), "Ciphers of listeners")
    default_listener_tls_versions: tuple[str, ...] = option(_VERSIONS, "TLS versions of listeners")
    default_listener_alpn_protocols: tuple[str, ...] = option(_ALPN, "ALPN of listeners")
    default_pool_ciphers: str = option(":".join(_CIPHERS), "Ciphers towards members")
    default_pool_tls_versions: tuple[str, ...] = option(_VERSIONS, "TLS versions to members")

    def deployment(self) -> Deployment:
        """Return what rules depend on."""
        return Deployment(
            allow_tls_terminated_listeners=self.allow_tls_terminated_listeners,
            allow_prometheus_listeners=self.allow_prometheus_listeners,
            allow_ping_health_monitors=self.allow_ping_health_monitors,
            minimum_tls_version=self.minimum_tls_version or None,
            tls_cipher_prohibit_list=self.tls_cipher_prohibit_list,
            udp_connect_min_interval_health_monitor=self.udp_connect_min_interval_health_monitor,
            reserved_ips=self.reserved_ips,
        )

    def defaults(self) -> dict[str, Any]:
        """Return the configured defaults of attributes by option name (`lb.declare.Configured`)."""
        listed = (
            "default_listener_tls_versions",
            "default_listener_alpn_protocols",
            "default_pool_tls_versions",
        )
        names = (
            "timeout_client_data",
            "timeout_member_connect",
            "timeout_member_data",
            "timeout_tcp_inspect",
            "default_listener_ciphers",
            "default_pool_ciphers",
        )
        defaults: dict[str, Any] = {name: getattr(self, name) for name in names}
        for name in listed:
            defaults[name] = list(getattr(self, name))
        return defaults

    def providers(self) -> dict[str, str]:
        """Return the descriptions of the enabled providers by name."""
        pairs = (entry.partition(":") for entry in self.enabled_provider_drivers)
        return {name.strip(): description.strip() for name, _, description in pairs}
