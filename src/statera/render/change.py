"""What must happen to a running HAProxy so that it follows a new document.  Pure.

Only members come and go, change weight or administrative state without a reload.  A changed address
or port, backup role, monitor address or monitor port of a member is a reload too: it is rare, and
deleting and adding the server again would wait for its connections to end.
"""

from __future__ import annotations

import dataclasses
import enum

import msgspec

from statera.render.backends import cookie_key, inserts_cookie
from statera.render.routes import Backend, Routes, routes
from statera.render.servers import check_words, checked, numbers, proxy_words, server_words
from statera.spec.document import AmphoraSpec, Listener, Member


class Kind(enum.Enum):
    """How disturbing a change is."""

    NOTHING = "nothing"
    RUNTIME = "runtime"
    RELOAD = "reload"


@dataclasses.dataclass(frozen=True)
class AddMember:
    """Add a server; `words` are name, address and keywords.

    A new server starts in maintenance, its checks asleep: `checked` and `enabled` say what to wake.
    """

    backend: str
    member_id: str
    words: str
    checked: bool
    enabled: bool


@dataclasses.dataclass(frozen=True)
class RemoveMember:
    """Send nothing new to a server, and delete it when its connections have ended."""

    backend: str
    member_id: str


@dataclasses.dataclass(frozen=True)
class SetWeight:
    """Change the weight of a server (0: it drains)."""

    backend: str
    member_id: str
    weight: int


@dataclasses.dataclass(frozen=True)
class SetEnabled:
    """Change the administrative state of a server."""

    backend: str
    member_id: str
    enabled: bool


@dataclasses.dataclass(frozen=True)
class RefreshCookies:
    """Give servers that were added at run time their persistence cookie (HAProxy 2.6)."""

    backend: str
    key: str


Operation = AddMember | RemoveMember | SetWeight | SetEnabled | RefreshCookies


@dataclasses.dataclass(frozen=True)
class Change:
    """The least disturbing way; `operations` are in order, and empty unless `kind` is RUNTIME."""

    kind: Kind
    operations: tuple[Operation, ...] = ()


NOTHING = Change(Kind.NOTHING)
RELOAD = Change(Kind.RELOAD)


def change(old: AmphoraSpec | None, new: AmphoraSpec) -> Change:
    """Return how to get from `old`, which is in force, to `new`.

    Raise `Unrenderable` for a member that cannot be written.
    """
    if old is None:
        return RELOAD
    before, after = routes(old), routes(new)
    if _skeleton(old, before) != _skeleton(new, after):
        return RELOAD
    operations: list[Operation] = []
    for was, now in zip(before.backends, after.backends, strict=True):
        found = _members(was, now, new)
        if found is None:
            return RELOAD
        operations += found
    return Change(Kind.RUNTIME, tuple(operations)) if operations else NOTHING


def _skeleton(spec: AmphoraSpec, plan: Routes) -> tuple[object, ...]:
    """Return everything of `spec` that reaches the file, except members."""
    return (
        spec.vips if plan.listeners else (),
        tuple(_listener(listener) for listener in plan.listeners),
        plan.targets,
        tuple(
            (backend._replace(pool=msgspec.structs.replace(backend.pool, members=())))
            for backend in plan.backends
        ),
        cookie_key(spec) if plan.backends else "",
    )


def _listener(listener: Listener) -> Listener:
    """Return `listener` without what `targets` and the backends say already."""
    return msgspec.structs.replace(
        listener,
        default_pool_id=None,
        timeout_member_connect=0,
        timeout_member_data=0,
    )


def _members(was: Backend, now: Backend, spec: AmphoraSpec) -> list[Operation] | None:
    """Return the operations for one backend, or None if it takes a reload."""
    old = {member.id: member for member in was.pool.members}
    new = {member.id: member for member in now.pool.members}
    name = now.name
    operations: list[Operation] = []
    for member_id, member in new.items():
        if member_id in old:
            found = _modified(name, old[member_id], member)
            if found is None:
                return None
            operations += found
    added = [member for member_id, member in new.items() if member_id not in old]
    operations += _added(now, added)
    if added and inserts_cookie(now.pool, now.mode):
        operations.append(RefreshCookies(name, cookie_key(spec)))
    # Last, so that the backend is never emptier than either document wants it.
    operations += [RemoveMember(name, member_id) for member_id in old if member_id not in new]
    return operations


def _modified(backend: str, old: Member, new: Member) -> list[Operation] | None:
    if old == new:
        return []
    if msgspec.structs.replace(old, weight=new.weight, enabled=new.enabled) != new:
        return None
    operations: list[Operation] = []
    if old.weight != new.weight:
        operations.append(SetWeight(backend, new.id, new.weight))
    if old.enabled != new.enabled:
        operations.append(SetEnabled(backend, new.id, new.enabled))
    return operations


def _added(backend: Backend, members: list[Member]) -> list[Operation]:
    if not members:
        return []
    pool = backend.pool
    probed = checked(pool) is not None
    given = numbers(pool)
    shared = " ".join(words for words in (check_words(pool), proxy_words(pool)) if words)
    return [
        AddMember(
            backend=backend.name,
            member_id=member.id,
            words=f"{server_words(member, probed, given.get(member.id))} {shared}".rstrip(),
            checked=probed,
            enabled=member.enabled,
        )
        for member in members
    ]
