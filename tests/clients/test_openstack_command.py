"""The real `openstack loadbalancer` command, unmodified, on every resource of the skeleton."""

from __future__ import annotations

import pytest

from tests.clients.conftest import Openstack
from tests.installation import Installation, some_range

pytestmark = pytest.mark.xdist_group("clients")


def test_load_balancer(openstack: Openstack, subnet: str) -> None:
    """create, list, show, set, unset, stats, status, delete of a load balancer."""
    made = openstack(f"loadbalancer create --name cli --vip-subnet-id {subnet} --tag a --wait")
    assert made["provisioning_status"] == "ACTIVE"
    assert made["vip_address"]
    assert "cli" in {row["name"] for row in openstack("loadbalancer list --name cli")}
    assert openstack("loadbalancer list --tags missing") == []
    openstack("loadbalancer set --description words --tag b --wait cli", output=False)
    shown = openstack("loadbalancer show cli")
    assert (shown["description"], set(shown["tags"])) == ("words", {"a", "b"})
    openstack("loadbalancer unset --description --all-tag --wait cli", output=False)
    shown = openstack("loadbalancer show cli")
    assert (shown["description"], shown["tags"]) == ("", [])
    stats = openstack("loadbalancer stats show cli")
    assert stats["total_connections"] == 0
    tree = openstack("loadbalancer status show cli", output=False)
    assert '"listeners": []' in tree
    openstack("loadbalancer delete --wait cli", output=False)
    assert openstack("loadbalancer list --name cli") == []


def test_tree(openstack: Openstack, subnet: str) -> None:
    """Listener, pool, member and monitor: every verb of the command, then a cascade delete."""
    openstack(f"loadbalancer create --name tree --vip-subnet-id {subnet}")
    _listener(openstack)
    _pool(openstack)
    _member(openstack, subnet)
    _monitor(openstack)
    tree = openstack("loadbalancer status show tree", output=False)
    assert '"health_monitor"' in tree
    openstack("loadbalancer healthmonitor delete hm", output=False)
    openstack("loadbalancer member delete po m1", output=False)
    openstack("loadbalancer pool delete po", output=False)
    openstack("loadbalancer listener delete li", output=False)
    refused = openstack("loadbalancer show nothing", output=False, expect=1)
    assert "nothing" in refused
    openstack("loadbalancer delete --cascade tree", output=False)


def _listener(openstack: Openstack) -> None:
    made = openstack(
        "loadbalancer listener create --name li --protocol HTTP --protocol-port 80"
        " --insert-headers X-Forwarded-For=true --timeout-client-data 40000"
        " --allowed-cidr 10.0.0.0/8 tree"
    )
    assert made["insert_headers"] == {"X-Forwarded-For": "true"}
    assert [row["name"] for row in openstack("loadbalancer listener list")] == ["li"]
    openstack("loadbalancer listener set --connection-limit 100 li", output=False)
    assert openstack("loadbalancer listener show li")["connection_limit"] == 100
    openstack(
        "loadbalancer listener unset --connection-limit --allowed-cidrs"
        " --timeout-client-data --insert-headers li",
        output=False,
    )
    shown = openstack("loadbalancer listener show li")
    assert (shown["connection_limit"], shown["timeout_client_data"]) == (-1, 50000)
    assert openstack("loadbalancer listener stats show li")["bytes_in"] == 0


def _pool(openstack: Openstack) -> None:
    made = openstack(
        "loadbalancer pool create --name po --protocol HTTP --lb-algorithm ROUND_ROBIN"
        " --session-persistence type=APP_COOKIE,cookie_name=sid --listener li"
    )
    assert "sid" in str(made["session_persistence"])
    assert [row["name"] for row in openstack("loadbalancer pool list")] == ["po"]
    openstack("loadbalancer pool set --lb-algorithm LEAST_CONNECTIONS po", output=False)
    openstack("loadbalancer pool unset --session-persistence po", output=False)
    shown = openstack("loadbalancer pool show po")
    assert (shown["lb_algorithm"], shown["session_persistence"]) == ("LEAST_CONNECTIONS", None)


def _member(openstack: Openstack, subnet: str) -> None:
    made = openstack(
        "loadbalancer member create --name m1 --address 10.233.0.200 --protocol-port 8080"
        f" --subnet-id {subnet} --weight 5 po"
    )
    assert made["weight"] == 5
    assert [row["name"] for row in openstack("loadbalancer member list po")] == ["m1"]
    openstack("loadbalancer member set --weight 9 --disable-backup po m1", output=False)
    assert openstack("loadbalancer member show po m1")["weight"] == 9
    openstack("loadbalancer member unset --weight po m1", output=False)
    assert openstack("loadbalancer member show po m1")["weight"] == 1


def _monitor(openstack: Openstack) -> None:
    made = openstack(
        "loadbalancer healthmonitor create --name hm --delay 5 --timeout 3 --max-retries 2"
        " --type HTTP --url-path /health --expected-codes 200,204 po"
    )
    assert made["url_path"] == "/health"
    assert [row["name"] for row in openstack("loadbalancer healthmonitor list")] == ["hm"]
    openstack("loadbalancer healthmonitor set --delay 7 hm", output=False)
    openstack("loadbalancer healthmonitor unset --expected-codes --url-path hm", output=False)
    shown = openstack("loadbalancer healthmonitor show hm")
    assert (shown["delay"], shown["expected_codes"], shown["url_path"]) == (7, "200", "/")


def test_a_wrong_value_is_said_by_the_command(openstack: Openstack, subnet: str) -> None:
    """The API's own words reach the user of the command."""
    assert subnet
    said = openstack("loadbalancer create --name x", output=False, expect=1)
    assert "vip" in said.lower()


def test_login_and_network(openstack: Openstack, here: Installation) -> None:
    """Token, catalogue, networks, subnets and ports by the same command."""
    assert here.port
    assert openstack("token issue")["id"]
    names = {row["Name"] for row in openstack("catalog list")}
    assert {"keystone", "octavia", "neutron"} <= names
    openstack("network create cli-net")
    cidr = some_range()
    made = openstack(f"subnet create --network cli-net --subnet-range {cidr} cli-sub")
    assert made["gateway_ip"] == cidr.replace(".0/24", ".1")
    port = openstack("port create --network cli-net cli-port")
    assert port["mac_address"]
    openstack("port delete cli-port", output=False)
    openstack("network delete cli-net", output=False)
