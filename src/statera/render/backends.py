"""A pool as a backend, with its members and what its monitor asks of HAProxy."""

from __future__ import annotations

import functools
import hashlib
import re

from statera.render.options import Options
from statera.render.routes import HTTP, Backend
from statera.render.servers import (
    check_words,
    checked,
    domain,
    numbers,
    proxy_words,
    server_words,
)
from statera.render.writer import Owner, Unrenderable, Writer, member_owner, quote
from statera.spec.document import AmphoraSpec, Monitor, Pool

_BALANCE = {
    "ROUND_ROBIN": "roundrobin",
    "LEAST_CONNECTIONS": "leastconn",
    "SOURCE_IP": "source",
    # HAProxy 2.6 cannot hash the port: the API refuses it, a document that has it works by address.
    "SOURCE_IP_PORT": "source",
}
_TABLES = "statera"
_COOKIE = "SRV"
_COOKIE_NAME = re.compile(r"[A-Za-z0-9_.!#$%&*+^`|~-]{1,255}")
_METHOD = re.compile(r"[A-Z]{1,16}")
_CODES = re.compile(r"\d{3}(\s*,\s*\d{3})*|\d{3}-\d{3}", re.ASCII)
_SPACE = re.compile(r"\s")
_CHECKED = quote('%[bc_dst,regsub("^(.*:.*)$","[\\1]")]')
"""The address that is checked, as HTTP/1.1 wants a host: servers refuse a request without one."""


def tables(
    writer: Writer,
    amphora_id: str,
    backends: tuple[Backend, ...],
    options: Options,
    root: Owner,
) -> None:
    """Write the persistence tables, one per pool, in a `peers` section.

    The only peer is the amphora itself: the process replaced by a reload hands its entries over.
    They meet on an abstract socket, which a changed root directory does not hide and which belongs
    to the network namespace alone.
    """
    pools = {backend.pool.id: backend.pool for backend in backends if _table(backend)}
    if not pools:
        return
    writer.section(f"peers {_TABLES}", root)
    writer.line(f"peer {amphora_id} abns@statera-{amphora_id}")
    for pool in pools.values():
        writer.owner = Owner("pool", pool.id)
        kind = "string len 128" if pool.persistence and _application(pool) else "ipv6"
        writer.line(f"table {pool.id} type {kind} size {options.stick_entries}")


def backend(writer: Writer, backend: Backend, spec: AmphoraSpec, listener_id: str) -> None:
    """Write `backend`: the pool's own lines, then its check, then its members.

    The time-outs are the wish of its listeners, of which `listener_id` is one.
    """
    pool = backend.pool
    owner = Owner("pool", pool.id)
    writer.section(f"backend {backend.name}", owner)
    writer.line(f"mode {backend.mode}")
    algorithm = _BALANCE.get(pool.algorithm)
    if algorithm is None:
        raise Unrenderable(owner, "the algorithm is not supported here")
    writer.line(f"balance {algorithm}")
    if algorithm == "source":
        writer.line("hash-type consistent")
    writer.owner = Owner("listener", listener_id)
    writer.line(f"timeout connect {backend.timeout_connect}ms")
    writer.line(f"timeout server {backend.timeout_server}ms")
    writer.owner = owner
    if backend.mode == HTTP:
        _http(writer)
    _persistence(writer, backend, spec)
    _check(writer, pool)
    writer.owner = owner
    proxy = proxy_words(pool)
    if proxy:
        writer.line(f"default-server {proxy}")
    _members(writer, pool)


def cookie_key(spec: AmphoraSpec) -> str:
    """Return the key of persistence cookies as one word, the same on every amphora."""
    return _digest(spec.cookie_key or spec.load_balancer_id)


@functools.lru_cache(maxsize=1024)
def _digest(key: str) -> str:
    return hashlib.blake2b(key.encode(errors="replace"), digest_size=16).hexdigest()


def inserts_cookie(pool: Pool, mode: str) -> bool:
    """Say whether HAProxy itself makes the persistence cookie of `pool`."""
    kind = pool.persistence.type if pool.persistence else None
    return mode == HTTP and kind == "HTTP_COOKIE"


def _application(pool: Pool) -> bool:
    return pool.persistence is not None and pool.persistence.type == "APP_COOKIE"


def _table(backend: Backend) -> bool:
    """Say whether `backend` needs a persistence table; cookies mean nothing outside HTTP."""
    kind = backend.pool.persistence.type if backend.pool.persistence else None
    return kind == "SOURCE_IP" or (kind == "APP_COOKIE" and backend.mode == HTTP)


def _http(writer: Writer) -> None:
    """Share connections to members, and try again what can be tried again without harm."""
    # Halves the CPU of short connections; a member may close a shared connection at any moment,
    # hence the retry of what it then left unanswered, for methods that change nothing.
    writer.line("http-reuse always")
    writer.line("retry-on conn-failure empty-response")
    writer.line("http-request disable-l7-retry if !METH_GET !METH_OPTIONS")


def _persistence(writer: Writer, backend: Backend, spec: AmphoraSpec) -> None:
    pool = backend.pool
    if pool.persistence is None:
        return
    table = f"{_TABLES}/{pool.id}"
    if pool.persistence.type == "SOURCE_IP":
        writer.line(f"stick on src table {table}")
    elif inserts_cookie(pool, backend.mode):
        writer.line(f"cookie {_COOKIE} insert indirect nocache dynamic")
        writer.line(f"dynamic-cookie-key {cookie_key(spec)}")
    elif _application(pool) and backend.mode == HTTP:
        cookie = pool.persistence.cookie_name or ""
        if not _COOKIE_NAME.fullmatch(cookie):
            raise Unrenderable(writer.owner, "the cookie name is not valid")
        writer.line("stick store-response " + quote(f"res.cook({cookie})") + f" table {table}")
        writer.line("stick match " + quote(f"req.cook({cookie})") + f" table {table}")


def _check(writer: Writer, pool: Pool) -> None:
    monitor = checked(pool)
    if monitor is None:
        return
    writer.owner = Owner("healthmonitor", monitor.id)
    if monitor.type not in ("HTTP", "HTTPS", "TCP", "TLS-HELLO"):
        raise Unrenderable(writer.owner, "the monitor type is not supported here")
    writer.line(f"timeout check {max(monitor.timeout, 1)}s")
    if monitor.type in ("HTTP", "HTTPS"):
        _http_check(writer, monitor)
    writer.line(f"default-server {check_words(pool)}")


def _http_check(writer: Writer, monitor: Monitor) -> None:
    method = monitor.http_method or "GET"
    if not _METHOD.fullmatch(method):
        raise Unrenderable(writer.owner, "the HTTP method is not valid")
    path = monitor.url_path or "/"
    if _SPACE.search(path):
        raise Unrenderable(writer.owner, "the URL path holds a space")
    codes = (monitor.expected_codes or "200").strip()
    if not _CODES.fullmatch(codes):
        raise Unrenderable(writer.owner, "the expected codes are not valid")
    words = f"http-check send meth {method} uri {quote(path)}"
    if monitor.http_version is not None and monitor.http_version >= 1.1:
        words += f" ver HTTP/1.1 hdr Host {domain(monitor) or _CHECKED}"
    writer.line("option httpchk")
    writer.line(words)
    writer.line("http-check expect status " + _SPACE.sub("", codes))


def _members(writer: Writer, pool: Pool) -> None:
    probed = checked(pool) is not None
    given = numbers(pool)
    for member in pool.members:
        writer.owner = member_owner(member.id)
        words = "server " + server_words(member, probed, given.get(member.id))
        writer.line(words if member.enabled else words + " disabled")
