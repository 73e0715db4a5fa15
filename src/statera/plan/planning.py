"""desired + observed -> steps.  Pure: the same world gives the same plan.

Taking the steps and planning again reaches the empty plan; after a crash between any two steps the
next plan goes on from there.  Topologies differ here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

from statera.lb.errors import Final
from statera.plan import document
from statera.plan.desired import Desired
from statera.plan.observation import PENDING_DELETE, Amphora, Observation, Published, Reported
from statera.plan.settlement import by_object, unsettled
from statera.plan.steps import (
    AddAmphora,
    AwaitReport,
    AwaitTime,
    Blocked,
    Bury,
    EnsurePort,
    EnsureVip,
    LapseReservation,
    PlaceAmphora,
    Plan,
    PublishSpec,
    ReleasePort,
    ReleaseVip,
    RemoveAmphora,
    RetireAmphora,
    Settle,
    Step,
    ordered,
)
from statera.spec.abilities import needed
from statera.spec.document import AmphoraSpec
from statera.spec.report import Fault

ROLES = {"SINGLE": ("STANDALONE",)}
"""Topology -> roles of its amphorae."""
LONGEST_RESERVATION = 3600.0
"""Seconds; an end further ahead was written under another clock."""


def plan(desired: Desired, observation: Observation, now: float) -> Plan:
    """Return the steps that bring the world nearer to the wish; empty when it is true.

    `now` is seconds since 1970.  Raise `lb.errors.Final` for a topology that is not known.
    """
    if desired.load_balancer.live is None:
        return _removal(desired, observation, now)
    roles = ROLES.get(desired.load_balancer.topology)
    if roles is None:
        raise Final(f"topology {desired.load_balancer.topology} is not available")
    serving = [each for each in observation.amphorae if each.status != PENDING_DELETE]
    steps: list[Step] = []
    for each in observation.amphorae:
        if each.status == PENDING_DELETE:
            steps += _retirement(each, observation)
    for role in roles:
        amphora = next((each for each in serving if each.role == role), None)
        if amphora is None:
            steps += _addition(desired, observation, role)
        else:
            steps += _upkeep(desired, observation, amphora)
    return ordered(*steps, *_vip(desired, observation))


def _addition(desired: Desired, observation: Observation, role: str) -> list[Step]:
    amphora_id, generation = observation.fresh_id, desired.load_balancer.generation
    return [
        AddAmphora(rank=0, amphora_id=amphora_id, role=role, generation=generation),
        PlaceAmphora(rank=1, amphora_id=amphora_id),
        _vip_network_port(desired, amphora_id),
    ]


def _upkeep(desired: Desired, observation: Observation, amphora: Amphora) -> list[Step]:
    missing = _missing(desired, observation, amphora)
    if missing:
        return missing
    spec = document.build(desired, amphora, observation)
    published, reported = amphora.published, _in_force(amphora, observation)
    current = bool(published and published.spec and document.same(spec, published.spec))
    reached = current and not _is_ahead(amphora) and _order(reported) == _order(published)
    steps: list[Step] = []
    if not reached:
        steps = _publishing(observation, amphora, spec, current=current)
    elif reported and any(not fault.final for fault in reported.faults):
        steps = [AwaitReport(amphora_id=amphora.id, reason="the agent tries again what has failed")]
    blocked = next((step for step in steps if isinstance(step, Blocked)), None)
    steps += _settling(desired, amphora, _State(reported, reached, blocked))
    if reached:
        steps += _unneeded(desired, observation, amphora)
    return steps


@dataclass(frozen=True, slots=True)
class _State:
    """How far an amphora is: `reached` is whether the whole wish is in force there."""

    reported: Reported | None
    reached: bool
    blocked: Blocked | None


def _missing(desired: Desired, observation: Observation, amphora: Amphora) -> list[Step]:
    """Return the steps without which there is no document to build."""
    steps: list[Step] = []
    if amphora.machine_id is None:
        steps.append(PlaceAmphora(rank=1, amphora_id=amphora.id))
    if amphora.port_id not in observation.plugs:
        steps.append(_vip_network_port(desired, amphora.id))
    steps += [
        _subnet_port(desired, observation, amphora, subnet)
        for subnet in document.member_subnets(desired, observation)
        if amphora.ports.get(subnet) not in observation.plugs
    ]
    return steps


def _subnet_port(
    desired: Desired, observation: Observation, amphora: Amphora, subnet: str
) -> EnsurePort:
    return EnsurePort(
        rank=1,
        amphora_id=amphora.id,
        name=f"{port_name(amphora.id)}-{subnet}",
        project_id=desired.load_balancer.project_id,
        network_id=observation.homes[subnet],
        address_subnets=(subnet,),
        subnet_id=subnet,
    )


def _vip_network_port(desired: Desired, amphora_id: str) -> EnsurePort:
    balancer = desired.load_balancer
    if balancer.vip_network_id is None:
        raise Final("the load balancer has no VIP network")
    return EnsurePort(
        rank=1,
        amphora_id=amphora_id,
        name=port_name(amphora_id),
        project_id=balancer.project_id,
        network_id=balancer.vip_network_id,
        address_subnets=document.vip_subnets(desired),
    )


def _vip(desired: Desired, observation: Observation) -> list[Step]:
    """Return the step that makes a VIP port again; last, as the VIP works without it.

    The API made it before the load balancer was one.  A port that a user gave is the user's.
    """
    balancer = desired.load_balancer
    if not balancer.vip_port_owned or balancer.vip_port_id in observation.plugs:
        return []
    if balancer.vip_network_id is None:
        return []
    addresses = tuple((subnet, ip) for subnet, ip in document.vips(desired) if subnet)
    network_id, project_id = balancer.vip_network_id, balancer.project_id
    return [EnsureVip(rank=4, project_id=project_id, network_id=network_id, addresses=addresses)]


def port_name(amphora_id: str) -> str:
    """Return the name of an amphora's port on the VIP network."""
    return f"octavia-lb-vrrp-{amphora_id}"


