"""The embedded Network API under the clients that people use: `openstack` and openstacksdk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import openstack
import pytest
from openstack import exceptions

from statera.cloud.network.app import create_app
from statera.cloud.network.settings import NetworkSettings
from statera.lb.caller import Caller
from statera.service.wake import Wakes
from statera.store.database import Database
from statera.store.schema import metadata

MOUNT = "/network"


class EverybodyIsAdmin:
    """An identity service that asks nobody for a token, as behind `auth_type: none`."""

    def authenticate(self, headers: Mapping[str, str]) -> Caller:  # noqa: ARG002
        return Caller("operator", "red", frozenset({"admin"}))


class ThreadedServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Write no access log into the output of the tests."""


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """The address of a Network API on a port of its own, mounted below a path."""
    database = Database(f"sqlite:///{tmp_path}/network.db", durable=False)
    metadata.create_all(database.engine)
    wakes = Wakes(tmp_path / "wakes")
    app = create_app(database, EverybodyIsAdmin(), wakes, NetworkSettings(page_size=4))

    def mounted(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        assert environ["PATH_INFO"].startswith(MOUNT)
        environ["SCRIPT_NAME"] = MOUNT
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(MOUNT)
        return app(environ, start)

    server = make_server("127.0.0.1", 0, mounted, ThreadedServer, Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{MOUNT}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        database.close()


def shell(endpoint: str, *commands: str) -> tuple[list[Any], str]:
    """Run commands in one `openstack` shell; return the JSON documents it printed, its errors."""
    program = shutil.which("openstack", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert program, "python-openstackclient is not installed"
    environment = {name: text for name, text in os.environ.items() if not name.startswith("OS_")}
    done = subprocess.run(
        [program],
        input="\n".join(commands) + "\n",
        env=environment | {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": endpoint},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found: list[Any] = []
    rest = done.stdout.strip()
    decoder = json.JSONDecoder()
    while rest:
        document, end = decoder.raw_decode(rest)
        found.append(document)
        rest = rest[end:].strip()
    return found, done.stderr


def test_network_commands(endpoint: str) -> None:
    """`openstack network` creates, lists, changes, shows and deletes."""
    found, errors = shell(
        endpoint,
        "network create front --description hello --mtu 1400 -f json",
        "network list -f json",
        "network list --share -f json",
        "network set --name back --share --enable front",
        "network list --share --name back -f json",
        "network show back -f json",
        "network create other --external -f json",
        "network delete back",
        "network list -f json",
    )
    created, listed, none, shared, shown, gone = found
    assert (created["name"], created["mtu"], created["status"]) == ("front", 1400, "ACTIVE")
    assert [network["Name"] for network in listed] == ["front"]
    assert none == gone == []
    assert [network["ID"] for network in shared] == [created["id"]]
    assert (shown["name"], shown["shared"], shown["description"]) == ("back", True, "hello")
    assert "external networks are not offered" in errors


def test_subnet_commands(endpoint: str) -> None:
    """`openstack subnet` creates, lists, changes, unsets, shows and deletes."""
    found, errors = shell(
        endpoint,
        "network create n -f json",
        "subnet create --network n --subnet-range 10.1.0.0/24 --dns-nameserver 192.0.2.1 s -f json",
        "subnet create --network n --ip-version 6 --subnet-range fd00:1::/64 --gateway none "
        "--allocation-pool start=fd00:1::10,end=fd00:1::20 six -f json",
        "subnet create --network n --subnet-range 10.1.0.128/25 bad -f json",
        "subnet list --network n --ip-version 4 -f json",
        "subnet set --host-route destination=10.9.0.0/24,gateway=10.1.0.7 --name t --no-dhcp s",
        "subnet show t -f json",
        "subnet unset --dns-nameserver 192.0.2.1 "
        "--host-route destination=10.9.0.0/24,gateway=10.1.0.7 t",
        "subnet show t -f json",
        "subnet delete t six",
        "subnet list -f json",
        "network delete n",
    )
    _network, four, six, listed, changed, unset, gone = found
    assert (four["gateway_ip"], six["gateway_ip"]) == ("10.1.0.1", None)
    assert six["allocation_pools"] == [{"start": "fd00:1::10", "end": "fd00:1::20"}]
    assert [subnet["Name"] for subnet in listed] == ["s"]
    assert changed["host_routes"] == [{"destination": "10.9.0.0/24", "nexthop": "10.1.0.7"}]
    assert (changed["enable_dhcp"], changed["dns_nameservers"]) == (False, ["192.0.2.1"])
    assert (unset["host_routes"], unset["dns_nameservers"], gone) == ([], [], [])
    assert "overlaps with another subnet" in errors


def test_port_commands(endpoint: str) -> None:
    """`openstack port` creates, lists, changes, unsets, shows and deletes."""
    found, errors = shell(
        endpoint,
        "network create n -f json",
        "subnet create --network n --subnet-range 10.1.0.0/24 s -f json",
        "port create --network n --fixed-ip subnet=s,ip-address=10.1.0.50 --device vm p -f json",
        "port create --network n --fixed-ip ip-address=10.1.0.50 taken -f json",
        "port create --network n q -f json",
        "port list --network n -f json",
        "port list --fixed-ip ip-address=10.1.0.50 -f json",
        "port list --device-id vm -f json",
        "port set --name r --disable --fixed-ip subnet=s,ip-address=10.1.0.51 q",
        "port set --allowed-address ip-address=10.1.0.99 r",
        "port show r -f json",
        "port unset --fixed-ip subnet=s,ip-address=10.1.0.51 r",
        "port unset --device p",
        "port show p -f json",
        "network delete n",
        "port delete p r",
        "port list -f json",
        "network delete n",
        "network list -f json",
    )
    _network, _subnet, first, second, *lists, changed, unset, no_port, no_network = found
    assert first["fixed_ips"][0]["ip_address"] == "10.1.0.50"
    assert second["fixed_ips"][0]["ip_address"] == "10.1.0.2"
    names = [sorted(port["Name"] for port in listed) for listed in lists]
    assert names == [["p", "q"], ["p"], ["p"]]
    assert [ip["ip_address"] for ip in changed["fixed_ips"]] == ["10.1.0.2", "10.1.0.51"]
    assert changed["allowed_address_pairs"][0]["ip_address"] == "10.1.0.99"
    assert (unset["device_id"], no_port, no_network) == ("", [], [])
    assert "10.1.0.50 already allocated" in errors
    assert "one or more ports still in use" in errors


def test_sdk(endpoint: str) -> None:
    """openstacksdk finds the API, works on each resource, and follows pages."""
    cloud = openstack.connect(
        load_envvars=False, load_yaml_config=False, auth_type="none", auth={"endpoint": endpoint}
    )
    api = cloud.network
    network = api.create_network(name="n")
    subnet = api.create_subnet(
        network_id=network.id, cidr="10.1.0.0/24", ip_version=4, name="s", is_dhcp_enabled=False
    )
    assert (subnet.gateway_ip, subnet.is_dhcp_enabled) == ("10.1.0.1", False)
    ports = list(api.create_ports([{"network_id": network.id, "name": f"p{n}"} for n in range(9)]))
    assert len({port.fixed_ips[0]["ip_address"] for port in ports}) == 9
    assert {port.id for port in api.ports()} == {port.id for port in ports}
    assert [port.name for port in api.ports(sort_key="name", sort_dir="desc", limit=2)] == [
        f"p{n}" for n in range(8, -1, -1)
    ]
    assert api.find_port("p3").id == ports[3].id
    assert api.find_network("nothing") is None
    assert api.find_extension("net-mtu").alias == "net-mtu"
    assert api.update_network(network, name="m", is_shared=True).is_shared
    assert api.get_network(network.id).subnet_ids == [subnet.id]
    with pytest.raises(exceptions.ConflictException, match="still in use"):
        api.delete_network(network)
    with pytest.raises(exceptions.BadRequestException, match="cannot be converted"):
        api.update_port(ports[0], is_admin_state_up="perhaps")
    for port in ports:
        api.delete_port(port)
    api.delete_network(network, ignore_missing=False)
    assert list(api.networks()) == []
    cloud.close()
