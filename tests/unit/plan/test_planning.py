"""Plans lead to the wish, whatever happens on the way."""

from __future__ import annotations

from dataclasses import replace as changed

import msgspec
import pytest

from statera.lb.errors import Final
from statera.plan import steps
from statera.plan.desired import Desired
from statera.plan.observation import PENDING_CREATE, PENDING_DELETE, Plug, Reported
from statera.spec.abilities import ALL, HAPROXY
from statera.spec.report import Fault
from tests.unit.plan.rows import (
    FAR_SUBNET,
    NETWORK,
    SUBNET,
    listener,
    load_balancer,
    member,
    tree,
)
from tests.unit.plan.world import World

renew = msgspec.structs.replace


def kinds(plan: steps.Plan) -> list[str]:
    return [type(step).__name__ for step in plan.steps]


def settled(world: World) -> bool:
    rows = list(world.desired.rows())
    return all(row.settled == row.generation and row.live for row in rows)


def wish(desired: Desired, **values: object) -> Desired:
    """Return the state after a write of the load balancer itself."""
    balancer = desired.load_balancer
    balancer = renew(balancer, generation=balancer.generation + 1, pending_since=1.0, **values)
    return changed(desired, load_balancer=balancer)


def doomed(desired: Desired) -> Desired:
    return wish(desired, live=None)


def test_creation_goes_step_by_step() -> None:
    """A new load balancer gets an amphora, its ports, a document, and is settled when reported."""
    world = World(tree())
    first = world.plan()
    assert kinds(first) == ["AddAmphora", "PlaceAmphora", "EnsurePort"]
    for step in first.acts:
        world.take(step)
    second = world.plan()
    assert kinds(second) == ["EnsurePort"]
    for step in second.acts:
        world.take(step)
    third = world.plan()
    assert kinds(third) == ["PublishSpec", "AwaitReport"]
    world.take(third.acts[0])
    assert kinds(world.plan()) == ["AwaitReport"]
    world.agent()
    fourth = world.plan()
    assert kinds(fourth) == ["Settle"]
    world.take(fourth.acts[0])
    assert world.plan() == steps.Plan()
    assert settled(world)


def test_the_document_has_the_vips_and_the_far_network() -> None:
    """Own address and VIP on the first link, which alone has a default route; then the others."""
    world = World(tree())
    world.run()
    (amphora,) = world.amphorae.values()
    assert amphora.published is not None
    assert amphora.published.spec is not None
    near, far = amphora.published.spec.interfaces
    assert [(a.ip, a.prefix) for a in near.addresses] == [("10.1.0.20", 24), ("10.1.0.10", 32)]
    assert [(r.destination, r.via) for r in near.routes] == [("0.0.0.0/0", "10.1.0.1")]
    assert near.mtu == 1450
    assert [(r.destination, r.via) for r in far.routes] == [("10.20.0.0/16", "10.9.0.2")]
    assert amphora.published.spec.vips == ("10.1.0.10",)
    assert len(amphora.published.spec.cookie_key) == 32


def test_a_name_needs_no_agent() -> None:
    """What no agent sees is in force at once, without a new document."""
    world = World(tree())
    world.run()
    revisions = world.revisions
    world.desired = wish(world.desired, name="another")
    assert kinds(world.plan()) == ["Settle"]
    world.run()
    assert settled(world)
    assert world.revisions == revisions


def test_an_older_document_settles_what_it_says() -> None:
    """A newer wish does not keep an older one from being settled when it is in force."""
    world = World(tree())
    world.run()
    one = world.desired.pools[0]
    late = member(one.id, generation=2, address="10.1.0.77")
    world.desired = wish(changed(world.desired, members=(*world.desired.members, late)))
    for step in world.plan().acts:
        world.take(step)
    world.agent()
    later = member(one.id, generation=3, address="10.1.0.78")
    world.desired = wish(changed(world.desired, members=(*world.desired.members, later)))
    found = world.plan()
    assert kinds(found) == ["Settle", "PublishSpec", "AwaitReport"]
    world.take(found.acts[0])
    assert [row.settled for row in world.desired.members] == [1, 1, 2, 0]
    world.run()
    assert settled(world)


def test_a_port_is_given_up_when_no_member_needs_it() -> None:
    """The document without the link comes first, then the port goes."""
    world = World(tree())
    world.run()
    assert len(world.ports) == 2
    far = next(row for row in world.desired.members if row.subnet_id == FAR_SUBNET)
    rest = tuple(row for row in world.desired.members if row is not far)
    gone = renew(far, live=None, generation=2)
    world.desired = wish(changed(world.desired, members=(*rest, gone)))
    assert kinds(world.plan()) == ["PublishSpec", "AwaitReport"]
    world.run()
    assert len(world.ports) == 1
    assert len(world.desired.members) == 1


