"""Strings of users spoil their own object at most: refused, or written so that they stay data."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statera.render.haproxy import Rendered, render
from statera.render.options import Options
from statera.render.writer import Unrenderable
from statera.spec.document import AmphoraSpec, Listener, Member, Monitor, Persistence, Pool

_OPTIONS = Options(stats_socket="/run/stats.sock", state_file="/dev/null", chroot="/var/empty")

_FIELDS = {
    "vip": ("loadbalancer", "lb"),
    "cidr": ("listener", "L1"),
    "header": None,
    "listener_id": ("listener", ...),
    "pool_id": ("pool", ...),
    "algorithm": ("pool", "P1"),
    "cookie_name": ("pool", "P1"),
    "cookie_key": None,
    "monitor_type": ("healthmonitor", "H1"),
    "http_method": ("healthmonitor", "H1"),
    "url_path": ("healthmonitor", "H1"),
    "expected_codes": ("healthmonitor", "H1"),
    "domain_name": ("healthmonitor", "H1"),
    "member_id": ("member", ...),
    "address": ("member", "m1"),
    "monitor_address": ("member", "m1"),
}

_NASTY = st.sampled_from(
    [
        "a\nfrontend x", "a\r", "\x00", "\x1b[0m", "a b", "'", '"', "\\", "a\\", "$HOME", "${HOME}",
        "#", "a#b", "'; global", "%[src]", "%", "{ src }", "if TRUE", "fd@3", "unix@/tmp/x", "]",
        "abns@x", "localhost", "::1%lo", "", "\u2028", "\x85", "\ud800", "a" * 300, "/a b", "/a\tb",
        "/'\\''\"x", "/\\", "/$(x)", "/`x`", "é", "200,", "200-", "²²²", "GET /", "GET\n", "or",
    ]
)  # fmt: skip
_TEXT = st.one_of(_NASTY, st.text(max_size=40), st.from_regex(r"/[ -~]{0,30}", fullmatch=True))


def _document(field: str, value: str) -> AmphoraSpec:
    """Return a document that holds `value` in one field and is sound otherwise."""
    held: dict[str, Any] = {field: value}
    pool = _pool(held)
    listener = Listener(
        id=held.get("listener_id", "L1"),
        protocol="HTTP",
        port=80,
        default_pool_id=pool.id,
        insert_headers={"X-Forwarded-For": held.get("header", "true")},
        allowed_cidrs=(held.get("cidr", "10.0.0.0/8"),),
    )
    return AmphoraSpec(
        amphora_id="amphora",
        load_balancer_id="lb",
        project_id="project",
        epoch=1,
        revision=1,
        generation=1,
        vips=(held.get("vip", "10.0.0.5"),),
        listeners=(listener,),
        pools=(pool,),
        cookie_key=held.get("cookie_key", "key"),
    )


def _pool(held: dict[str, Any]) -> Pool:
    names = ("http_method", "url_path", "expected_codes", "domain_name")
    free: dict[str, Any] = {name: held.get(name) for name in names}
    monitor = Monitor(
        id="H1",
        type=held.get("monitor_type", "HTTPS"),
        delay=1,
        timeout=1,
        rise=1,
        fall=1,
        http_version=1.1,
        **free,
    )
    member = Member(
        id=held.get("member_id", "m1"),
        address=held.get("address", "10.1.0.1"),
        port=80,
        monitor_address=held.get("monitor_address"),
    )
    kind = "APP_COOKIE" if "cookie_name" in held else "HTTP_COOKIE"
    return Pool(
        id=held.get("pool_id", "P1"),
        protocol="HTTP",
        algorithm=held.get("algorithm", "ROUND_ROBIN"),
        persistence=Persistence(type=kind, cookie_name=held.get("cookie_name", "c")),
        monitor=monitor,
        members=(member,),
    )


def _render(document: AmphoraSpec) -> Rendered | Unrenderable:
    try:
        return render(document, _OPTIONS)
    except Unrenderable as error:
        return error


def _shape(rendered: Rendered) -> list[str]:
    """Return the first word of every line: what the file is made of."""
    return [line.split()[0] if line.split() else "" for line in rendered.text.splitlines()]


@pytest.fixture(scope="module")
def directory() -> Iterator[pathlib.Path]:
    with tempfile.TemporaryDirectory() as path:
        yield pathlib.Path(path)


@pytest.mark.parametrize("field", _FIELDS)
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(value=_TEXT)
def test_a_string_adds_no_line(field: str, value: str) -> None:
    """A string is refused, blaming its own object, or changes no keyword of the file."""
    sound = _shape(render(_document("none", ""), _OPTIONS))
    rendered = _render(_document(field, value))
    if isinstance(rendered, Unrenderable):
        blamed = _FIELDS[field]
        assert blamed is not None
        assert rendered.owner.object_type == blamed[0]
        assert blamed[1] is ... or rendered.owner.object_id == blamed[1]
        return
    found = _shape(rendered)
    if field == "cookie_name":
        assert len(found) >= len(sound)
    elif field == "header":
        assert [word for word in found if word != "option"] == [
            word for word in sound if word != "option"
        ]
    elif field not in ("monitor_type", "algorithm"):
        assert found == sound


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
@pytest.mark.parametrize("field", ["url_path", "cookie_name", "domain_name", "cookie_key"])
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(value=_TEXT)
def test_haproxy_takes_what_is_written(field: str, value: str, directory: pathlib.Path) -> None:
    """Whatever free text is not refused, HAProxy reads as one word."""
    rendered = _render(_document(field, value))
    if isinstance(rendered, Unrenderable):
        return
    path = directory / "haproxy.cfg"
    path.write_text(rendered.text)
    result = subprocess.run(
        ["haproxy", "-c", "-f", str(path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, (value, result.stderr)


def test_control_characters_are_refused() -> None:
    """A line break in a URL path blames the monitor; the error does not repeat the value."""
    with pytest.raises(Unrenderable) as raised:
        render(_document("url_path", "/a\nfrontend evil"), _OPTIONS)
    assert raised.value.owner == ("healthmonitor", "H1")
    assert "evil" not in str(raised.value)


def test_the_cookie_key_itself_is_not_in_the_file() -> None:
    """The file holds a digest of the cookie key, stable over documents."""
    one = render(_document("cookie_key", "s3cret"), _OPTIONS)
    assert "s3cret" not in one.text
    again = msgspec.structs.replace(_document("cookie_key", "s3cret"), generation=9)
    assert render(again, _OPTIONS).text == one.text


def test_a_zone_adds_no_word() -> None:
    """What stands behind the `%` of a network is free text: such a network is refused."""
    with pytest.raises(Unrenderable) as raised:
        render(_document("cidr", "fe80::1%x -f shadow"), _OPTIONS)
    assert raised.value.owner == ("listener", "L1")
