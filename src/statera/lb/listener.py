"""The listener: one port of the VIP and what happens to what arrives there."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from statera.lb import shared
from statera.lb.declare import (
    DEFAULT,
    FALSE,
    NO,
    OPTIONAL,
    REQUIRED,
    RESET,
    Attr,
    Carried,
    Configured,
    Info,
    Part,
    Resource,
    related,
)
from statera.lb.kinds import (
    REFERENCES,
    Boolean,
    Choice,
    Cidr,
    Integer,
    Listing,
    Strings,
    Text,
    Uuid,
)
from statera.lb.pool import ALPN_IDS, CIPHERS, REFERENCE, Pool
from statera.lb.protocols import LISTENER_PROTOCOLS
from statera.lb.statuses import OFFLINE

CLIENT_AUTHENTICATION = ("NONE", "OPTIONAL", "MANDATORY")
LONGEST_TIMEOUT = 2_073_600_000
"""24 days in milliseconds: more overflows the engine's timers."""


def _timeout(name: str, doc: str) -> Attr:
    return Attr(
        Integer(0, LONGEST_TIMEOUT),
        f"{doc} (ms)",
        update=True,
        default=Configured(name),
        null_on_create=DEFAULT,
        null_on_update=DEFAULT,
        since="2.1",
    )


def _switch(doc: str) -> Attr:
    return Attr(
        Boolean(),
        doc,
        update=True,
        default=False,
        null_on_create=FALSE,
        null_on_update=FALSE,
        since="2.27",
    )


LOADBALANCER_ID = Attr(
    Uuid(), "Load balancer it belongs to", create=REQUIRED, tree=NO, shown=False, stored=False
)
PROTOCOL = Attr(Choice(LISTENER_PROTOCOLS), "Protocol of the clients", create=REQUIRED)
PROTOCOL_PORT = Attr(Integer(1, 65535), "Port of the VIP", create=REQUIRED)
CONNECTION_LIMIT = Attr(
    Integer(-1),
    "Most connections at a time; -1: the installation's limit",
    update=True,
    default=-1,
    null_on_create=DEFAULT,
    null_on_update=DEFAULT,
)
TLS_REF = Attr(REFERENCE, "Certificate served by default", update=True)
SNI_REFS = Attr(
    Listing(REFERENCE, unique=True),
    "Certificates chosen by server name",
    update=True,
    default=[],
    null_on_create=DEFAULT,
    null_on_update=DEFAULT,
    filtered=False,
)
DEFAULT_POOL_ID = Attr(Uuid(), "Pool that gets what no policy takes", update=True)
TREE_DEFAULT_POOL = Attr(
    Part(lambda: Pool),
    "Pool created with it, or named from the same request",
    create=NO,
    tree=OPTIONAL,
    stored=False,
    shown=False,
    filtered=False,
)
INSERT_HEADERS = Attr(
    Strings(),
    "Headers added towards the members",
    update=True,
    default={},
    null_on_create=DEFAULT,
    null_on_update=DEFAULT,
    filtered=False,
)
CLIENT_CA_REF = Attr(REFERENCE, "CA that clients are verified by", update=True, since="2.8")
CLIENT_CRL_REF = Attr(REFERENCE, "Revocation list of that CA", update=True, since="2.8")
CLIENT_AUTH = Attr(
    Choice(CLIENT_AUTHENTICATION),
    "Whether clients must show a certificate",
    update=True,
    default="NONE",
    null_on_create=DEFAULT,
    null_on_update=DEFAULT,
    since="2.8",
)
ALLOWED_CIDRS = Attr(
    Listing(Cidr(), unique=True),
    "Networks that may connect; none: everybody",
    update=True,
    since="2.12",
    null_when_empty=True,
    filtered=False,
)
TLS_CIPHERS = Attr(
    CIPHERS,
    "Ciphers for clients",
    update=True,
    since="2.15",
    null_on_update=RESET,
    reset=Configured("default_listener_ciphers"),
)
TLS_VERSIONS = Attr(
    Listing(Text(32)),
    "TLS versions for clients",
    update=True,
    since="2.17",
    null_when_empty=True,
    filtered=False,
    null_on_update=RESET,
    reset=Configured("default_listener_tls_versions"),
)
ALPN = Attr(
    ALPN_IDS,
    "Protocols offered to clients",
    update=True,
    since="2.20",
    null_when_empty=True,
    filtered=False,
    null_on_update=RESET,
    reset=Configured("default_listener_alpn_protocols"),
)
HSTS_MAX_AGE = Attr(
    Integer(0), "Seconds browsers insist on TLS; null: off", update=True, since="2.27"
)


