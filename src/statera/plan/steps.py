"""The steps of a plan.  Each is a value that says everything needed to take it.

Steps are taken in order of `rank`; those of one rank do not depend on each other.  Taking a step
twice is the same as taking it once.  A `Wait` is not taken: the load balancer is left alone until
somebody says something new, or a time comes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from statera.spec.document import AmphoraSpec
from statera.spec.report import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step."""

    rank: int = 0

    def __str__(self) -> str:
        """Return kind and ids, for people and for dry runs."""
        shown = ((each.name, getattr(self, each.name)) for each in fields(self))
        pairs = [f"{name}={_brief(value)}" for name, value in shown if name != "rank"]
        return " ".join([type(self).__name__, *pairs])


def _brief(value: object) -> str:
    if isinstance(value, AmphoraSpec):
        return f"[{len(value.listeners)} listeners, {len(value.pools)} pools]"
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAmphora(Step):
    """Store the row of a new amphora, before anything outside is named after it."""

    amphora_id: str
    role: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceAmphora(Step):
    """Ask the compute service where the amphora is to run."""

    amphora_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsurePort(Step):
    """Make a port of an amphora; `subnet_id` is None for the one on the VIP network."""

    amphora_id: str
    name: str
    project_id: str
    network_id: str
    address_subnets: tuple[str, ...]
    """Subnets in which the port gets an address; the first one's is the amphora's own."""
    subnet_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureVip(Step):
    """Make the VIP port again, which somebody took away: it keeps the addresses from others."""

    project_id: str
    network_id: str
    addresses: tuple[tuple[str, str], ...]
    """(subnet id, address)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishSpec(Step):
    """Publish the document of an amphora under the next revision."""

    amphora_id: str
    spec: AmphoraSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle(Step):
    """Write down what is in force, and why what is not is not."""

    applied: int
    faults: tuple[Fault, ...] = ()
    serving: tuple[str, ...] = ()
    """Amphorae that are in service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LapseReservation(Step):
    """Make sure that the creation which reserved the row cannot be confirmed any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireAmphora(Step):
    """Publish that nothing of an amphora is to be left on its machine."""

    amphora_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePort(Step):
    """Give up one further port of an amphora that no member needs any more."""

    amphora_id: str
    subnet_id: str
    port_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveAmphora(Step):
    """Give up every port and the room of an amphora that is gone from its machine."""

    amphora_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseVip(Step):
    """Give up the VIP port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bury(Step):
    """Nothing is left of the load balancer: its row becomes DELETED, what is under it goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(Step):
    """Nothing can be done now; `reason` is for people."""

    rank: int = 9
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitReport(Wait):
    """An agent is at work; its report brings us back."""

    amphora_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitTime(Wait):
    """Something outside may still be under way until then (seconds since 1970)."""

    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked(Wait):
    """It cannot go on until somebody acts: the reason is shown as the load balancer's fault."""


KINDS: tuple[type[Step], ...] = (
    AddAmphora,
    PlaceAmphora,
    EnsurePort,
    PublishSpec,
    Settle,
    LapseReservation,
    RetireAmphora,
    ReleasePort,
    EnsureVip,
    RemoveAmphora,
    ReleaseVip,
    Bury,
)
"""Steps that are taken, in the order in which a load balancer meets them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order of their ranks."""

    steps: tuple[Step, ...] = ()

    @property
    def acts(self) -> tuple[Step, ...]:
        """The steps to take."""
        return tuple(step for step in self.steps if not isinstance(step, Wait))

    @property
    def waits(self) -> tuple[Wait, ...]:
        """What there is to wait for once the steps are taken."""
        return tuple(step for step in self.steps if isinstance(step, Wait))

    @property
    def ends(self) -> bool:
        """Whether nothing is left to plan once the acts are taken.

        To settle changes no wish, and who publishes waits for the agent; anything else leads on,
        also while something else is waited for.
        """
        last = (Settle, PublishSpec, RetireAmphora, Wait) if self.waits else Settle
        return all(isinstance(step, last) for step in self.steps)

    def __str__(self) -> str:
        """Return one line per step."""
        return "\n".join(f"{step.rank} {step}" for step in self.steps) or "nothing to do"


def ordered(*steps: Step) -> Plan:
    """Return the plan of these steps."""
    return Plan(tuple(sorted(steps, key=lambda step: step.rank)))