def test_a_refused_object_carries_the_fault_alone() -> None:
    """A final fault settles its object as ERROR and leaves every other row in force."""
    world = World(tree())
    world.run()
    bad = listener(generation=2, protocol_port=81)
    world.desired = wish(changed(world.desired, listeners=(*world.desired.listeners, bad)))
    for step in world.plan().acts:
        world.take(step)
    world.agent()
    (key,) = world.amphorae
    fault = Fault(object_type="listener", object_id=bad.id, text="refused by the engine")
    report = world.amphorae[key].reported
    assert report is not None
    world.note(key, reported=changed(report, faults=(fault,)))
    world.take(world.plan().acts[0])
    assert world.plan() == steps.Plan()
    rows = {row.id: row for row in world.desired.rows()}
    assert rows[bad.id].fault_generation == rows[bad.id].generation == 2
    assert [row.id for row in rows.values() if row.fault] == [bad.id]


def test_a_retryable_fault_keeps_its_object_pending() -> None:
    """The agent tries again: the object is not settled, the text is shown, we wait for a report."""
    world = World(tree())
    world.run()
    (key,) = world.amphorae
    one = renew(world.desired.pools[0], generation=2, settled=1, pending_since=5.0)
    world.desired = wish(changed(world.desired, pools=(one,)), admin_state_up=False)
    world.take(world.plan().acts[0])
    world.agent()
    fault = Fault(object_type="pool", object_id=one.id, text="not yet", final=False)
    report = world.amphorae[key].reported
    assert report is not None
    world.note(key, reported=changed(report, faults=(fault,)))
    found = world.plan()
    assert kinds(found) == ["Settle", "AwaitReport"]
    world.take(found.acts[0])
    assert kinds(world.plan()) == ["AwaitReport"]
    held = world.desired.pools[0]
    assert (held.settled, held.fault, held.pending_since) == (1, "not yet", 5.0)


def test_what_a_machine_cannot_do_is_not_sent() -> None:
    """A document with a restriction unknown there is no plan; the load balancer says why."""
    desired = changed(tree(), listeners=(listener(allowed_cidrs=["10.0.0.0/8"]),))
    world = World(desired, abilities=frozenset({HAPROXY}))
    world.run()
    assert world.revisions == 0
    assert "allowed-cidrs" in (world.desired.load_balancer.fault or "")
    assert [each.status for each in world.amphorae.values()] == [PENDING_CREATE]
    assert kinds(world.plan()) == ["Blocked"]


def ahead(world: World) -> None:
    """Let the agent report a document that the database does not know: it is of a lost time."""
    (key,) = world.amphorae
    world.note(key, reported=Reported(1, world.revisions + 5, 90, serving=True))


def test_an_agent_that_is_ahead_is_not_overruled() -> None:
    """After a restored backup the agent's document stands until a repair."""
    world = World(tree())
    world.run()
    ahead(world)
    assert "repair" in str(world.plan())
    assert "PublishSpec" not in kinds(world.plan())


def test_an_agent_that_is_ahead_settles_nothing() -> None:
    """Its generation is of another time: no wish of today's is in force by its word."""
    world = World(tree())
    world.run()
    ahead(world)
    one = world.desired.pools[0]
    gone, new = world.desired.members[0], member(one.id, generation=2, address="10.1.0.77")
    doomed = renew(gone, live=None, generation=2)
    world.desired = wish(changed(world.desired, members=(doomed, new)))
    for step in world.plan().acts:
        world.take(step)
    assert [row.settled for row in world.desired.members] == [1, 0]
    assert "repair" in (world.desired.load_balancer.fault or "")


def test_an_agent_that_is_ahead_holds_up_the_deletion_and_says_so() -> None:
    """It obeys no retirement that is older than what it holds."""
    world = World(tree())
    world.run()
    ahead(world)
    world.desired = doomed(world.desired)
    world.take(world.plan().acts[0])
    assert kinds(world.plan()) == ["Blocked"]
    assert "repair" in str(world.plan())


def test_no_report_settles_more_than_was_published() -> None:
    """A generation is in force as part of a document, whatever the agent says it was."""
    world = World(tree())
    world.run()
    (key,) = world.amphorae
    report = world.amphorae[key].reported
    assert report is not None
    world.note(key, reported=changed(report, generation=1000))
    late = member(world.desired.pools[0].id, generation=2, address="10.1.0.77")
    world.desired = wish(changed(world.desired, members=(*world.desired.members, late)))
    for step in world.plan().acts:
        world.take(step)
    assert [row.settled for row in world.desired.members] == [1, 1, 0]


def test_a_silent_machine_is_the_reason_that_is_shown() -> None:
    """A wish that waits for it says so, and is in force when the machine has come back."""
    world = World(tree())
    world.run()
    (key,) = world.amphorae
    world.desired = wish(world.desired, admin_state_up=False)
    world.note(key, connected=False)
    found = world.plan()
    assert kinds(found) == ["Settle", "PublishSpec", "Blocked"]
    for step in found.acts:
        world.take(step)
    assert kinds(world.plan()) == ["Blocked"]
    balancer = world.desired.load_balancer
    assert "silent" in (balancer.fault or "")
    assert (balancer.settled, balancer.pending_since) == (1, 1.0)
    world.note(key, connected=True)
    world.run()
    assert settled(world)
    assert world.desired.load_balancer.fault is None