class ListenerTraffic(Carried, frozen=True, kw_only=True):
    """What of a listener steers its traffic; the document carries it as it is declared here."""

    connection_limit: Annotated[int, CONNECTION_LIMIT] = -1
    insert_headers: Annotated[dict[str, str], INSERT_HEADERS] = {}
    timeout_client_data: Annotated[
        int, _timeout("timeout_client_data", "Longest silence of a client")
    ] = 50_000
    timeout_member_connect: Annotated[
        int, _timeout("timeout_member_connect", "Longest wait for a member to accept")
    ] = 5_000
    timeout_member_data: Annotated[
        int, _timeout("timeout_member_data", "Longest silence of a member")
    ] = 50_000
    timeout_tcp_inspect: Annotated[
        int, _timeout("timeout_tcp_inspect", "Longest wait for data to decide on")
    ] = 0
    allowed_cidrs: Annotated[tuple[str, ...], ALLOWED_CIDRS] = ()


class Listener(Resource, frozen=True, kw_only=True):
    """One port of the VIP; unique per load balancer in its port space (TCP, UDP, SCTP)."""

    info: ClassVar[Info] = Info(
        root="listener", plural="listeners", argument="listener_", title="Listener"
    )

    load_balancer_id: str = ""

    id: Annotated[str, shared.ID]
    name: Annotated[str | None, shared.NAME] = ""
    description: Annotated[str | None, shared.DESCRIPTION] = ""
    provisioning_status: Annotated[str, shared.PROVISIONING_STATUS] = ""
    operating_status: Annotated[str, shared.OPERATING_STATUS] = OFFLINE
    admin_state_up: Annotated[bool, shared.ADMIN_STATE_UP] = True
    loadbalancer_id: Annotated[str | None, LOADBALANCER_ID] = None
    protocol: Annotated[str, PROTOCOL]
    protocol_port: Annotated[int, PROTOCOL_PORT]
    traffic: ListenerTraffic = ListenerTraffic()
    default_tls_container_ref: Annotated[str | None, TLS_REF] = None
    sni_container_refs: Annotated[list[str], SNI_REFS] = []
    project_id: Annotated[str, shared.PROJECT_ID] = ""
    default_pool_id: Annotated[str | None, DEFAULT_POOL_ID] = None
    default_pool: Annotated[Any, TREE_DEFAULT_POOL] = None
    l7policies: Annotated[list[str], related(REFERENCES, "Its policies by position")] = []
    created_at: Annotated[str | None, shared.CREATED_AT] = None
    updated_at: Annotated[str | None, shared.UPDATED_AT] = None
    loadbalancers: Annotated[list[str], shared.LOAD_BALANCERS] = []
    tags: Annotated[list[str], shared.TAGS] = []
    client_ca_tls_container_ref: Annotated[str | None, CLIENT_CA_REF] = None
    client_authentication: Annotated[str, CLIENT_AUTH] = "NONE"
    client_crl_container_ref: Annotated[str | None, CLIENT_CRL_REF] = None
    tls_ciphers: Annotated[str | None, TLS_CIPHERS] = None
    tls_versions: Annotated[list[str] | None, TLS_VERSIONS] = None
    alpn_protocols: Annotated[list[str] | None, ALPN] = None
    hsts_max_age: Annotated[int | None, HSTS_MAX_AGE] = None
    hsts_include_subdomains: Annotated[bool, _switch("HSTS covers subdomains")] = False
    hsts_preload: Annotated[bool, _switch("HSTS asks for preloading")] = False
