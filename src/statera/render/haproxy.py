"""A document as HAProxy configuration (2.6 and later).  Pure.

One process per amphora; one frontend per enabled listener, bound on every VIP; backends as
`render.routes` says.  A listener without a pool (or with one that is disabled or refused) answers
503 where it speaks HTTP and closes the connection where it does not.
"""

from __future__ import annotations

import dataclasses

from statera.render import backends, frontends
from statera.render.options import Options
from statera.render.routes import routes
from statera.render.writer import Owner, Unrenderable, Writer, endpoint, is_name, quote
from statera.spec.document import AmphoraSpec


@dataclasses.dataclass(frozen=True)
class Rendered:
    """A configuration file; `owners[n - 1]` is the object that line `n` belongs to."""

    text: str
    owners: tuple[Owner, ...]


def render(spec: AmphoraSpec, options: Options) -> Rendered:
    """Return the configuration of `spec`.

    Raise `Unrenderable`, which names the object, for a value that must not reach the file.
    """
    root = Owner("loadbalancer", spec.load_balancer_id)
    if not is_name(spec.amphora_id):
        raise Unrenderable(root, "the amphora's id is not valid")
    plan = routes(spec)
    if plan.listeners and any(endpoint(vip, 1) is None for vip in spec.vips):
        raise Unrenderable(root, "a VIP is not an IP address")
    for backend in plan.backends:
        # First of all, because a listener's lines name the backend too.
        if not is_name(backend.pool.id):
            raise Unrenderable(Owner("pool", backend.pool.id), "the id is not valid")
    writer = Writer(root)
    _global(writer, spec, options, root)
    _defaults(writer, root)
    backends.tables(writer, spec.amphora_id, plan.backends, options, root)
    targets = {backend.name: backend for backend in plan.backends}
    for listener in plan.listeners:
        target = targets.get(plan.targets.get(listener.id, ""))
        frontends.frontend(writer, listener, target, spec.vips, options)
    users = {name: listener_id for listener_id, name in plan.targets.items()}
    for backend in plan.backends:
        backends.backend(writer, backend, spec, users[backend.name])
    return Rendered(writer.text(), writer.owners())


def _global(writer: Writer, spec: AmphoraSpec, options: Options, root: Owner) -> None:
    writer.section("global", root)
    writer.line(f"user {quote(options.user)}")
    writer.line(f"group {quote(options.group)}")
    writer.line(f"chroot {quote(options.chroot)}")
    # Weak quotes: the address may name a variable of the environment.
    writer.line(f'stats socket "{options.stats_socket}" mode 600 level admin expose-fd listeners')
    writer.line("stats maxconn 100")
    writer.line(f"server-state-file {quote(options.state_file)}")
    writer.line(f"maxconn {options.max_connections}")
    writer.line(f"nbthread {options.threads}")
    writer.line(f"hard-stop-after {options.hard_stop_after}s")
    writer.line(f"localpeer {spec.amphora_id}")
    # A limit that the machine does not grant must not keep HAProxy from starting.
    writer.line("no strict-limits")


def _defaults(writer: Writer, root: Owner) -> None:
    writer.section("defaults", root)
    writer.line("load-server-state-from-file global")
    # Else a connection's bytes count at its end, which may be days away, or not at all.
    writer.line("option contstats")
    writer.line("timeout connect 5s")
    writer.line("timeout client 50s")
    writer.line("timeout server 50s")
    # A member that refuses is left at the first retry, not after three waits of a second.
    writer.line("retries 3")
    writer.line("option redispatch 1")
    writer.line("option splice-request")
    writer.line("option splice-response")
