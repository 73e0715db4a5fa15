"""`statera status`: what runs, since when, how often it was restarted, and what it serves."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from typing import Any

from statera.cli.console import DONE, NOT_RUNNING, table
from statera.cli.context import Context, ServerSettings
from statera.service.state import State

MOST_FAULTS = 10
WHAT = {
    "machine": "claimed to be a machine that it is not",
    "amphora": "spoke of amphorae of other machines",
    "network": "spoke of networks of other machines",
    "unknown": "spoke of what this database does not know",
}
"""What was refused, by the kinds of `store.refusals`."""


def ask_supervisor(state: State, seconds: float = 5.0) -> dict[str, Any] | None:
    """Return what the supervisor says about itself and its processes, None when none answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(str(state.supervisor_socket))
            parts = iter(lambda: connection.recv(65536), b"")
            said: dict[str, Any] = json.loads(b"".join(parts))
        except (OSError, ValueError):
            return None
    return said


def gather(context: Context) -> dict[str, Any]:
    """Return the status as data; counts are missing where there is no database yet."""
    state = context.state
    said = ask_supervisor(state)
    record: dict[str, Any] = {
        "state_dir": str(state.root),
        "installation": state.known_id(),
        "api": (said or {}).get("api", context.get(ServerSettings).url),
        "ready": bool(said and said["ready"]),
        "supervisor": {key: said[key] for key in ("pid", "uptime")} if said else None,
        "processes": said["processes"] if said else [],
    }
    if state.known_id() is not None:
        record |= _counts(context)
    return record


def _counts(context: Context) -> dict[str, Any]:
    """Return what the database knows; nothing before its tables are made."""
    import sqlalchemy as sa  # noqa: PLC0415  a status of nothing needs no database
    from oslo_db.exception import DBError  # noqa: PLC0415

    from statera.api.settings import ApiSettings  # noqa: PLC0415
    from statera.lb.statuses import provisioning_status  # noqa: PLC0415
    from statera.store.database import Database  # noqa: PLC0415
    from statera.store.tables.objects import load_balancer  # noqa: PLC0415
    from statera.store.tables.placement import machine, refusal  # noqa: PLC0415

    c = machine.c
    columns = (c.id, c.host, c.connected, c.unknown, c.ahead)
    database = Database(context.database_url)
    try:
        machines, refused, rows = database.read(
            lambda connection: (
                connection.execute(sa.select(*columns).order_by(machine.c.host)).all(),
                connection.execute(sa.select(refusal).order_by(refusal.c.last_at)).all(),
                connection.execute(
                    sa.select(load_balancer).where(load_balancer.c.deleted_at.is_(None))
                ).all(),
            )
        )
    except (sa.exc.DBAPIError, DBError):
        return {}
    finally:
        database.close()
    ceiling = context.get(ApiSettings).pending_ceiling
    now = time.time()
    return {
        "machines": [dict(row._mapping) for row in machines],
        "refused": [dict(row._mapping) for row in refused],
        "faults": {row.id: row.fault for row in rows if row.fault},
        "load_balancers": Counter(provisioning_status(row, now, ceiling) for row in rows),
    }


def status(context: Context, *, as_json: bool) -> int:
    """Print the status.  Return 0 when running (`ready` says how well), 3 when not."""
    record = gather(context)
    print(json.dumps(record, indent=2) if as_json else describe(record))
    return NOT_RUNNING if record["supervisor"] is None else DONE


def describe(record: dict[str, Any]) -> str:
    """Return the status as text for people."""
    supervisor = record["supervisor"]
    lines = [f"state      {record['state_dir']} (installation {record['installation'] or 'none'})"]
    if supervisor is None:
        lines.append("processes  not running; `statera up` starts them")
    else:
        lines.append(f"api        {record['api']}")
        lines.append(f"processes  supervisor {supervisor['pid']}, up {span(supervisor['uptime'])}")
        rows = [("name", "pid", "state", "uptime", "restarts", "last exit")]
        rows += [
            (
                process["name"],
                str(process["pid"] or "-"),
                process["state"],
                span(process["uptime"]),
                str(process["restarts"]),
                process["last_exit"] or "-",
            )
            for process in record["processes"]
        ]
        lines.append(table(rows))
    for machine in record.get("machines", []):
        # without a gateway nobody has noted that the stream ended
        how = "connected" if machine["connected"] and supervisor else "silent"
        lines.append(f"machine    {machine['host']} ({machine['id']}): {how}")
        lines += [f"           {text}" for text in estrangement(machine)]
    for refused in record.get("refused", []):
        who, what = refused["subject"], WHAT[refused["kind"]]
        text = f"{who}: {what}, {refused['count']} times, last {refused['last']}"
        lines.append(f"refused    {text}")
    if "load_balancers" in record:
        kinds = sorted(record["load_balancers"].items())
        text = ", ".join(f"{count} {kind}" for kind, count in kinds)
        lines.append(f"balancers  {text or 'none'}")
    faults = sorted(record.get("faults", {}).items())
    lines += [f"fault      {balancer}: {text}" for balancer, text in faults[:MOST_FAULTS]]
    if len(faults) > MOST_FAULTS:
        lines.append(f"           and {len(faults) - MOST_FAULTS} more; --json has them all")
    return "\n".join(lines)


def estrangement(machine: dict[str, Any]) -> list[str]:
    """Say in words how a machine and this database disagree; nothing when they do not."""
    lines = []
    if machine["unknown"]:
        lines.append(
            f"it holds {documents(machine['unknown'])} unknown to this database and serves on; "
            "nothing of it is removed: is this the right database?"
        )
    if machine["ahead"]:
        lines.append(
            f"it holds {documents(machine['ahead'])} newer than this database, as after a restored "
            "backup; it serves on, nothing of it is changed: repair is needed"
        )
    return lines


def documents(count: int) -> str:
    """Return a number of documents in words."""
    return "1 document" if count == 1 else f"{count} documents"


def span(seconds: float) -> str:
    """Return a time span for people (`3 s`, `2 min 5 s`, `4 h 10 min`, `3 d 2 h`)."""
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    whole = int(seconds)
    for index, (size, name) in enumerate(units):
        if whole >= size or size == 1:
            text = f"{whole // size} {name}"
            rest = whole % size
            if index + 1 < len(units) and rest >= units[index + 1][0]:
                text += f" {rest // units[index + 1][0]} {units[index + 1][1]}"
            return text
    return "0 s"
