"""A table of races: what is deleted and made again at once is accepted, and never merged.

Each is run on each database, with the agent connected, away, and connected but silent about what
it has done until all requests are answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from statera.store.tables import objects
from tests.installation import eventually
from tests.services.house import House, house, together

ADDRESSES = [f"10.1.200.{n}" for n in range(1, 9)]


@pytest.fixture(scope="module")
def here(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One running installation for the whole table."""
    with house(database_kind, tmp_path_factory.mktemp("here")) as made:
        yield made


class Tree:
    """A load balancer in force: a listener, its pool, two members and a monitor."""

    def __init__(self, here: House) -> None:
        self.here = here
        self.root = here.balancer()
        self.pool = self.new_pool()
        self.listener = self.new_listener()
        self.members = [self.new_member(address) for address in ADDRESSES[:2]]
        self.monitor = self.new_monitor()
        here.converged(self.root)

    def new_pool(self) -> str:
        values = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "name": "same"}
        return self.here.make("/pools", "pool", loadbalancer_id=self.root, **values)

    def new_listener(self, port: int = 80) -> str:
        values = {"protocol": "HTTP", "protocol_port": port, "default_pool_id": self.pool}
        return self.here.make("/listeners", "listener", loadbalancer_id=self.root, **values)

    def new_member(self, address: str) -> str:
        path = f"/pools/{self.pool}/members"
        return self.here.make(path, "member", address=address, protocol_port=80)

    def new_monitor(self) -> str:
        values = {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2}
        return self.here.make("/healthmonitors", "healthmonitor", pool_id=self.pool, **values)


def listener_again(tree: Tree) -> set[str]:
    """A listener deleted and made again on its port."""
    tree.here.delete(f"/listeners/{tree.listener}")
    assert tree.new_listener() != tree.listener
    return {tree.listener}


def listeners_swap_ports(tree: Tree) -> set[str]:
    """Two listeners deleted, each made again on the port of the other, three times over."""
    old: set[str] = set()
    living = [tree.listener, tree.new_listener(81)]
    for _turn in range(3):
        for listener in living:
            tree.here.delete(f"/listeners/{listener}")
        old |= set(living)
        living = [tree.new_listener(81), tree.new_listener(80)]
    assert not old & set(living)
    return old


def member_again(tree: Tree) -> set[str]:
    """A member deleted and made again while the old one still drains."""
    old = tree.members[0]
    tree.here.delete(f"/pools/{tree.pool}/members/{old}")
    assert tree.new_member(ADDRESSES[0]) != old
    return {old}


def monitor_again(tree: Tree) -> set[str]:
    """A health monitor deleted and made again on its pool."""
    tree.here.delete(f"/healthmonitors/{tree.monitor}")
    assert tree.new_monitor() != tree.monitor
    return {tree.monitor}


def pool_after_its_listener(tree: Tree) -> set[str]:
    """A pool deleted right after the listener that used it, both made again."""
    old = {tree.listener, tree.pool, tree.monitor, *tree.members}
    tree.here.delete(f"/listeners/{tree.listener}")
    tree.here.delete(f"/pools/{tree.pool}")
    tree.pool = tree.new_pool()
    assert not old & {tree.pool, tree.new_member(ADDRESSES[0]), tree.new_listener()}
    return old


def pool_after_its_last_use(tree: Tree) -> set[str]:
    """A pool deleted right after its listener was told to use another."""
    path, old = f"/listeners/{tree.listener}", {tree.pool, tree.monitor, *tree.members}
    tree.pool, before = tree.new_pool(), tree.pool
    assert tree.here.call("PUT", path, {"listener": {"default_pool_id": tree.pool}}) == 200
    tree.here.delete(f"/pools/{before}")
    assert tree.here.shown(path)["default_pool_id"] == tree.pool
    return old


