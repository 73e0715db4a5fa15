"""A listener as a frontend."""

from __future__ import annotations

from statera.render.options import Options
from statera.render.routes import HTTP, TCP, Backend
from statera.render.writer import Owner, Unrenderable, Writer, endpoint, is_name, network
from statera.spec.document import Listener

_PROTOCOLS = {"HTTP": HTTP, "HTTPS": TCP, "TCP": TCP}
_CIDRS_PER_LINE = 32


def frontend(
    writer: Writer,
    listener: Listener,
    target: Backend | None,
    vips: tuple[str, ...],
    options: Options,
) -> None:
    """Write the frontend of `listener`, leading to the backend `target` if there is one."""
    owner = Owner("listener", listener.id)
    mode = _PROTOCOLS.get(listener.protocol)
    if mode is None:
        raise Unrenderable(owner, "the protocol is not supported here")
    if target is not None:
        # The upgrade happens here: in mode tcp the option for idle connections would not count.
        mode = target.mode
    if not is_name(listener.id):
        raise Unrenderable(owner, "the id is not valid")
    writer.section(f"frontend {listener.id}", owner)
    writer.line(f"mode {mode}")
    for vip in vips:
        address = endpoint(vip, listener.port) or ""
        writer.line(f"bind {address} v6only" if address.startswith("[") else f"bind {address}")
    _limits(writer, listener, owner, options)
    _timeouts(writer, listener)
    if mode == HTTP:
        # Without it the leaving process of a reload cuts idle keep-alive connections.
        writer.line("option idle-close-on-response")
        _headers(writer, listener)
    if target is not None:
        writer.line(f"default_backend {target.name}")


def _limits(writer: Writer, listener: Listener, owner: Owner, options: Options) -> None:
    limit = listener.connection_limit
    if limit < 0:
        limit = options.connection_limit
    if limit:
        writer.line(f"maxconn {min(limit, options.max_connections)}")
    else:
        # HAProxy reads 0 as "no limit"; the API's 0 admits nobody.
        writer.line("tcp-request connection reject")
    if not listener.allowed_cidrs:
        return
    cidrs = []
    for text in listener.allowed_cidrs:
        cidr = network(text)
        if cidr is None:
            raise Unrenderable(owner, "an allowed CIDR is not a network")
        cidrs.append(cidr)
    for start in range(0, len(cidrs), _CIDRS_PER_LINE):
        writer.line("acl allowed src " + " ".join(cidrs[start : start + _CIDRS_PER_LINE]))
    writer.line("tcp-request connection reject unless allowed")


def _timeouts(writer: Writer, listener: Listener) -> None:
    # 0 means endless, in the API as in HAProxy; writing it explicitly replaces the default.
    writer.line(f"timeout client {listener.timeout_client_data}ms")
    if listener.timeout_tcp_inspect:
        writer.line(f"tcp-request inspect-delay {listener.timeout_tcp_inspect}ms")


def _headers(writer: Writer, listener: Listener) -> None:
    wanted = {name for name, value in listener.insert_headers.items() if value.lower() == "true"}
    if "X-Forwarded-For" in wanted:
        writer.line("option forwardfor")
    if "X-Forwarded-Port" in wanted:
        writer.line("http-request set-header X-Forwarded-Port %[dst_port]")
    if "X-Forwarded-Proto" in wanted:
        writer.line("http-request set-header X-Forwarded-Proto http")
