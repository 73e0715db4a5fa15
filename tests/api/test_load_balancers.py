"""Load balancers: creation with its VIP, update, deletion, statistics, status tree."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from statera.api.settings import ApiSettings
from statera.edges.network.protocol import FixedIp, Port, PortRequest
from statera.lb.errors import Retryable
from statera.store.tables.objects import load_balancer
from statera.store.tables.placement import amphora, counter
from statera.store.tables.work import work
from statera.store.types import now
from tests.api.harness import (
    NET,
    OTHER_NET,
    OTHER_SUBNET,
    PROJECT,
    SUBNET,
    SUBNET6,
    UNKNOWN,
    Api,
)
from tests.api.worlds import World

PORT = "44444444-4444-4444-8444-444444444444"
RULE = "Validation failure: "

SHOWN = {
    "id", "name", "description", "provisioning_status", "operating_status", "admin_state_up",
    "project_id", "tenant_id", "created_at", "updated_at", "vip_address", "vip_port_id",
    "vip_subnet_id", "vip_network_id", "vip_sg_ids", "additional_vips", "listeners", "pools",
    "provider", "flavor_id", "vip_qos_policy_id", "tags", "availability_zone", "vip_vnic_type",
}  # fmt: skip


def _port(api: Api, *addresses: tuple[str, str], device: str = "", qos: str | None = None) -> None:
    fixed = tuple(FixedIp(subnet, address) for subnet, address in addresses)
    api.networks.ports[PORT] = Port(PORT, NET, "02:00:00:00:00:02", fixed, device, False, qos)


def test_a_creation_answers_with_what_was_stored(api: Api) -> None:
    """With defaults, its VIP, and the same as a later show."""
    made = api.load_balancer(name="web", description=None, tags=["b", "a", "b"])
    assert made.keys() == SHOWN
    assert made == api.get(f"/loadbalancers/{made['id']}")["loadbalancer"]
    port = api.networks.ports[made["vip_port_id"]]
    expected = {
        "name": "web",
        "description": "",
        "provisioning_status": "PENDING_CREATE",
        "operating_status": "OFFLINE",
        "admin_state_up": True,
        "project_id": PROJECT,
        "vip_address": port.fixed_ips[0].ip_address,
        "vip_subnet_id": SUBNET,
        "vip_network_id": NET,
        "provider": "amphora",
        "tags": ["a", "b"],
        "listeners": [],
        "updated_at": None,
    }
    assert {name: made[name] for name in expected} == expected


def test_the_vip_port_is_named_after_the_load_balancer(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a crash between making and noting it loses nothing."""
    asked: list[PortRequest] = []
    ensure = api.networks.ensure_port

    def note(request: PortRequest) -> Port:
        asked.append(request)
        return ensure(request)

    monkeypatch.setattr(api.networks, "ensure_port", note)
    made = api.load_balancer(additional_vips=[{"subnet_id": SUBNET6, "ip_address": "fd00::7"}])
    assert asked == [
        PortRequest(
            name=f"octavia-lb-{made['id']}",
            project_id=PROJECT,
            network_id=NET,
            device_id=f"lb-{made['id']}",
            device_owner="Octavia",
            fixed_ips=((SUBNET, None), (SUBNET6, "fd00::7")),
        )
    ]
    shown = {"subnet_id": SUBNET6, "ip_address": "fd00::7", "port_id": made["vip_port_id"]}
    assert made["additional_vips"] == [shown]


@pytest.mark.parametrize(
    ("values", "subnet", "address"),
    [
        ({"vip_subnet_id": SUBNET}, SUBNET, None),
        ({"vip_subnet_id": SUBNET, "vip_address": "10.1.0.77"}, SUBNET, "10.1.0.77"),
        ({"vip_network_id": NET}, SUBNET, None),
        ({"vip_network_id": NET, "vip_subnet_id": SUBNET6}, SUBNET6, None),
        ({"vip_network_id": NET, "vip_address": "fd00::9"}, SUBNET6, "fd00::9"),
        ({"vip_network_id": NET, "vip_address": "10.1.0.9"}, SUBNET, "10.1.0.9"),
        ({"vip_subnet_id": SUBNET, "vip_network_id": None, "vip_port_id": None}, SUBNET, None),
        ({"vip_port_id": PORT, "vip_subnet_id": SUBNET6}, SUBNET6, "fd00::5"),
        ({"vip_port_id": PORT, "vip_address": "FD00:0::5"}, SUBNET6, "FD00:0::5"),
        (
            {"vip_port_id": PORT, "vip_network_id": OTHER_NET, "vip_subnet_id": SUBNET},
            SUBNET,
            "10.1.0.5",
        ),
    ],
)
def test_where_a_vip_comes_from(
    api: Api, values: dict[str, Any], subnet: str, address: str | None
) -> None:
    """Port before network before subnet."""
    _port(api, (SUBNET, "10.1.0.5"), (SUBNET6, "fd00::5"))
    made = api.make("/loadbalancers", "loadbalancer", values)
    assert (made["vip_network_id"], made["vip_subnet_id"]) == (NET, subnet)
    assert address in (None, made["vip_address"])
    if values.get("vip_port_id"):
        assert made["vip_port_id"] == PORT
        assert api.networks.ports[PORT].device_id == f"lb-{made['id']}"


