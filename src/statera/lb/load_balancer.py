"""The load balancer: the one root object, with its VIP and additional VIPs."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from statera.lb import shared
from statera.lb.declare import (
    DEFAULT,
    REQUIRED,
    Attr,
    Info,
    Part,
    Resource,
    output,
)
from statera.lb.kinds import WORD, Address, Listing, Text, Uuid
from statera.lb.listener import Listener
from statera.lb.pool import Pool
from statera.lb.statuses import OFFLINE


class AdditionalVip(Resource, frozen=True, kw_only=True):
    """A further address of the VIP port, on another subnet of the same network."""

    subnet_id: Annotated[str, Attr(Uuid(), "Subnet of the address", create=REQUIRED)]
    ip_address: Annotated[str | None, Attr(Address(), "The address; null: any free one")] = None
    port_id: Annotated[str | None, Attr(Uuid(), "The VIP port")] = None


PROJECT_ID = Attr(Text(36), "Owning project; null: the caller's")
PROVIDER = Attr(Text(64), "Who runs it; null: the installation's default")
FLAVOR_ID = Attr(Uuid(), "Flavor", since="2.6")
AVAILABILITY_ZONE = Attr(Text(), "Availability zone", since="2.14")
VIP_ADDRESS = Attr(Address(), "Address that clients connect to; null: any free one")
VIP_SG_IDS = Attr(
    Listing(Uuid(), unique=True),
    "Security groups of the VIP port",
    update=True,
    default=[],
    null_on_create=DEFAULT,
    null_on_update=DEFAULT,
    since="2.29",
    filtered=False,
)
ADDITIONAL_VIPS = Attr(
    Part(lambda: AdditionalVip, many=True),
    "Further addresses",
    default=[],
    null_on_create=DEFAULT,
    since="2.26",
    stored=False,
    filtered=False,
)
TREE_LISTENERS = Attr(
    Part(lambda: Listener, many=True),
    "Its listeners",
    default=[],
    null_on_create=DEFAULT,
    stored=False,
    filtered=False,
)
TREE_POOLS = Attr(
    Part(lambda: Pool, many=True),
    "Its pools",
    default=[],
    null_on_create=DEFAULT,
    stored=False,
    filtered=False,
)


class LoadBalancer(Resource, frozen=True, kw_only=True):
    """The root object: every other one belongs to exactly one load balancer."""

    info: ClassVar[Info] = Info(
        root="loadbalancer",
        plural="loadbalancers",
        argument="load_balancer",
        title="Load Balancer",
    )

    topology: str = "SINGLE"
    vip_port_owned: bool = True
    """The service created the VIP port and removes it."""
    reserved_until: float | None = None
    """An outside call is under way until then at most (design §4)."""

    id: Annotated[str, shared.ID]
    name: Annotated[str | None, shared.NAME] = ""
    description: Annotated[str | None, shared.DESCRIPTION] = ""
    provisioning_status: Annotated[str, shared.PROVISIONING_STATUS] = ""
    operating_status: Annotated[str, shared.OPERATING_STATUS] = OFFLINE
    admin_state_up: Annotated[bool, shared.ADMIN_STATE_UP] = True
    project_id: Annotated[str, PROJECT_ID] = ""
    created_at: Annotated[str | None, shared.CREATED_AT] = None
    updated_at: Annotated[str | None, shared.UPDATED_AT] = None
    vip_address: Annotated[str | None, VIP_ADDRESS] = None
    vip_port_id: Annotated[str | None, Attr(Uuid(), "Port that holds the VIP")] = None
    vip_subnet_id: Annotated[str | None, Attr(Uuid(), "Subnet of the VIP")] = None
    vip_network_id: Annotated[str | None, Attr(Uuid(), "Network of the VIP")] = None
    vip_sg_ids: Annotated[list[str], VIP_SG_IDS] = []
    additional_vips: Annotated[list[Any], ADDITIONAL_VIPS] = []
    listeners: Annotated[list[Any], TREE_LISTENERS] = []
    pools: Annotated[list[Any], TREE_POOLS] = []
    provider: Annotated[str | None, PROVIDER] = None
    flavor_id: Annotated[str | None, FLAVOR_ID] = None
    vip_qos_policy_id: Annotated[str | None, Attr(Uuid(), "QoS policy of the VIP", update=True)] = (
        None
    )
    tags: Annotated[list[str], shared.TAGS] = []
    availability_zone: Annotated[str | None, AVAILABILITY_ZONE] = None
    vip_vnic_type: Annotated[str, output(WORD, "Kind of the VIP port", since="2.28")] = "normal"
