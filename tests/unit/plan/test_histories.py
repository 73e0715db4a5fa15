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