def test_a_port_with_one_address_is_enough(api: Api) -> None:
    """Its quality of service is adopted."""
    _port(api, (SUBNET, "10.1.0.5"), qos=UNKNOWN)
    made = api.make("/loadbalancers", "loadbalancer", {"vip_port_id": PORT})
    assert (made["vip_subnet_id"], made["vip_address"]) == (SUBNET, "10.1.0.5")
    assert made["vip_qos_policy_id"] == UNKNOWN


MISSING = "VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id."
BAD_VIPS: list[tuple[dict[str, Any], str]] = [
    ({}, RULE + MISSING),
    ({"vip_address": "10.1.0.5"}, RULE + MISSING),
    ({"vip_port_id": UNKNOWN}, f"Port {UNKNOWN} not found."),
    ({"vip_port_id": PORT, "vip_subnet_id": UNKNOWN}, f"Subnet {UNKNOWN} not found."),
    (
        {"vip_port_id": PORT, "vip_subnet_id": OTHER_SUBNET},
        f"{RULE}No VIP address found on the specified VIP port within the specified subnet.",
    ),
    (
        {"vip_port_id": PORT, "vip_address": "10.1.0.6"},
        f"{RULE}Specified VIP address not found on the specified VIP port.",
    ),
    (
        {"vip_port_id": PORT},
        f"{RULE}VIP port's subnet could not be determined. Please specify either a VIP subnet or "
        "address.",
    ),
    ({"vip_network_id": UNKNOWN}, f"Network {UNKNOWN} not found."),
    ({"vip_network_id": NET, "vip_subnet_id": OTHER_SUBNET}, f"Subnet {OTHER_SUBNET} not found."),
    (
        {"vip_network_id": NET, "vip_address": "192.0.2.1"},
        f"{RULE}Supplied network does not contain a subnet for VIP address specified.",
    ),
    (
        {"vip_network_id": OTHER_NET},
        f"{RULE}Subnet(s) in the supplied network do not contain enough available IPs.",
    ),
    ({"vip_subnet_id": UNKNOWN}, f"Subnet {UNKNOWN} not found."),
    (
        {"vip_subnet_id": SUBNET, "additional_vips": [{"subnet_id": SUBNET}]},
        f"{RULE}Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet.",
    ),
    (
        {"vip_subnet_id": SUBNET, "additional_vips": [{"subnet_id": OTHER_SUBNET}]},
        f"{RULE}All VIP subnets must belong to the same network.",
    ),
    (
        {"vip_subnet_id": SUBNET, "additional_vips": [{"subnet_id": UNKNOWN}]},
        f"Subnet {UNKNOWN} not found",
    ),
    (
        {"vip_subnet_id": SUBNET, "vip_address": "10.7.0.1"},
        "Invalid input for field/attribute vip_address. Value: '10.7.0.1'. "
        "Value should be in the subnet 10.1.0.0/24",
    ),
    (
        {"vip_subnet_id": SUBNET, "vip_qos_policy_id": UNKNOWN},
        f"{RULE}VIP QoS policy is not allowed in this deployment.",
    ),
    ({"vip_subnet_id": SUBNET, "vip_sg_ids": [UNKNOWN]}, f"Security Group {UNKNOWN} not found."),
    ({"vip_subnet_id": SUBNET, "provider": "x"}, "Provider 'x' is not enabled."),
    ({"vip_subnet_id": SUBNET, "provider": ""}, "Provider '' is not enabled."),
    ({"vip_subnet_id": SUBNET, "flavor_id": UNKNOWN}, f"{RULE}Invalid flavor_id."),
    ({"vip_subnet_id": SUBNET, "flavor_id": None}, f"{RULE}Invalid flavor_id."),
    ({"vip_subnet_id": SUBNET, "availability_zone": "a"}, f"{RULE}Invalid availability zone."),
]


