"""What an agent says is true.

Counters are cumulative within a *process epoch* (a number that grows whenever they start again from
zero), so a lost report loses nothing: the controller makes the deltas.
"""

from __future__ import annotations

import msgspec

from statera.spec.document import Struct


class Fault(Struct, frozen=True, kw_only=True):
    """Why an object is not in force as wished.

    `object_type` is the API's name (`listener`, `pool`, `member`, `healthmonitor`, `loadbalancer`).
    `final` says that trying again without a new wish is pointless (the engine refused it).
    """

    object_type: str
    object_id: str
    text: str
    final: bool = True


class Counters(Struct, frozen=True, kw_only=True):
    """Traffic of one object since its process epoch began; `active_connections` is a gauge."""

    epoch: int
    bytes_in: int = 0
    bytes_out: int = 0
    total_connections: int = 0
    request_errors: int = 0
    active_connections: int = 0


class ListenerReport(Struct, frozen=True, kw_only=True):
    """`status` is OPEN or FULL (connection limit reached)."""

    id: str
    status: str
    counters: Counters


class MemberReport(Struct, frozen=True, kw_only=True):
    """`status` is UP, DOWN, DRAIN, MAINT or NO_CHECK (`status-and-drivers` §8.2)."""

    id: str
    status: str


class PoolReport(Struct, frozen=True, kw_only=True):
    """`status` is UP, or DOWN when no member serves."""

    id: str
    status: str
    members: tuple[MemberReport, ...] = ()


class AmphoraReport(Struct, frozen=True, kw_only=True):
    """State of one amphora.

    `epoch`, `revision` and `generation` are those of the document in force (0 while none is);
    a document in force with `faults` is in force except for the named objects.  `retired` answers
    a retire document: nothing of the amphora is left on the machine.
    """

    amphora_id: str
    epoch: int
    revision: int
    generation: int
    serving: bool = False
    """The data plane process is up."""
    retired: bool = False
    faults: tuple[Fault, ...] = ()
    listeners: tuple[ListenerReport, ...] = ()
    pools: tuple[PoolReport, ...] = ()


class NetworkReport(Struct, frozen=True, kw_only=True):
    """State of one network on the machine; `fault` says why it is not as wished."""

    network_id: str
    epoch: int
    revision: int
    retired: bool = False
    fault: str | None = None


# As in `spec.document`: no two threads may be the first to read a type.
for _kind in (AmphoraReport, NetworkReport):
    msgspec.msgpack.Decoder(_kind)
