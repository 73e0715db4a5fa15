"""When and as whom the services outside are asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from statera.api.settings import ApiSettings
from statera.lb.caller import Caller
from tests.api.harness import NET, SUBNET, SUBNET6, Api

LOOK_UPS = ("network", "subnet", "port")
CALLS = (*LOOK_UPS, "ensure_port", "claim_port", "release_port")


def _watch(api: Api, note: Callable[[str, tuple[Any, ...]], None]) -> None:
    """Call `note` with the name and arguments of every call of the network service."""

    def watched(name: str) -> Callable[..., Any]:
        original = getattr(api.networks, name)

        def call(*arguments: Any) -> Any:
            note(name, arguments)
            return original(*arguments)

        return call

    for name in CALLS:
        setattr(api.networks, name, watched(name))


def _everything(api: Api) -> None:
    """Make every request that asks the network service."""
    root = api.load_balancer(additional_vips=[{"subnet_id": SUBNET6}])["id"]
    api.make("/loadbalancers", "loadbalancer", {"vip_network_id": NET})
    pool = api.pool(root)["id"]
    api.member(pool, subnet_id=SUBNET)
    body = {"members": [{"address": "10.0.0.1", "protocol_port": 1, "subnet_id": SUBNET}]}
    assert api.call("PUT", f"/pools/{pool}/members", body).status_code == 202
    refused = {"vip_subnet_id": SUBNET, "listeners": [{"protocol": "HTTP", "protocol_port": 1}]}
    refused["listeners"][0]["allowed_cidrs"] = ["fd00::/8"]  # type: ignore[index]
    assert api.call("POST", "/loadbalancers", {"loadbalancer": refused}).status_code == 400


def test_no_transaction_is_open_while_a_service_is_asked(api: Api) -> None:
    """A slow service must not hold anybody's lock."""
    seen: dict[str, int] = {}

    def note(name: str, _arguments: tuple[Any, ...]) -> None:
        pool: Any = api.database.engine.pool
        seen[name] = max(seen.get(name, 0), pool.checkedout())

    _watch(api, note)
    _everything(api)
    assert seen == {"network": 0, "subnet": 0, "ensure_port": 0, "release_port": 0}


def _lookers(api: Api) -> set[str | None]:
    lookers: set[str | None] = set()

    def note(name: str, arguments: tuple[Any, ...]) -> None:
        if name in LOOK_UPS:
            caller: Caller | None = arguments[1]
            lookers.add(None if caller is None else caller.user_id)

    _watch(api, note)
    _everything(api)
    return lookers


def test_look_ups_are_made_as_the_caller(api: Api) -> None:
    """So that foreign objects read as missing."""
    assert _lookers(api) == {"user"}


class TestInvisibleResources:
    """An installation can let users name what they cannot see."""

    @pytest.fixture(name="settings")
    def settings_fixture(self) -> ApiSettings:
        """Set the option."""
        return ApiSettings(allow_invisible_resource_usage=True)

    def test_look_ups_are_made_as_the_service(self, api: Api) -> None:
        """With no caller."""
        assert _lookers(api) == {None}
