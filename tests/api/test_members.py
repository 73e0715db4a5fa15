"""Members and batches of them (`spec/api-resources` §4)."""

from __future__ import annotations

from typing import Any

import pytest

from statera.api.settings import ApiSettings
from tests.api.harness import SUBNET, UNKNOWN, Api

SHOWN = {
    "id", "name", "operating_status", "provisioning_status", "admin_state_up", "address",
    "protocol_port", "weight", "backup", "subnet_id", "project_id", "tenant_id", "created_at",
    "updated_at", "monitor_address", "monitor_port", "tags", "vnic_type",
}  # fmt: skip


@pytest.fixture(name="pool")
def pool_fixture(api: Api) -> str:
    """A pool of a new load balancer."""
    pool: str = api.pool(api.load_balancer()["id"])["id"]
    return pool


def test_a_creation_answers_with_what_was_stored(api: Api, pool: str) -> None:
    """NO_MONITOR until the pool has a monitor."""
    made = api.member(pool, "FD00::1", subnet_id=SUBNET, weight="7", backup="yes")
    assert made.keys() == SHOWN
    assert made == api.get(f"/pools/{pool}/members/{made['id']}")["member"]
    expected = {
        "address": "FD00::1",
        "weight": 7,
        "backup": True,
        "subnet_id": SUBNET,
        "operating_status": "NO_MONITOR",
        "vnic_type": "normal",
        "name": "",
    }
    assert {name: made[name] for name in expected} == expected
    api.monitor(pool)
    assert api.member(pool)["operating_status"] == "OFFLINE"


@pytest.mark.parametrize(
    ("values", "status", "text"),
    [
        (
            {},
            409,
            "Another member on this pool is already using ip 10.9.0.1 on protocol_port 80",
        ),
        (
            {"address": "169.254.169.254"},
            400,
            "169.254.169.254 is not a valid option for member address",
        ),
        (
            {"address": "::ffff:169.254.169.254"},
            400,
            "0000:0000:0000:0000:0000:FFFF:A9FE:A9FE is not a valid option for member address",
        ),
        (
            {"address": "::ffff:a"},
            400,
            "0000:0000:0000:0000:0000:0000:FFFF:000A is not a valid option for member address",
        ),
        ({"protocol_port": 81, "subnet_id": UNKNOWN}, 400, f"Subnet {UNKNOWN} not found."),
        (
            {"protocol_port": 81, "request_sriov": True},
            400,
            "The load balancer flavor does not allow SR-IOV member ports.",
        ),
    ],
)
class TestRefusals:
    """Reserved addresses are the installation's."""

    @pytest.fixture(name="settings")
    def settings_fixture(self) -> ApiSettings:
        """Reserve an IPv6 address too."""
        return ApiSettings(reserved_ips=("169.254.169.254", "::ffff:a"))

    def test_single(
        self, api: Api, pool: str, values: dict[str, Any], status: int, text: str
    ) -> None:
        """A creation is refused and changes nothing."""
        api.member(pool)
        before = api.snapshot()
        given = {"address": "10.9.0.1", "protocol_port": 80, **values}
        result = api.call("POST", f"/pools/{pool}/members", {"member": given})
        assert (result.status_code, result.json["faultstring"]) == (status, text)
        assert api.snapshot() == before

    def test_batch(
        self, api: Api, pool: str, values: dict[str, Any], status: int, text: str
    ) -> None:
        """And so is a batch that has it among others."""
        before = api.snapshot()
        given = {"address": "10.9.0.1", "protocol_port": 80}
        body = {"members": [given, {**given, **values}]}
        result = api.call("PUT", f"/pools/{pool}/members", body)
        assert (result.status_code, result.json["faultstring"]) == (status, text)
        assert api.snapshot() == before


def test_an_update_changes_what_it_names(api: Api, pool: str) -> None:
    """Null restores weight and backup, clears the rest."""
    made = api.member(pool, weight=9, backup=True, monitor_port=8, monitor_address="10.0.0.1")
    path = f"/pools/{pool}/members/{made['id']}"
    assert api.call("PUT", path, {"member": {"weight": 0}}).json["member"]["weight"] == 0
    nulls: dict[str, Any] = dict.fromkeys(
        ("weight", "backup", "monitor_port", "monitor_address", "name")
    )
    shown = api.call("PUT", path, {"member": nulls}).json["member"]
    expected = {
        "weight": 1,
        "backup": False,
        "monitor_port": None,
        "monitor_address": None,
        "name": "",
    }
    assert {name: shown[name] for name in nulls} == expected


def test_members_are_reached_through_their_pool_only(api: Api, pool: str) -> None:
    """404 through any other, for every method."""
    root = api.get(f"/pools/{pool}")["pool"]["loadbalancers"][0]["id"]
    other = api.pool(root)["id"]
    member = api.member(pool)["id"]
    path = f"/pools/{other}/members/{member}"
    for method, body in (("GET", None), ("PUT", {"member": {}}), ("DELETE", None)):
        result = api.call(method, path, body)
        text = f"Member {member} not found."
        assert (result.status_code, result.json["faultstring"]) == (404, text)


def _listed(api: Api, pool: str) -> dict[str, dict[str, Any]]:
    members = api.get(f"/pools/{pool}/members")["members"]
    return {one["address"]: one for one in members}


def _batch(api: Api, pool: str, *members: dict[str, Any], query: str = "") -> None:
    body = {"members": [{"protocol_port": 80, **one} for one in members]}
    result = api.call("PUT", f"/pools/{pool}/members{query}", body)
    assert (result.status_code, result.text) == (202, "")


