"""The batch of members: one request says what a pool's members are (`spec/api-resources` §4.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from statera.api import policy
from statera.api.context import ApiContext
from statera.api.desk import Desk
from statera.api.member_rows import has_monitor, member_row
from statera.api.pool_path import allowed_pool, hold_pool, refuse_doomed_pool, stamp_pool
from statera.lb import rules_member
from statera.lb.caller import Caller
from statera.lb.reading import Values
from statera.lb.statuses import NO_MONITOR, OFFLINE
from statera.store.writes import begin
from statera.store.writes_members import Batch, Existing, apply, existing

_RESET = ("weight", "backup", "admin_state_up", "monitor_address", "monitor_port")
"""Set to their defaults where the batch does not name them."""
_KEPT = ("name", "subnet_id")
"""Kept where the batch does not name them."""


class MemberBatch:
    """Applies batches."""

    def __init__(self, context: ApiContext, desk: Desk) -> None:
        self._context = context
        self._desk = desk

    def apply(
        self, caller: Caller, pool_id: str, wanted: Sequence[Values], *, additive: bool
    ) -> None:
        """Make the members of a pool what `wanted` says; `additive` deletes none."""
        subnets = {values["subnet_id"] for values in wanted} - {None}
        if subnets:
            row = allowed_pool(self._context, caller, pool_id, "member:post")
            self._enforce(caller, row["project_id"], additive)
            self._context.refuse_invisible_subnets(sorted(subnets), caller)

        def work(connection: Connection) -> None:
            held = hold_pool(connection, pool_id)
            self._enforce(caller, held.project_id, additive)
            old = existing(connection, pool_id)
            self._check(wanted, old)
            refuse_doomed_pool(connection, held, pool_id)
            if not wanted and (additive or not old):
                return
            status = OFFLINE if has_monitor(connection, pool_id) else NO_MONITOR
            wish = begin(connection, held)
            apply(connection, wish, batch_of(wanted, old, pool_id, status, additive=additive))
            stamp_pool(connection, wish, pool_id)

        self._context.write(work)

    def _enforce(self, caller: Caller, project_id: str, additive: bool) -> None:
        for verb in ("post", "put") if additive else ("post", "put", "delete"):
            policy.enforce(caller, f"member:{verb}", project_id)

    def _check(self, wanted: Sequence[Values], old: Existing) -> None:
        rules_member.keys_unique(wanted, old)
        for values in wanted:
            if rules_member.key_of(values) not in old:
                rules_member.creation(values, self._context.deployment)


def batch_of(
    wanted: Sequence[Values], old: Existing, pool_id: str, status: str, *, additive: bool
) -> Batch:
    """Return what a batch does to the existing members of a pool."""
    new = [v for v in wanted if rules_member.key_of(v) not in old]
    known = [(old[rules_member.key_of(v)], v) for v in wanted if rules_member.key_of(v) in old]
    named = [row["id"] for row, _ in known]
    changed = {row["id"]: _changed(row, values) for row, values in known}
    tags = {row["id"]: values["tags"] for row, values in known if "tags" in values.given}
    olds = {row["id"]: row for row, _ in known}
    return Batch(
        new=[member_row(values, pool_id, status) for values in new],
        named=named,
        changed={
            key: values
            for key, values in changed.items()
            if key in tags or _differs(olds[key], values)
        },
        tags=tags,
        gone=[] if additive else sorted({row["id"] for row in old.values()} - set(named)),
    )


def _changed(row: Mapping[str, Any], values: Values) -> dict[str, Any]:
    kept = {name: values[name] if name in values.given else row[name] for name in _KEPT}
    return kept | {name: values[name] for name in _RESET}


def _differs(row: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return any(row[name] != value for name, value in values.items())
