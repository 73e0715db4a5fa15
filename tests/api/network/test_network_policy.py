"""Who may do what with networks, subnets and ports."""

from __future__ import annotations

from collections.abc import Callable

import falcon.testing

from statera.cloud.network.embedded import EmbeddedNetworks
from statera.edges.network.protocol import PortRequest
from statera.lb.caller import Caller

Call = Callable[..., falcon.testing.Result]

BLUE = Caller("u", "blue", frozenset({"member"}))
NOBODY = Caller("u", None, frozenset({"member"}))


def test_a_token_is_needed(client: falcon.testing.TestClient) -> None:
    """Without a valid token there is only discovery; the reply says where to log in."""
    refused = client.simulate_get("/v2.0/networks")
    assert refused.status_code == 401
    assert refused.json["error"]["code"] == 401
    assert refused.headers["www-authenticate"] == 'Keystone uri="http://127.0.0.1/identity"'
    down = client.simulate_get("/v2.0/networks", headers={"X-Auth-Token": "down"})
    assert down.status_code == 503


def test_foreign_objects_do_not_exist(
    stranger: Call, network_id: str, subnet_id: str, networks: EmbeddedNetworks
) -> None:
    """Another project sees, changes and uses nothing of a private network, by API or by edge."""
    for path in (f"/networks/{network_id}", f"/subnets/{subnet_id}"):
        assert stranger("GET", path).status_code == 404
        assert stranger("DELETE", path).status_code == 404
    assert stranger("GET", "/networks").json == {"networks": []}
    port = {"port": {"network_id": network_id}}
    assert stranger("POST", "/ports", port).status_code == 404
    assert networks.network(network_id, BLUE) is None
    assert networks.subnet(subnet_id, BLUE) is None
    assert networks.network(network_id, NOBODY) is None
    assert networks.network(network_id) is not None


def test_foreign_ports_do_not_exist(
    member: Call, stranger: Call, network_id: str, subnet_id: str, networks: EmbeddedNetworks
) -> None:
    """Another project neither sees nor changes a port, whatever it asks by, a VIP's included."""
    port = member("POST", "/ports", {"port": {"network_id": network_id}}).json["port"]
    vip = PortRequest("vip", "red", network_id, "lb-1", "Octavia", ((subnet_id, None),))
    for port_id in (port["id"], networks.ensure_port(vip).id):
        path = f"/ports/{port_id}"
        assert stranger("GET", path).status_code == 404
        assert stranger("PUT", path, {"port": {"device_id": "mine"}}).status_code == 404
        assert stranger("DELETE", path).status_code == 404
        assert stranger("GET", "/ports", params={"marker": port_id}).status_code == 404
        assert networks.port(port_id, BLUE) is None
        assert networks.port(port_id) is not None
    address = port["fixed_ips"][0]["ip_address"]
    for query in ({}, {"project_id": "red"}, {"fixed_ips": f"ip_address={address}"}):
        assert stranger("GET", "/ports", params=query).json == {"ports": []}


def test_shared_networks_are_used_not_changed(
    admin: Call, stranger: Call, networks: EmbeddedNetworks
) -> None:
    """Everybody sees and uses a shared network; only its owner and admins change it."""
    network = admin("POST", "/networks", {"network": {"shared": True}}).json["network"]
    subnet = {"network_id": network["id"], "cidr": "10.5.0.0/24"}
    made = admin("POST", "/subnets", {"subnet": subnet}).json["subnet"]
    path = f"/networks/{network['id']}"
    assert stranger("GET", path).status_code == 200
    assert stranger("GET", f"/subnets/{made['id']}").status_code == 200
    assert networks.subnet(made["id"], BLUE) is not None
    body = {"network": {"name": "mine"}}
    assert stranger("PUT", path, body).status_code == 403
    assert stranger("DELETE", path).status_code == 403
    for method, change in (("PUT", {"subnet": {"gateway_ip": None}}), ("DELETE", None)):
        assert stranger(method, f"/subnets/{made['id']}", change).status_code == 403
    other = {"subnet": {"network_id": network["id"], "cidr": "10.6.0.0/24"}}
    assert stranger("POST", "/subnets", other).status_code == 403
    assert stranger("POST", "/ports", {"port": {"network_id": network["id"]}}).status_code == 201
    refused = admin("PUT", path, {"network": {"shared": False}})
    assert refused.status_code == 409
    assert refused.json["NeutronError"]["type"] == "InvalidSharedSetting"


def test_readers_read(reader: Call, network_id: str) -> None:
    """A reader sees the objects of its project and changes none."""
    assert reader("GET", f"/networks/{network_id}").status_code == 200
    assert reader("POST", "/networks", {"network": {}}).status_code == 403
    assert reader("PUT", f"/networks/{network_id}", {"network": {"name": "x"}}).status_code == 403
    assert reader("DELETE", f"/networks/{network_id}").status_code == 403


def test_roles_are_needed(client: falcon.testing.TestClient, network_id: str) -> None:
    """A token without one of the three roles reads nothing."""
    headers = {"X-Auth-Token": "guest red"}
    refused = client.simulate_get(f"/v2.0/networks/{network_id}", headers=headers)
    assert refused.status_code == 403


def test_what_only_admins_set(admin: Call, member: Call) -> None:
    """Sharing needs role admin, and so does creating for another project."""
    refused = member("POST", "/networks", {"network": {"shared": True}})
    assert refused.status_code == 403
    assert refused.json["NeutronError"]["type"] == "PolicyNotAuthorized"
    assert member("POST", "/networks", {"network": {"project_id": "blue"}}).status_code == 400
    made = admin("POST", "/networks", {"network": {"project_id": "red", "tenant_id": "red"}})
    assert made.json["network"]["project_id"] == "red"
    assert member("GET", f"/networks/{made.json['network']['id']}").status_code == 200
    assert member("POST", "/networks", {"network": {"shared": False}}).status_code == 201