def test_who_waits_for_one_amphora_goes_on_with_another() -> None:
    """A replacement is built while its predecessor's machine is silent."""
    world = World(tree())
    world.run()
    (key,) = world.amphorae
    world.note(key, connected=False)
    world.take(steps.RetireAmphora(amphora_id=key))
    found = world.plan()
    assert {"AddAmphora", "Blocked"} <= set(kinds(found))
    assert not found.ends
    while not found.ends:
        for step in found.acts:
            world.take(step)
        found = world.plan()
    assert "PublishSpec" in kinds(found)


def test_deletion_goes_step_by_step() -> None:
    """Retire, await the agent's word, give up ports and room, then the VIP, then the row."""
    world = World(tree())
    world.run()
    world.desired = doomed(world.desired)
    assert kinds(world.plan()) == ["RetireAmphora", "AwaitReport"]
    world.take(world.plan().acts[0])
    assert kinds(world.plan()) == ["AwaitReport"]
    world.agent()
    assert kinds(world.plan()) == ["RemoveAmphora"]
    world.take(world.plan().acts[0])
    assert kinds(world.plan()) == ["ReleaseVip", "Bury"]


def test_a_silent_machine_holds_up_the_deletion() -> None:
    """What may still live keeps its addresses."""
    world = World(tree())
    world.run()
    (key,) = world.amphorae
    world.desired = doomed(world.desired)
    world.take(world.plan().acts[0])
    world.note(key, connected=False)
    assert kinds(world.plan()) == ["Blocked"]


def test_a_creation_that_never_got_a_port_can_be_deleted() -> None:
    """An amphora without a document goes at once: nothing of it is anywhere."""
    world = World(tree())
    world.take(world.plan().acts[0])
    world.desired = doomed(world.desired)
    world.run()
    assert world.buried
    assert not world.amphorae


@pytest.mark.parametrize(
    ("until", "expected"),
    [(1010.0, ["AwaitTime"]), (990.0, ["LapseReservation"]), (1e9, ["LapseReservation"])],
)
def test_a_reservation_lapses(until: float, expected: list[str]) -> None:
    """Nothing is touched before its end; an end absurdly far ahead counts as reached."""
    balancer = load_balancer(live=None, reserved_until=until)
    assert kinds(World(Desired(balancer)).plan()) == expected


def test_a_lapsed_reservation_is_cleaned_up() -> None:
    """Its VIP port goes by the ordinary deletion."""
    world = World(Desired(load_balancer(live=None, reserved_until=990.0)))
    world.run()
    assert world.vip_released
    assert world.buried


def test_a_condemned_amphora_is_replaced() -> None:
    """One that is being deleted goes its way beside a new one."""
    world = World(tree())
    world.run()
    (key,) = world.amphorae
    world.note(key, status=PENDING_DELETE)
    world.run()
    assert key not in world.amphorae
    assert len(world.amphorae) == 1
    assert settled(world)


def test_a_vip_port_that_was_taken_away_is_made_again() -> None:
    """With the addresses that it had; what waits and what is published does not wait for it."""
    world = World(tree())
    world.vip_port = None
    world.run()
    assert settled(world)
    assert world.vip_port == Plug(
        "port-vip", NETWORK, "02:00:00:00:00:01", ((SUBNET, "10.1.0.10"),)
    )
    world.vip_port = None
    world.desired = wish(world.desired, admin_state_up=False)
    assert kinds(world.plan()) == ["PublishSpec", "EnsureVip", "AwaitReport"]


def test_the_port_of_a_user_is_the_users() -> None:
    """We did not make it, so we do not make it again."""
    world = World(Desired(load_balancer(vip_port_owned=False)), vip_port=None)
    world.run()
    assert settled(world)
    assert world.vip_port is None


def test_an_unknown_topology_is_refused() -> None:
    """What this release cannot build is final."""
    with pytest.raises(Final):
        World(Desired(load_balancer(topology="RING"))).plan()


def test_a_plan_can_be_printed() -> None:
    """One line per step, with ids."""
    text = str(World(tree()).plan())
    assert text.splitlines()[0].startswith("0 AddAmphora amphora_id=")
    assert str(steps.Plan()) == "nothing to do"


def test_the_abilities_of_today_are_enough() -> None:
    """An agent of this release can do whatever is asked."""
    world = World(tree(), abilities=ALL)
    world.run()
    assert settled(world)


@pytest.mark.parametrize("changed_meanwhile", [False, True])
def test_a_document_of_another_history_is_not_in_force(*, changed_meanwhile: bool) -> None:
    """The number is the one that was published, the document is not: repair is needed."""
    world = World(tree())
    world.run()
    (key,) = world.amphorae
    reported = world.amphorae[key].reported
    assert reported is not None
    world.note(key, reported=changed(reported, estranged=True))
    if changed_meanwhile:
        world.desired = wish(world.desired, admin_state_up=False)
    assert "repair is needed" in str(world.plan())
    assert "PublishSpec" not in kinds(world.plan())
    for step in world.plan().acts:
        world.take(step)
    assert settled(world) is not changed_meanwhile
