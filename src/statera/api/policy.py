"""Who may do what: policy names and the checks behind them (`spec/api-behaviour` §3).

The target of every check is the project that owns the object.  Objects are looked up first, so that
a missing id is a 404 to everybody and a foreign one a 403.
"""

from __future__ import annotations

from collections.abc import Callable

from statera.lb.caller import Caller
from statera.lb.errors import Forbidden

ADMIN, MEMBER, READER, SERVICE = "admin", "member", "reader", "service"

Check = Callable[[Caller, str | None], bool]


def _admin(caller: Caller, _project: str | None) -> bool:
    return ADMIN in caller.roles


def _write(caller: Caller, project: str | None) -> bool:
    return ADMIN in caller.roles or (MEMBER in caller.roles and _owner(caller, project))


def _read(caller: Caller, project: str | None) -> bool:
    return _write(caller, project) or (READER in caller.roles and _owner(caller, project))


def _read_or_service(caller: Caller, project: str | None) -> bool:
    return SERVICE in caller.roles or _read(caller, project)


def _owner(caller: Caller, project: str | None) -> bool:
    return caller.project_id is not None and caller.project_id == project


def _usual(resource: str) -> dict[str, Check]:
    return {
        f"{resource}:get_all": _read,
        f"{resource}:get_all-global": _admin,
        f"{resource}:post": _write,
        f"{resource}:get_one": _read,
        f"{resource}:put": _write,
        f"{resource}:delete": _write,
    }


RULES: dict[str, Check] = {
    **_usual("loadbalancer"),
    "loadbalancer:post:vip_sg_ids": _write,
    "loadbalancer:put:vip_sg_ids": _write,
    "loadbalancer:get_stats": _read,
    "loadbalancer:get_status": _read,
    "loadbalancer:put_failover": _admin,
    **_usual("listener"),
    "listener:get_stats": _read,
    **_usual("pool"),
    **_usual("member"),
    "member:get_all": _read_or_service,
    **_usual("healthmonitor"),
    "provider:get_all": _read,
}
"""Policy name after `os_load-balancer_api:` -> check."""


def allows(caller: Caller, rule: str, project: str | None) -> bool:
    """Say whether the rule lets the caller act on an object of the project."""
    return RULES[rule](caller, project)


def enforce(caller: Caller, rule: str, project: str | None) -> None:
    """Raise `Forbidden` unless the rule lets the caller act on an object of the project."""
    if not allows(caller, rule, project):
        raise Forbidden("Policy does not allow this request to be performed.")


def listed_project(caller: Caller, resource: str, wanted: str | None) -> str | None:
    """Return the project whose objects a list may show; None: all projects."""
    if allows(caller, f"{resource}:get_all-global", caller.project_id):
        return wanted
    project = caller.project_id if wanted is None else wanted
    enforce(caller, f"{resource}:get_all", project)
    return project
