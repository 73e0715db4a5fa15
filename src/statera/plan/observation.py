"""What is known about the world when a plan is made: values, so that plans can be replayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from statera.spec.document import AmphoraSpec
from statera.spec.report import Fault

PENDING_CREATE = "PENDING_CREATE"
PENDING_DELETE = "PENDING_DELETE"
ALLOCATED = "ALLOCATED"
DELETED = "DELETED"
"""Statuses of an amphora that converging gives it (`status-and-drivers` §7)."""


@dataclass(frozen=True, slots=True)
class Range:
    """A subnet: where its addresses are and how to leave it."""

    subnet_id: str
    cidr: str
    gateway_ip: str | None = None
    host_routes: tuple[tuple[str, str], ...] = ()
    """(destination CIDR, next hop)."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A network that amphorae are plugged into."""

    network_id: str
    mtu: int
    ranges: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True)
class Plug:
    """A port that exists; `addresses` are (subnet id, address)."""

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """The document of an amphora; `spec` is None when it is retired."""

    epoch: int
    revision: int
    generation: int
    retired: bool = False
    spec: AmphoraSpec | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """What the agent says is in force (zeros: nothing)."""

    epoch: int
    revision: int
    generation: int
    serving: bool = False
    retired: bool = False
    faults: tuple[Fault, ...] = ()
    estranged: bool = False
    """The agent holds what this database did not publish."""


@dataclass(frozen=True, slots=True)
class Amphora:
    """One amphora with its document and what is known of it.  DELETED ones are not observed."""

    id: str
    role: str
    status: str
    born: int = 0
    machine_id: str | None = None
    compute_id: str | None = None
    port_id: str | None = None
    vrrp_ip: str | None = None
    ports: Mapping[str, str] = field(default_factory=dict)
    """Further ports: subnet id -> port id, empty while the port is being made."""
    connected: bool = False
    """The machine's agent has a stream to a gateway."""
    abilities: frozenset[str] = frozenset()
    published: Published | None = None
    reported: Reported | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """The world around one load balancer."""

    fresh_id: str
    """Id that a new amphora would get."""
    amphorae: tuple[Amphora, ...] = ()
    plugs: Mapping[str, Plug] = field(default_factory=dict)
    """Ports that exist, by id."""
    segments: Mapping[str, Segment] = field(default_factory=dict)
    """Networks, by id."""
    homes: Mapping[str, str] = field(default_factory=dict)
    """Subnet id of a member or a port -> network id; subnets that are gone are missing."""
    reports: bool = True
    """Agents report; without, a published document counts as in force."""
