"""The document an agent receives: everything one amphora must make true, as data.

It holds objects, not HAProxy text, because the agent sits beside the binary: it knows its version,
holds the old document against the new one and picks the least disturbing way.  Unknown fields are
ignored by older agents, so every field that *restricts* traffic is an ability an agent must have
declared (`spec.abilities`) before such a document is sent to it.

All times are milliseconds unless a name says otherwise; addresses are text in canonical form.
"""

from __future__ import annotations

import msgspec

from statera.lb.listener import ListenerTraffic

SPEC_VERSION = 1


class Struct(msgspec.Struct, frozen=True, kw_only=True):
    """Common shape of the wire structs: immutable, named arguments only."""


class Address(Struct, frozen=True, kw_only=True):
    """One address of an interface."""

    ip: str
    prefix: int


class Route(Struct, frozen=True, kw_only=True):
    """A route inside the amphora; `destination` is a CIDR (`0.0.0.0/0` is the default route)."""

    destination: str
    via: str


class Interface(Struct, frozen=True, kw_only=True):
    """One link of the amphora into a network.  `port_id` names it and fixes its MAC."""

    port_id: str
    network_id: str
    mac: str
    mtu: int = 1500
    addresses: tuple[Address, ...] = ()
    """Own addresses of the amphora on that network, and on the VIP network also the VIPs."""
    routes: tuple[Route, ...] = ()


class Persistence(Struct, frozen=True, kw_only=True):
    """Session persistence of a pool."""

    type: str
    """SOURCE_IP, HTTP_COOKIE or APP_COOKIE."""
    cookie_name: str | None = None
    timeout: int | None = None
    granularity: str | None = None


class Monitor(Struct, frozen=True, kw_only=True):
    """Health monitor of a pool.  `delay` and `timeout` are seconds, as in the API."""

    id: str
    type: str
    delay: int
    timeout: int
    rise: int
    fall: int
    http_method: str | None = None
    url_path: str | None = None
    expected_codes: str | None = None
    http_version: float | None = None
    domain_name: str | None = None
    enabled: bool = True


class Member(Struct, frozen=True, kw_only=True):
    """One backend server."""

    id: str
    address: str
    port: int
    weight: int = 1
    backup: bool = False
    enabled: bool = True
    monitor_address: str | None = None
    monitor_port: int | None = None


class Pool(Struct, frozen=True, kw_only=True):
    """A set of members and how to choose among them."""

    id: str
    protocol: str
    algorithm: str
    enabled: bool = True
    persistence: Persistence | None = None
    monitor: Monitor | None = None
    members: tuple[Member, ...] = ()


class Listener(ListenerTraffic, frozen=True, kw_only=True):
    """One port of the VIP.

    Its traffic's attributes have the names, types and defaults of their declaration:
    `connection_limit` -1 is the agent's default, no `allowed_cidrs` are everybody.
    """

    id: str
    protocol: str
    port: int
    default_pool_id: str | None = None
    enabled: bool = True


class AmphoraSpec(Struct, frozen=True, kw_only=True):
    """Everything one amphora must make true.

    `(epoch, revision)` orders the documents of one amphora: an agent obeys only a higher pair.
    `generation` is the load balancer's wish that the document expresses.
    """

    version: int = SPEC_VERSION
    amphora_id: str
    load_balancer_id: str
    project_id: str
    epoch: int
    revision: int
    generation: int
    role: str = "STANDALONE"
    priority: int = 100
    enabled: bool = True
    """False: the load balancer is administratively down; nothing is bound."""
    vips: tuple[str, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    listeners: tuple[Listener, ...] = ()
    pools: tuple[Pool, ...] = ()
    cookie_key: str = ""
    """Key of the persistence cookies; equal on every amphora of the load balancer."""


class SubnetSpec(Struct, frozen=True, kw_only=True):
    """An address range of a network; the machine answers on `gateway` when it is given."""

    id: str
    cidr: str
    gateway: str | None = None


class NetworkSpec(Struct, frozen=True, kw_only=True):
    """An embedded network that the machine must carry: one bridge, with its gateway addresses."""

    version: int = SPEC_VERSION
    network_id: str
    epoch: int
    revision: int
    mtu: int = 1500
    subnets: tuple[SubnetSpec, ...] = ()


# Threads that meet a type first at the same moment crash msgspec, so it meets all of them here.
for _kind in (AmphoraSpec, NetworkSpec):
    msgspec.msgpack.Decoder(_kind)
