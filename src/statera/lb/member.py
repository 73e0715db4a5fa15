"""The member: one backend server of a pool."""

from __future__ import annotations

from typing import Annotated, ClassVar

from statera.lb import shared
from statera.lb.declare import DEFAULT, FALSE, REQUIRED, Attr, Info, Resource, output
from statera.lb.kinds import WORD, Address, Boolean, Integer, Uuid
from statera.lb.statuses import NO_MONITOR

WEIGHT = Attr(
    Integer(0, 256),
    "Share of new connections; 0 drains",
    update=True,
    default=1,
    null_on_create=DEFAULT,
    null_on_update=DEFAULT,
)
BACKUP = Attr(
    Boolean(),
    "Used only when every other member is down",
    update=True,
    default=False,
    null_on_create=FALSE,
    null_on_update=FALSE,
    since="2.1",
)
MONITOR_ADDRESS = Attr(Address(), "Address that health checks use instead", update=True)
MONITOR_PORT = Attr(Integer(1, 65535), "Port that health checks use instead", update=True)
REQUEST_SRIOV = Attr(
    Boolean(),
    "Ask for an SR-IOV port towards the member",
    default=False,
    null_on_create=FALSE,
    since="2.30",
    shown=False,
    filtered=False,
    stored=False,
)


class Member(Resource, frozen=True, kw_only=True):
    """One backend server; (address, protocol_port) is unique among the living of a pool."""

    info: ClassVar[Info] = Info(root="member", plural="members", argument="member_", title="Member")

    load_balancer_id: str = ""
    pool_id: str = ""

    id: Annotated[str, shared.ID]
    name: Annotated[str | None, shared.NAME] = ""
    operating_status: Annotated[str, shared.OPERATING_STATUS] = NO_MONITOR
    provisioning_status: Annotated[str, shared.PROVISIONING_STATUS] = ""
    admin_state_up: Annotated[bool, shared.ADMIN_STATE_UP] = True
    address: Annotated[str, Attr(Address(), "Address of the server", create=REQUIRED)]
    protocol_port: Annotated[int, Attr(Integer(1, 65535), "Port of the server", create=REQUIRED)]
    weight: Annotated[int, WEIGHT] = 1
    backup: Annotated[bool, BACKUP] = False
    subnet_id: Annotated[str | None, Attr(Uuid(), "Subnet that reaches the address")] = None
    project_id: Annotated[str, shared.PROJECT_ID] = ""
    created_at: Annotated[str | None, shared.CREATED_AT] = None
    updated_at: Annotated[str | None, shared.UPDATED_AT] = None
    monitor_address: Annotated[str | None, MONITOR_ADDRESS] = None
    monitor_port: Annotated[int | None, MONITOR_PORT] = None
    tags: Annotated[list[str], shared.TAGS] = []
    request_sriov: Annotated[bool, REQUEST_SRIOV] = False
    vnic_type: Annotated[str, output(WORD, "Kind of the port", since="2.30")] = "normal"