@pytest.mark.parametrize(("values", "text"), BAD_VIPS)
def test_creations_refused(api: Api, values: dict[str, Any], text: str) -> None:
    """400, nothing stored, no port made."""
    _port(api, (SUBNET, "10.1.0.5"), (SUBNET6, "fd00::5"))
    before = api.snapshot()
    result = api.call("POST", "/loadbalancers", {"loadbalancer": values})
    assert (result.status_code, result.json["faultstring"]) == (400, text)
    assert api.snapshot() == before
    assert list(api.networks.ports) == [PORT]


def test_a_port_of_another_device_is_refused(api: Api) -> None:
    """With the blank at the end that clients know."""
    _port(api, (SUBNET, "10.1.0.5"), device="vm")
    result = api.call("POST", "/loadbalancers", {"loadbalancer": {"vip_port_id": PORT}})
    text = f"{RULE}Port {PORT} is already used by device vm "
    assert (result.status_code, result.json["faultstring"]) == (400, text)


def test_a_port_that_lost_the_address_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose address it is when the port is claimed counts; the port is given back."""
    _port(api, (SUBNET, "10.1.0.5"))
    claim = api.networks.claim_port

    def late(port_id: str, device_id: str, device_owner: str) -> Port:
        _port(api, (SUBNET, "10.1.0.6"))
        return claim(port_id, device_id, device_owner)

    monkeypatch.setattr(api.networks, "claim_port", late)
    before = api.snapshot()
    result = api.call("POST", "/loadbalancers", {"loadbalancer": {"vip_port_id": PORT}})
    text = f"{RULE}No VIP address found on the specified VIP port within the specified subnet."
    assert (result.status_code, result.json["faultstring"]) == (400, text)
    assert api.snapshot() == before
    assert api.networks.ports[PORT].device_id == ""


def test_a_taken_address_is_409_and_leaves_nothing(api: Api) -> None:
    """The reservation is removed with its work."""
    api.load_balancer(vip_address="10.1.0.50")
    before = api.snapshot()
    body = {"loadbalancer": {"vip_subnet_id": SUBNET, "vip_address": "10.1.0.50"}}
    result = api.call("POST", "/loadbalancers", body)
    assert result.status_code == 409
    assert result.json["faultstring"].startswith("The VIP IP address is already in use: 10.1.0.50")
    assert api.snapshot() == before


def test_a_silent_network_service_is_503_and_cleaned_up_by_work(api: Api) -> None:
    """What it did is not known: the row stays hidden, its work is due when the call is over."""
    api.networks.failure = Retryable("The network service is silent.", 2.5)
    result = api.call("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET}})
    assert (result.status_code, result.headers["retry-after"]) == (503, "3")
    assert api.get("/loadbalancers")["loadbalancers"] == []
    with api.database.engine.connect() as connection:
        assert connection.scalar(sa.select(load_balancer.c.live)) is None
        until = connection.scalar(sa.select(load_balancer.c.reserved_until))
        assert connection.scalar(sa.select(work.c.due_at)) == until


@pytest.mark.parametrize("settings", [ApiSettings(reservation_seconds=-1)])
def test_a_reservation_that_ended_is_not_confirmed(api: Api) -> None:
    """503, and the port is given back."""
    result = api.call("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET}})
    assert result.status_code == 503
    assert api.networks.ports == {}
    assert api.get("/loadbalancers")["loadbalancers"] == []


def test_during_the_call_the_load_balancer_is_hidden(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its work is due when the reservation ends."""
    ensure = api.networks.ensure_port
    seen: list[Any] = []

    def look(request: PortRequest) -> Port:
        seen.append(api.get("/loadbalancers")["loadbalancers"])
        with api.database.engine.connect() as connection:
            seen.append(connection.scalar(sa.select(work.c.due_at - now())))
        return ensure(request)

    monkeypatch.setattr(api.networks, "ensure_port", look)
    api.load_balancer()
    assert seen[0] == []
    assert 30 < seen[1] <= 60


def test_an_update_changes_what_it_names(api: Api) -> None:
    """Null clears names, tags are replaced, the rest stays."""
    made = api.load_balancer(name="a", description="b", tags=["x"])
    path = f"/loadbalancers/{made['id']}"
    body = {"loadbalancer": {"name": None, "tags": ["y"], "admin_state_up": None}}
    result = api.call("PUT", path, body)
    shown = result.json["loadbalancer"]
    assert result.status_code == 200
    changed = {"name": "", "tags": ["y"], "admin_state_up": False}
    assert shown == made | changed | {"updated_at": shown["updated_at"]}
    body = {"loadbalancer": {"tags": None, "vip_sg_ids": None, "vip_qos_policy_id": None}}
    assert api.call("PUT", path, body).json["loadbalancer"]["tags"] == ["y"]
    assert api.call("PUT", path, {"loadbalancer": {"tags": []}}).json["loadbalancer"]["tags"] == []


