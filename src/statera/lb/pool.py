"""The pool: a set of members, how to choose among them and how to keep a client on one."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from statera.lb import shared
from statera.lb.declare import (
    DEFAULT,
    FALSE,
    NO,
    OPTIONAL,
    REFUSE,
    REQUIRED,
    RESET,
    Attr,
    Configured,
    Info,
    Part,
    Resource,
    related,
)
from statera.lb.health_monitor import HealthMonitor
from statera.lb.kinds import IDENTITY, Address, Boolean, Choice, Integer, Listing, Text, Uuid
from statera.lb.member import Member
from statera.lb.protocols import ALGORITHMS, ALPN_PROTOCOLS, PERSISTENCES, POOL_PROTOCOLS
from statera.lb.statuses import OFFLINE

CIPHERS = Text(2048)
"""Charset and prohibited names are a rule with its own text (`lb.rules`)."""
REFERENCE = Text(255)
ALPN_IDS = Listing(Choice(ALPN_PROTOCOLS), refusal="Value should be a valid ALPN protocol ID")

_COOKIE = re.compile(r"^[^\s,;\\]+\Z")


class SessionPersistence(Resource, frozen=True, kw_only=True):
    """How a client is kept on one member; a part of the pool, stored with it."""

    type: Annotated[str | None, Attr(Choice(PERSISTENCES), "What identifies a client")] = None
    cookie_name: Annotated[
        str | None,
        Attr(
            Text(255, pattern=_COOKIE, refusal='Supplied "cookie_name" is invalid.'),
            "Cookie of the application (APP_COOKIE)",
        ),
    ] = None
    persistence_timeout: Annotated[
        int | None, Attr(Integer(), "Seconds a client is remembered (UDP, SCTP)", since="2.2")
    ] = None
    persistence_granularity: Annotated[
        str | None, Attr(Address(), "Netmask of one client (UDP, SCTP)", since="2.2")
    ] = None


LOADBALANCER_ID = Attr(Uuid(), "Load balancer it belongs to", tree=NO, shown=False, stored=False)
LISTENER_ID = Attr(
    Uuid(),
    "Listener whose default pool it becomes",
    tree=NO,
    shown=False,
    stored=False,
    filtered=False,
)
PROTOCOL = Attr(
    Choice(POOL_PROTOCOLS), "Protocol towards the members", create=REQUIRED, tree=OPTIONAL
)
LB_ALGORITHM = Attr(
    Choice(ALGORITHMS),
    "How a member is chosen",
    create=REQUIRED,
    tree=OPTIONAL,
    update=True,
    null_on_update=REFUSE,
)
SESSION_PERSISTENCE = Attr(
    Part(lambda: SessionPersistence), "How a client is kept on one member", update=True,
    filtered=False,
)  # fmt: skip
TLS_ENABLED = Attr(
    Boolean(),
    "Encrypt towards the members",
    update=True,
    default=False,
    null_on_create=FALSE,
    null_on_update=FALSE,
    since="2.8",
)
TLS_CONTAINER_REF = Attr(REFERENCE, "Client certificate for the members", update=True, since="2.8")
CA_REF = Attr(REFERENCE, "CA that members are verified by", update=True, since="2.8")
CRL_REF = Attr(REFERENCE, "Revocation list of that CA", update=True, since="2.8")
TLS_CIPHERS = Attr(
    CIPHERS,
    "Ciphers towards the members",
    update=True,
    since="2.15",
    null_on_update=RESET,
    reset=Configured("default_pool_ciphers"),
)
TLS_VERSIONS = Attr(
    Listing(Text(32)),
    "TLS versions towards the members",
    update=True,
    since="2.18",
    null_when_empty=True,
    filtered=False,
    null_on_update=RESET,
    reset=Configured("default_pool_tls_versions"),
)
ALPN = Attr(
    ALPN_IDS,
    "Protocols offered to the members",
    update=True,
    since="2.24",
    null_when_empty=True,
    filtered=False,
)
TREE_MONITOR = Attr(
    Part(lambda: HealthMonitor),
    "Monitor created with it",
    create=NO,
    tree=OPTIONAL,
    stored=False,
    shown=False,
    filtered=False,
)
TREE_MEMBERS = Attr(
    Part(lambda: Member, many=True),
    "Members of the pool",
    create=NO,
    tree=OPTIONAL,
    default=[],
    null_on_create=DEFAULT,
    stored=False,
    filtered=False,
)


class Pool(Resource, frozen=True, kw_only=True):
    """A set of members.  It belongs to the load balancer, so that listeners can share it."""

    info: ClassVar[Info] = Info(root="pool", plural="pools", argument="pool_", title="Pool")

    load_balancer_id: str = ""

    id: Annotated[str, shared.ID]
    name: Annotated[str | None, shared.NAME] = ""
    description: Annotated[str | None, shared.DESCRIPTION] = ""
    provisioning_status: Annotated[str, shared.PROVISIONING_STATUS] = ""
    operating_status: Annotated[str, shared.OPERATING_STATUS] = OFFLINE
    admin_state_up: Annotated[bool, shared.ADMIN_STATE_UP] = True
    loadbalancer_id: Annotated[str | None, LOADBALANCER_ID] = None
    listener_id: Annotated[str | None, LISTENER_ID] = None
    protocol: Annotated[str, PROTOCOL]
    lb_algorithm: Annotated[str, LB_ALGORITHM]
    session_persistence: Annotated[dict[str, Any] | None, SESSION_PERSISTENCE] = None
    project_id: Annotated[str, shared.PROJECT_ID] = ""
    loadbalancers: Annotated[list[str], shared.LOAD_BALANCERS] = []
    listeners: Annotated[list[str], shared.LISTENERS] = []
    created_at: Annotated[str | None, shared.CREATED_AT] = None
    updated_at: Annotated[str | None, shared.UPDATED_AT] = None
    healthmonitor: Annotated[Any, TREE_MONITOR] = None
    healthmonitor_id: Annotated[
        str | None, related(IDENTITY, "Its health monitor, if it has one", tree=NO, omitted=True)
    ] = None
    members: Annotated[list[Any], TREE_MEMBERS] = []
    tags: Annotated[list[str], shared.TAGS] = []
    tls_container_ref: Annotated[str | None, TLS_CONTAINER_REF] = None
    ca_tls_container_ref: Annotated[str | None, CA_REF] = None
    crl_container_ref: Annotated[str | None, CRL_REF] = None
    tls_enabled: Annotated[bool, TLS_ENABLED] = False
    tls_ciphers: Annotated[str | None, TLS_CIPHERS] = None
    tls_versions: Annotated[list[str] | None, TLS_VERSIONS] = None
    alpn_protocols: Annotated[list[str] | None, ALPN] = None
