"""Whatever is wished, and wherever a worker dies, every history ends in the wish."""

from __future__ import annotations

import contextlib
from dataclasses import replace as changed

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statera.plan import steps
from tests.unit.plan.rows import FAR_SUBNET, member, pool, tree
from tests.unit.plan.test_planning import doomed, settled, wish
from tests.unit.plan.world import Crash, World

renew = msgspec.structs.replace


def act(world: World, deed: int) -> None:
    """Change the wish in one of a few ways."""
    desired = world.desired
    generation = desired.load_balancer.generation + 1
    if deed == 0:
        new = pool(generation=generation)
        desired = changed(desired, pools=(*desired.pools, new))
    elif deed == 1 and desired.pools:
        new_member = member(desired.pools[0].id, generation=generation, subnet_id=FAR_SUBNET)
        desired = changed(desired, members=(*desired.members, new_member))
    elif deed == 2:
        gone = tuple(renew(m, live=None, generation=generation) for m in desired.members)
        desired = changed(desired, members=gone)
    elif deed == 3:
        flipped = not desired.load_balancer.admin_state_up
        world.desired = wish(desired, admin_state_up=flipped)
        return
    world.desired = wish(desired)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), max_size=6), st.booleans())
def test_every_history_ends_in_the_wish(history: list[tuple[int, int]], reports: bool) -> None:
    """Wishes that come at any moment of the work, a crash each time: in the end all is settled."""
    world = World(tree(), reports=reports)
    for deed, crash_after in history:
        with contextlib.suppress(Crash):
            world.run(crash_after)
        act(world, deed)
    world.run()
    assert world.plan() == steps.Plan()
    assert settled(world)
    known = [plug.port_id for plug in world.ports.values()]
    (amphora,) = world.amphorae.values()
    assert set(known) == {amphora.port_id, *amphora.ports.values()}


@pytest.mark.parametrize("crash_after", range(16))
def test_a_port_that_nobody_needs_any_more_is_not_leaked(crash_after: int) -> None:
    """The worker dies while making it, and the member goes before the next one looks."""
    world = World(tree())
    with contextlib.suppress(Crash):
        world.run(crash_after)
    act(world, 2)
    world.run()
    (amphora,) = world.amphorae.values()
    assert [plug.port_id for plug in world.ports.values()] == [amphora.port_id]
    assert not amphora.ports


def gist(world: World) -> object:
    """Return what there is in the end, whatever ids it has and however often it was tried."""
    (amphora,) = world.amphorae.values()
    spec = amphora.published.spec if amphora.published else None
    assert spec is not None
    links = [(link.network_id, link.mtu, link.routes) for link in spec.interfaces]
    said = (spec.vips, spec.listeners, spec.pools, spec.generation, links)
    rows = [(row.id, row.settled, row.fault, row.pending_since) for row in world.desired.rows()]
    return said, rows, len(world.ports), world.revisions


@pytest.mark.parametrize("reports", [True, False])
def test_a_crash_between_any_two_steps_changes_nothing(reports: bool) -> None:
    """For each boundary: the same documents, rows and ports as without a crash, and no more."""
    wished = tree()
    smooth = World(wished, reports=reports)
    smooth.run()
    crashes = 0
    for boundary in range(60):
        world = World(wished, reports=reports)
        with contextlib.suppress(Crash):
            world.run(boundary)
        crashes += not settled(world)
        world.run()
        assert gist(world) == gist(smooth), f"crash at boundary {boundary}"
    assert crashes > 10


def test_an_unchanged_wish_makes_no_work() -> None:
    """A write that changes nothing settles; a look without a write does nothing at all."""
    world = World(tree())
    world.run()
    for _ in range(3):
        revisions, ports = world.revisions, dict(world.ports)
        assert world.plan() == steps.Plan()
        world.desired = wish(world.desired)
        assert [type(step) for step in world.plan().steps] == [steps.Settle]
        world.run()
        assert (world.revisions, world.ports) == (revisions, ports)


@given(st.integers(0, 60), st.integers(0, 60), st.booleans())
def test_every_deletion_ends_in_nothing(made: int, deleted: int, reports: bool) -> None:
    """A crash at any boundary of creation and deletion leaks no port."""
    world = World(tree(), reports=reports)
    with contextlib.suppress(Crash):
        world.run(made)
    world.desired = doomed(world.desired)
    with contextlib.suppress(Crash):
        world.run(deleted)
    world.run()
    assert world.buried
    assert world.vip_released
    assert (world.ports, world.amphorae) == ({}, {})