@pytest.mark.parametrize("child", ["listener", "pool"])
def test_children_block_a_plain_deletion(api: Api, child: str) -> None:
    """400 without cascade; with it everything goes, in time."""
    root = api.load_balancer()["id"]
    getattr(api, child)(root)
    for query in ("", "?cascade=perhaps", "?cascade=false"):
        result = api.call("DELETE", f"/loadbalancers/{root}{query}")
        text = f"{RULE}Cannot delete Load Balancer {root} - it has children"
        assert (result.status_code, result.json["faultstring"]) == (400, text)
    result = api.call("DELETE", f"/loadbalancers/{root}?cascade=True")
    assert (result.status_code, result.text) == (204, "")
    shown = api.get(f"/loadbalancers/{root}")["loadbalancer"]
    assert shown["provisioning_status"] == "PENDING_DELETE"


def test_statistics_are_sums_over_listeners_and_amphorae(api: Api) -> None:
    """Connections are open only on amphorae in service; gone ones stay in the sums."""
    world = World(api)
    counts = {"bytes_in": 10, "bytes_out": 20, "total_connections": 30, "request_errors": 40}
    with api.database.engine.begin() as connection:
        for name, status in (("a", "ALLOCATED"), ("b", "PENDING_DELETE")):
            row = {
                "id": name,
                "load_balancer_id": world.root,
                "status": status,
                "role": "STANDALONE",
            }
            moment = sa.func.current_timestamp()
            made = amphora.insert().values(**row, born=1, ports={}, created_at=moment)
            connection.execute(made)
        for key, name in (
            (world.listener, "a"),
            (world.listener, "b"),
            (world.other, "a"),
            (world.other, "gone"),
            (world.pool, "a"),
        ):
            ids = {"object_id": key, "amphora_id": name, "load_balancer_id": world.root}
            row = {**ids, "epoch": 1, "active_connections": 5, "last": {}, **counts}
            connection.execute(counter.insert(), row)
    expected = {name: value * 2 for name, value in counts.items()} | {"active_connections": 5}
    assert api.get(f"/listeners/{world.listener}/stats") == {"stats": expected}
    expected = {name: value * 4 for name, value in counts.items()} | {"active_connections": 10}
    assert api.get(f"/loadbalancers/{world.root}/stats") == {"stats": expected}


def test_the_status_tree_shows_what_listeners_reach(api: Api) -> None:
    """Pools that no listener uses are left out; a shared pool is shown at each."""
    world = World(api)
    body = {"listener": {"default_pool_id": world.pool}}
    assert api.call("PUT", f"/listeners/{world.other}", body).status_code == 200
    tree = api.get(f"/loadbalancers/{world.root}/status")
    assert tree == api.get(f"/loadbalancers/{world.root}/statuses")
    root = tree["statuses"]["loadbalancer"]
    own = {"id", "name", "operating_status", "provisioning_status"}
    assert root.keys() == own | {"listeners"}
    first, second = root["listeners"]
    assert (first["id"], second["id"]) == (world.listener, world.other)
    assert first["pools"] == second["pools"]
    (pool,) = first["pools"]
    assert pool.keys() == own | {"health_monitor", "members"}
    assert pool["health_monitor"].keys() == own | {"type"}
    assert pool["members"][0].keys() == own | {"address", "protocol_port"}


class TestDeploymentSwitches:
    """What an installation can forbid."""

    @pytest.fixture(name="settings")
    def settings_fixture(self) -> ApiSettings:
        """Set the options."""
        return ApiSettings(
            allow_vip_port_id=False,
            allow_vip_network_id=False,
            denylist_vip_networks=(OTHER_NET.upper(),),
        )

    @pytest.mark.parametrize(
        ("values", "text"),
        [
            ({}, "VIP must contain one of: vip_subnet_id."),
            (
                {"vip_network_id": NET},
                "use of vip_network_id is disallowed by this deployment's configuration.",
            ),
            (
                {"vip_subnet_id": OTHER_SUBNET},
                "Supplied VIP network_id is not allowed by the configuration of this deployment.",
            ),
        ],
    )
    def test_forbidden_vips(self, api: Api, values: dict[str, str], text: str) -> None:
        """400 naming what is forbidden."""
        result = api.call("POST", "/loadbalancers", {"loadbalancer": values})
        assert (result.status_code, result.json["faultstring"]) == (400, RULE + text)
