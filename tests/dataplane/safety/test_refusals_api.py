"""What the API lets through and HAProxy refuses: the user sees which object it is, and why."""

from __future__ import annotations

import os
from typing import Any

import httpx
import pytest

from tests.dataplane.safety.conftest import Serving
from tests.installation import eventually
from tests.traffic import load

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces"),
    pytest.mark.xdist_group("safety"),
]


def statuses(serving: Serving) -> dict[str, str]:
    """Return the provisioning status of every object, by kind."""
    here, pool = serving.here, serving.pool_id
    listener = serving.tree["listeners"][0]["id"]
    found = {
        "loadbalancer": here.call("GET", f"/loadbalancers/{serving.id}")["loadbalancer"],
        "listener": here.call("GET", f"/listeners/{listener}")["listener"],
        "pool": here.call("GET", f"/pools/{pool}")["pool"],
    }
    for each in here.call("GET", f"/pools/{pool}/members")["members"]:
        found[f"member {each['name']}"] = each
    for each in here.call("GET", "/healthmonitors")["healthmonitors"]:
        found["healthmonitor"] = each
    return {kind: each["provisioning_status"] for kind, each in found.items()}


def test_a_monitor_that_haproxy_refuses(serving: Serving) -> None:
    """It alone is in ERROR; what is wished beside it, narrower than before, comes into force."""
    here = serving.here
    monitor: dict[str, Any] = {"type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1}
    monitor |= {"pool_id": serving.pool_id, "expected_codes": "500-200"}
    with load(serving.address, connections=2) as tally:
        made = here.call("POST", "/healthmonitors", {"healthmonitor": monitor})["healthmonitor"]
        active = dict.fromkeys(statuses(serving), "ACTIVE")
        refused = active | {"healthmonitor": "ERROR"}
        eventually("ERROR on it alone", lambda: statuses(serving) == refused)
        path = f"/healthmonitors/{made['id']}"
        body = {"healthmonitor": {"expected_codes": "200", "delay": 10**7}}
        here.call("PUT", path, body)
        eventually("ERROR on it alone", lambda: statuses(serving) == refused)
    assert tally.failures == []
    listener = serving.tree["listeners"][0]["id"]
    here.call("PUT", f"/listeners/{listener}", {"listener": {"allowed_cidrs": ["192.0.2.0/24"]}})
    eventually("ERROR on it alone", lambda: statuses(serving) == refused)
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://{serving.address}/", timeout=2)
    here.call("PUT", path, {"healthmonitor": {"delay": 1}})
    eventually("all in force", lambda: statuses(serving) == active)