def test_a_batch_says_what_the_members_are(api: Api, pool: str) -> None:
    """New ones come, named ones change or stay, others go."""
    for number in (1, 2, 3):
        api.member(pool, f"10.0.0.{number}", weight=number, name=f"m{number}")
    api.settle()
    before = _listed(api, pool)
    _batch(
        api,
        pool,
        {"address": "10.0.0.1", "weight": 9},
        {"address": "10.0.0.2", "weight": 2},
        {"address": "10.0.0.4", "tags": ["new"], "subnet_id": SUBNET},
    )
    after = _listed(api, pool)
    statuses = {address: one["provisioning_status"] for address, one in after.items()}
    assert statuses == {
        "10.0.0.1": "PENDING_UPDATE",
        "10.0.0.2": "PENDING_UPDATE",
        "10.0.0.3": "PENDING_DELETE",
        "10.0.0.4": "PENDING_CREATE",
    }
    assert {one: after[one]["id"] for one in before} == {one: before[one]["id"] for one in before}
    assert after["10.0.0.1"]["weight"] == 9
    assert (after["10.0.0.4"]["tags"], after["10.0.0.4"]["subnet_id"]) == (["new"], SUBNET)


def test_a_batch_resets_what_has_a_default_and_keeps_the_rest(api: Api, pool: str) -> None:
    """Weight, backup, state and monitor address are reset; name, tags, subnet are kept."""
    made = api.member(
        pool,
        name="n",
        tags=["t"],
        subnet_id=SUBNET,
        weight=5,
        backup=True,
        admin_state_up=False,
        monitor_port=9,
        monitor_address="10.0.0.9",
    )
    _batch(api, pool, {"address": "10.9.0.1"})
    shown = _listed(api, pool)["10.9.0.1"]
    reset = {
        "weight": 1,
        "backup": False,
        "admin_state_up": True,
        "monitor_port": None,
        "monitor_address": None,
    }
    moved = ("updated_at", "provisioning_status")
    assert shown == made | reset | {name: shown[name] for name in moved}
    _batch(api, pool, {"address": "10.9.0.1", "name": None, "tags": []})
    assert (_listed(api, pool)["10.9.0.1"]["name"], _listed(api, pool)["10.9.0.1"]["tags"]) == (
        "",
        [],
    )


@pytest.mark.parametrize(
    ("query", "gone"),
    [
        ("", True),
        ("?additive_only=false", True),
        ("?additive_only=x", True),
        ("?additive_only=1", False),
    ],
)
def test_an_additive_batch_deletes_nothing(api: Api, pool: str, query: str, gone: bool) -> None:
    """`additive_only` is a boolean word; anything else is false."""
    api.member(pool, "10.0.0.1")
    _batch(api, pool, {"address": "10.0.0.2"}, query=query)
    assert (_listed(api, pool)["10.0.0.1"]["provisioning_status"] == "PENDING_DELETE") is gone


def test_an_empty_batch_empties_the_pool(api: Api, pool: str) -> None:
    """Every member is deleted; doing it again changes nothing."""
    api.member(pool, "10.0.0.1")
    _batch(api, pool)
    assert _listed(api, pool)["10.0.0.1"]["provisioning_status"] == "PENDING_DELETE"
    before = api.snapshot()
    _batch(api, pool)
    assert api.snapshot() == before


def test_a_deleted_member_comes_back_as_a_new_one(api: Api, pool: str) -> None:
    """The doomed one is not matched."""
    first = api.member(pool, "10.0.0.1")["id"]
    _batch(api, pool)
    _batch(api, pool, {"address": "10.0.0.1"})
    members = api.get(f"/pools/{pool}/members")["members"]
    assert len(members) == 2
    assert {one["id"] for one in members} > {first}


@pytest.mark.parametrize(
    ("existing", "status", "text"),
    [
        (True, 400, "Validation failure: Member must be updated only once in the same request."),
        (
            False,
            409,
            "Another member on this pool is already using ip 10.9.0.1 on protocol_port 80",
        ),
    ],
)
def test_a_batch_names_a_member_once(
    api: Api, pool: str, existing: bool, status: int, text: str
) -> None:
    """Existing ones with 400, new ones with 409."""
    if existing:
        api.member(pool)
    given = {"address": "10.9.0.1", "protocol_port": 80}
    result = api.call("PUT", f"/pools/{pool}/members", {"members": [given, given]})
    assert (result.status_code, result.json["faultstring"]) == (status, text)


class TestManyMembers:
    """A pool of ten thousand."""

    @pytest.fixture(name="settings")
    def settings_fixture(self) -> ApiSettings:
        """Take the body."""
        return ApiSettings(max_request_body_size=10_000_000)

    def test_ten_thousand_members(self, api: Api, pool: str) -> None:
        """Created, changed, listed and deleted, each in one request."""
        many = [{"address": f"10.{n // 62500}.{n // 250 % 250}.{n % 250}"} for n in range(10_000)]
        _batch(api, pool, *many)
        _batch(api, pool, *({**one, "weight": 3} for one in many[:5000]), query="?additive_only=1")
        members = api.get(f"/pools/{pool}/members?limit=0")["members"]
        assert [one["weight"] for one in members].count(3) == 5000
        assert len(api.get(f"/pools/{pool}")["pool"]["members"]) == 10_000
        _batch(api, pool, many[0])
        query = f"/pools/{pool}/members?provisioning_status=PENDING_DELETE&limit=0&fields=id"
        assert len(api.get(query)["members"]) == 9_999
