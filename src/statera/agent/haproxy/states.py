"""Member states that a new process must start with.

HAProxy takes every server for up until its check says otherwise, so a reload would send traffic to
members known to be dead.  The file that HAProxy reads at its start is written here, not copied from
the old process: only the health is carried over; weight and administrative state are the new
document's, and a member whose check was taken away is not left dead for ever.
"""

from __future__ import annotations

from statera.agent.haproxy.statistics import DOWN, Reading
from statera.render.routes import Routes
from statera.render.servers import checked, numbers
from statera.spec.document import Member, Pool

_FIELDS = (
    "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state "
    "srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl "
    "srv_check_port srv_check_addr srv_agent_addr srv_agent_port"
)
HEADER = f"1\n# {_FIELDS}\n"
_NAMES = _FIELDS.split()


def state_file(plan: Routes, before: Reading, verdicts: dict[tuple[str, str], bool]) -> str:
    """Return the text of the state file for the backends of `plan`.

    `before` is the latest reading; `verdicts` are those of the prober, by (pool, member): False is
    dead.
    """
    lines = [HEADER]
    for backend in plan.backends:
        pool = backend.pool
        given = numbers(pool)
        probed = checked(pool) is not None
        for member in pool.members:
            # One in maintenance shows MAINT: stopped, but not because of its check.
            shown = before.servers.get((backend.name, member.id), "") if probed else ""
            if member.enabled and (shown.startswith(DOWN) or dead(pool, member, verdicts)):
                lines.append(_line(backend.name, member, given.get(member.id, 1)))
    return "".join(lines)


def dead(pool: Pool, member: Member, verdicts: dict[tuple[str, str], bool]) -> bool:
    """Say whether the prober holds `member` for dead."""
    monitor = pool.monitor
    if monitor is None or not monitor.enabled or monitor.type != "PING":
        return False
    return not verdicts.get((pool.id, member.id), True)


def _line(backend: str, member: Member, number: int) -> str:
    """Return the line of one dead server: operational state 0, no successful check counted."""
    values = dict.fromkeys(_NAMES, "0") | {
        "be_id": "1",
        "be_name": backend,
        "srv_id": str(number),
        "srv_name": member.id,
        "srv_addr": member.address,
        "srv_uweight": str(member.weight),
        "srv_iweight": str(member.weight),
        "srv_check_status": "1",
        "srv_check_state": "6",
        "srv_fqdn": "-",
        "srv_port": str(member.port),
        "srvrecord": "-",
        "srv_check_addr": "-",
        "srv_agent_addr": "-",
    }
    return " ".join(values[name] for name in _NAMES) + "\n"