def _in_force(amphora: Amphora, observation: Observation) -> Reported | None:
    published = amphora.published
    if observation.reports or published is None:
        return amphora.reported
    return Reported(published.epoch, published.revision, published.generation, serving=True)


def _is_ahead(amphora: Amphora) -> bool:
    """Say whether the agent obeys what this database did not publish (design §7)."""
    estranged = amphora.reported is not None and amphora.reported.estranged
    return estranged or _order(amphora.reported) > _order(amphora.published)


def _ahead(amphora: Amphora) -> Step:
    return Blocked(reason=f"amphora {amphora.id} has a newer document: repair is needed")


def _order(numbered: Published | Reported | None) -> tuple[int, int]:
    return (numbered.epoch, numbered.revision) if numbered else (0, 0)


def _settling(desired: Desired, amphora: Amphora, state: _State) -> list[Step]:
    """Return the step that writes down what is in force, if that is news.

    The document may be older than the wish and yet express all of it: then everything is in force.
    """
    balancer = desired.load_balancer
    reported = None if _is_ahead(amphora) else state.reported
    faults = reported.faults if reported else ()
    if state.blocked:
        why = Fault(
            object_type="loadbalancer",
            object_id=balancer.id,
            text=state.blocked.reason,
            final=False,
        )
        faults = (*faults, why)
    if reported is None and not faults:
        return []
    applied = 0
    if state.reached:
        applied = balancer.generation
    elif reported and amphora.published:
        applied = min(reported.generation, amphora.published.generation)
    if not unsettled(desired, applied, by_object(faults)):
        return []
    serving = (amphora.id,) if reported else ()
    return [Settle(rank=2, applied=applied, faults=faults, serving=serving)]


def _publishing(
    observation: Observation, amphora: Amphora, spec: AmphoraSpec, *, current: bool
) -> list[Step]:
    if _is_ahead(amphora):
        return [_ahead(amphora)]
    lacking = needed(spec) - amphora.abilities if observation.reports else frozenset()
    if lacking:
        names = ", ".join(sorted(lacking))
        return [Blocked(reason=f"machine {amphora.machine_id} cannot do this: {names}")]
    steps: list[Step] = []
    if not current:
        steps.append(PublishSpec(rank=3, amphora_id=amphora.id, spec=spec))
    if observation.reports:
        steps.append(_await(amphora, "the agent brings the change into force"))
    return steps


def _await(amphora: Amphora, doing: str, silent: str = "") -> Step:
    """Return the wait for an agent's word; that its machine is silent is shown to the user."""
    if amphora.connected:
        return AwaitReport(amphora_id=amphora.id, reason=doing)
    return Blocked(reason=f"machine {amphora.machine_id} is silent{silent}")


def _unneeded(desired: Desired, observation: Observation, amphora: Amphora) -> list[Step]:
    """Return the steps that give up ports; one begun and never noted is found by its name first."""
    wanted = document.member_subnets(desired, observation)
    return [
        ReleasePort(rank=4, amphora_id=amphora.id, subnet_id=subnet, port_id=port)
        if port or subnet not in observation.homes
        else _subnet_port(desired, observation, amphora, subnet)
        for subnet, port in sorted(amphora.ports.items())
        if subnet not in wanted
    ]


def _removal(desired: Desired, observation: Observation, now: float) -> Plan:
    until = desired.load_balancer.reserved_until
    if until is not None and now < until <= now + LONGEST_RESERVATION:
        return ordered(AwaitTime(until=until, reason="the creation may still be under way"))
    if until:
        return ordered(LapseReservation(rank=0))
    steps = [step for each in observation.amphorae for step in _retirement(each, observation)]
    return ordered(*(steps or (ReleaseVip(rank=0), Bury(rank=1))))


def _retirement(amphora: Amphora, observation: Observation) -> list[Step]:
    """Return the steps that take an amphora away; a retired one is never revived."""
    published, reported = amphora.published, amphora.reported
    if published is None or (published.retired and not observation.reports):
        return [RemoveAmphora(rank=4, amphora_id=amphora.id)]
    if published.retired and reported and reported.retired:
        return [RemoveAmphora(rank=4, amphora_id=amphora.id)]
    steps: list[Step] = []
    if not published.retired:
        steps.append(RetireAmphora(rank=3, amphora_id=amphora.id))
    if _is_ahead(amphora):
        steps.append(_ahead(amphora))
    elif observation.reports:
        doing, silent = "the agent removes the amphora", ": the amphora there may live"
        steps.append(_await(amphora, doing, silent))
    return steps
