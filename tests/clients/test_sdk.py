"""openstacksdk's load-balancer calls, unmodified, on every resource of the skeleton."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openstack
import pytest

from tests.installation import Installation

pytestmark = pytest.mark.xdist_group("clients")


@pytest.fixture
def cloud(here: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield a connection made from the installation's clouds.yaml."""
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(here.directory / "state" / "clouds.yaml"))
    connection = openstack.connect(cloud="statera")
    yield connection.load_balancer
    connection.close()


def test_load_balancer_tree(cloud: Any, subnet: str) -> None:
    """Create, find, update, list and delete each kind; wait as scripts do."""
    made = cloud.create_load_balancer(name="sdk", vip_subnet_id=subnet)
    made = cloud.wait_for_load_balancer(made.id, interval=0.1)
    assert made.provisioning_status == "ACTIVE"
    assert cloud.find_load_balancer("sdk").id == made.id
    listener = cloud.create_listener(
        name="l", protocol="TCP", protocol_port=9000, load_balancer_id=made.id
    )
    pool = cloud.create_pool(
        name="p", protocol="TCP", lb_algorithm="SOURCE_IP", listener_id=listener.id
    )
    member = cloud.create_member(pool, address="10.233.0.201", protocol_port=80, weight=3)
    monitor = cloud.create_health_monitor(
        pool_id=pool.id, type="TCP", delay=5, timeout=3, max_retries=2
    )
    made = cloud.wait_for_load_balancer(made.id, interval=0.1)
    assert cloud.update_member(member, pool, weight=4).weight == 4
    assert cloud.update_pool(pool, name="q").name == "q"
    assert cloud.update_listener(listener, connection_limit=5).connection_limit == 5
    assert cloud.update_health_monitor(monitor, delay=6).delay == 6
    assert [m.weight for m in cloud.members(pool)] == [4]
    assert [m.pool_id or m.pools for m in cloud.health_monitors(pool_id=pool.id)]
    assert cloud.get_listener(listener).default_pool_id == pool.id
    assert cloud.get_load_balancer_statistics(made.id).total_connections == 0
    assert cloud.get_listener_statistics(listener.id).bytes_in == 0
    cloud.delete_health_monitor(monitor)
    cloud.delete_member(member, pool)
    cloud.delete_pool(pool)
    cloud.delete_listener(listener)
    cloud.delete_load_balancer(made.id, cascade=True)
    cloud.wait_for_delete(made, interval=0.1, wait=20)


def test_list_queries(cloud: Any, subnet: str) -> None:
    """Filters, sorting and pages as the library asks for them."""
    made = [
        cloud.create_load_balancer(name=f"page{number}", vip_subnet_id=subnet, tags=["page"])
        for number in range(3)
    ]
    listed = [lb.name for lb in cloud.load_balancers(limit=1, tags="page")]
    assert sorted(listed) == ["page0", "page1", "page2"]
    assert [lb.id for lb in cloud.load_balancers(name="page1")] == [made[1].id]
    for load_balancer in made:
        cloud.delete_load_balancer(load_balancer.id, cascade=True)
