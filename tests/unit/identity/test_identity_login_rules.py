"""The throttle, the hashes and the roles."""

from __future__ import annotations

import pytest

from statera.cloud.identity.passwords import Passwords
from statera.cloud.identity.roles import closure
from statera.cloud.identity.settings import IdentitySettings
from statera.cloud.identity.throttle import Throttle, TooManyRequests, network_of
from statera.edges.identity.noauth import NoAuth


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def _wait(throttle: Throttle, source: str, user: str) -> int:
    """Return the imposed pause, 0 for none."""
    try:
        throttle.check(source, user)
    except TooManyRequests as error:
        return error.retry_after
    return 0


def test_pause_begins_after_the_free_attempts_and_grows() -> None:
    """Five failures: one second, doubling up to a minute; the pause ends by itself."""
    clock = Clock()
    throttle = Throttle(IdentitySettings(source_attempts=1000), clock)
    pauses = []
    for _ in range(13):
        throttle.failed("192.0.2.1", "ann")
        pauses.append(_wait(throttle, "192.0.2.1", "ann"))
        clock.time += pauses[-1]
        assert _wait(throttle, "192.0.2.1", "ann") == 0
    assert pauses == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_nobody_else_is_locked_out() -> None:
    """Another source, and another user from the same source, log in as before."""
    throttle = Throttle(IdentitySettings(), Clock())
    for _ in range(10):
        throttle.failed("192.0.2.1", "ann")
    assert _wait(throttle, "192.0.2.1", "ann") > 0
    assert _wait(throttle, "192.0.2.2", "ann") == 0
    assert _wait(throttle, "192.0.2.1", "bob") == 0


def test_trying_many_users_is_slowed_and_own_logins_do_not_help() -> None:
    """The address itself is counted, and a success in between does not reset that."""
    throttle = Throttle(IdentitySettings(), Clock())
    for number in range(20):
        throttle.failed("192.0.2.1", f"user {number}")
        throttle.succeeded("192.0.2.1", "own account")
    assert _wait(throttle, "192.0.2.1", "somebody") > 0
    assert _wait(throttle, "192.0.2.2", "somebody") == 0


def test_success_and_time_forgive() -> None:
    """A login forgets the user's failures; a quarter of an hour forgets all."""
    clock = Clock()
    throttle = Throttle(IdentitySettings(), clock)
    for _ in range(4):
        throttle.failed("192.0.2.1", "ann")
    throttle.succeeded("192.0.2.1", "ann")
    throttle.failed("192.0.2.1", "ann")
    assert _wait(throttle, "192.0.2.1", "ann") == 0
    for _ in range(5):
        throttle.failed("192.0.2.1", "ann")
    clock.time += 1000
    throttle.failed("192.0.2.1", "ann")
    assert _wait(throttle, "192.0.2.1", "ann") == 0


def test_after_the_free_attempts_one_try_at_a_time_is_looked_at() -> None:
    """Many guesses at once do not all pass between two pauses; a right one frees the next."""
    clock = Clock()
    throttle = Throttle(IdentitySettings(source_attempts=6), clock)
    for _ in range(6):
        throttle.failed("192.0.2.1", "ann")
    clock.time += 60
    assert [_wait(throttle, "192.0.2.1", "ann") for _ in range(3)] == [0, 1, 1]
    assert _wait(throttle, "192.0.2.1", "bob") == 1
    throttle.succeeded("192.0.2.1", "ann")
    assert [_wait(throttle, "192.0.2.1", "bob") for _ in range(2)] == [0, 1]
    clock.time += 1
    assert _wait(throttle, "192.0.2.1", "bob") == 0


def test_memory_is_bounded() -> None:
    """Endless user names do not fill the memory."""
    throttle = Throttle(IdentitySettings(), Clock())
    for number in range(12_000):
        throttle.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", str(number))
    assert len(throttle._counts) <= 10_000


@pytest.mark.parametrize(
    ("source", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_source_networks(source: str, network: str) -> None:
    """One client is one IPv4 address or one IPv6 /64."""
    assert network_of(source) == network


@pytest.mark.parametrize(
    ("given", "all_of_them"),
    [
        ((), ()),
        (("reader",), ("reader",)),
        (("member",), ("member", "reader")),
        (("admin",), ("admin", "member", "reader")),
        (("operator", "member"), ("operator", "member", "reader")),
    ],
)
def test_implied_roles(given: tuple[str, ...], all_of_them: tuple[str, ...]) -> None:
    """Admin implies member implies reader; other roles imply nothing."""
    assert closure(frozenset(given)) == frozenset(all_of_them)


def test_hashes() -> None:
    """Argon2id with the settings' cost; only the right password passes; nobody has none."""
    passwords = Passwords(IdentitySettings())
    stored = passwords.hash("right")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.verify(stored, "right")
    assert not passwords.verify(stored, "wrong")
    assert not passwords.verify(None, "right")
    assert not passwords.verify("no hash", "right")
    assert not passwords.outdated(stored)
    assert Passwords(IdentitySettings(argon2_time=3)).outdated(stored)


def test_noauth_is_always_admin_of_the_named_project() -> None:
    """Without authentication the request names its project."""
    caller = NoAuth().authenticate({"x-project-id": "p1"})
    assert caller.project_id == "p1"
    assert caller.roles == {"admin"}
    assert NoAuth().authenticate({}).project_id is None