def batches_at_once(tree: Tree) -> set[str]:
    """Two batches that each replace all members: one after the other, so the last one counts."""
    path = f"/pools/{tree.pool}/members"

    def replace(addresses: list[str]) -> Callable[[], int]:
        wanted = [{"address": address, "protocol_port": 80} for address in addresses]
        return lambda: tree.here.call("PUT", path, {"members": wanted})

    batches = [ADDRESSES[:5], ADDRESSES[3:]]
    assert together(*(replace(each) for each in batches)) == [202, 202]
    c = objects.member.c
    living = tree.here.rows(objects.member, c.pool_id == tree.pool, c.live == 1)
    assert sorted(row.address for row in living) in batches
    return {tree.members[0], tree.members[1]} - {row.id for row in living}


RACES = (
    listener_again,
    listeners_swap_ports,
    member_again,
    monitor_again,
    pool_after_its_listener,
    pool_after_its_last_use,
    batches_at_once,
)
STATES = ("connected", "away", "silent")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_what_is_made_again_is_another(
    here: House, race: Callable[[Tree], set[str]], state: str
) -> None:
    """Accepted, converged, and nothing merged: the old rows are gone, the new ones in force."""
    tree = Tree(here)
    with here.agent_is(state):
        old = race(tree)
    here.converged(tree.root)
    for table in objects.CHILDREN:
        assert here.rows(table, table.c.id.in_(old)) == []
    shown = here.shown(f"/loadbalancers/{tree.root}")
    assert shown["provisioning_status"] == "ACTIVE"
    here.delete(f"/loadbalancers/{tree.root}?cascade=true")
    here.gone(tree.root)


@pytest.mark.parametrize("state", STATES)
def test_a_cascade_takes_what_is_being_made(here: House, state: str) -> None:
    """What is created while its load balancer is deleted is refused or goes with it."""
    tree = Tree(here)
    path = f"/pools/{tree.pool}/members"

    def make(number: int) -> Callable[[], set[int]]:
        listener = {"loadbalancer_id": tree.root, "protocol": "TCP"}
        member = {"address": ADDRESSES[number]}

        def act() -> set[int]:
            found = set()
            for port in range(100 * number, 100 * number + 8):
                new = {"listener": {**listener, "protocol_port": port}}
                found.add(here.call("POST", "/listeners", new))
                found.add(here.call("POST", path, {"member": {**member, "protocol_port": port}}))
            return found

        return act

    def delete() -> set[int]:
        return {here.call("DELETE", f"/loadbalancers/{tree.root}?cascade=true")}

    with here.agent_is(state):
        deleted, *made = together(delete, make(3), make(4), make(5))
        assert deleted == {204}
        assert set().union(*made) <= {201, 404, 409}
    here.gone(tree.root)


@pytest.mark.parametrize("state", STATES)
def test_a_vip_address_has_one_owner(here: House, state: str) -> None:
    """Freed and claimed at once by two: one of them gets it, and only when it is free."""
    tree = Tree(here)
    (vip,) = here.rows(objects.load_balancer, objects.load_balancer.c.id == tree.root)
    wanted = {"vip_subnet_id": here.subnet_id, "vip_address": vip.vip_address}

    def claim() -> int:
        return here.call("POST", "/loadbalancers", {"loadbalancer": wanted})

    with here.agent_is(state):
        here.delete(f"/loadbalancers/{tree.root}?cascade=true")
        answers = together(claim, claim)
        if state != "connected":
            assert answers == [409, 409]

    def claimed() -> bool:
        answers[:] = answers if 201 in answers else together(claim, claim)
        return 201 in answers

    eventually("the address is free", claimed)
    assert sorted(answers) == [201, 409]
    here.gone(tree.root)
    c = objects.load_balancer.c
    (owner,) = here.rows(objects.load_balancer, c.vip_address == vip.vip_address, c.live == 1)
    assert owner.vip_port_id != vip.vip_port_id
    here.converged(owner.id)
    here.delete(f"/loadbalancers/{owner.id}")
    here.gone(owner.id)
