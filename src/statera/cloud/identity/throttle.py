"""Slows down those who guess passwords, and nobody else.

Failures are counted for each (address, user) and for each address: guessing one user's password and
trying one password on many users both meet a pause that doubles up to a maximum.  Nothing is
counted for a user alone: an attacker elsewhere must not lock the owner out.  The counts live in
memory; a restart forgives, which is cheaper than a database write for every guess.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from statera.cloud.identity.settings import IdentitySettings
from statera.lb.errors import UserError

_REMEMBERED = 10_000
_FORGIVEN_AFTER = 900.0
_ONE_TRY = 1.0
"""Seconds after which a try that never came to an end no longer holds up others."""


class TooManyRequests(UserError):
    """Too many failed logins; `retry_after` whole seconds until the next try is looked at."""

    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many failed logins. Try again in {retry_after} seconds.")
        self.retry_after = retry_after


@dataclass(slots=True)
class _Count:
    failures: int
    last: float
    blocked_until: float
    busy_until: float = 0.0


class Throttle:
    """Counts failed logins and refuses more of them for a while."""

    def __init__(
        self, settings: IdentitySettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()

    def check(self, source: str, user: str) -> None:
        """Raise `TooManyRequests` while a pause is on for this address and user.

        After the free failures one try at a time passes, or many sent at once would all be looked
        at between two pauses.
        """
        source = network_of(source)
        now = self._clock()
        with self._lock:
            counts = [
                (count, free)
                for key, free in self._limits(source, user)
                if (count := self._counts.get(key))
            ]
            ends = (max(count.blocked_until, count.busy_until) for count, _ in counts)
            wait = max(ends, default=now) - now
            if wait > 0:
                raise TooManyRequests(math.ceil(wait))
            for count, free in counts:
                if count.failures >= free:
                    count.busy_until = now + _ONE_TRY

    def failed(self, source: str, user: str) -> None:
        """Count a failed login."""
        source = network_of(source)
        with self._lock:
            for key, free in self._limits(source, user):
                self._add(key, free)

    def succeeded(self, source: str, user: str) -> None:
        """Forget the failures of this user from there, not those of the address.

        Otherwise an attacker with an account of their own could guess on between two logins.
        """
        source = network_of(source)
        with self._lock:
            self._counts.pop((source, user), None)
            if count := self._counts.get((source, "")):
                count.busy_until = 0.0

    def _limits(self, source: str, user: str) -> tuple[tuple[tuple[str, str], int], ...]:
        """Return what is counted, and how many failures of it are free."""
        return (
            ((source, user), self._settings.login_attempts),
            ((source, ""), self._settings.source_attempts),
        )

    def _add(self, key: tuple[str, str], free: int) -> None:
        now = self._clock()
        count = self._counts.pop(key, None)
        if count is None or now - count.last > _FORGIVEN_AFTER:
            count = _Count(0, now, 0.0)
        count.failures += 1
        count.last = now
        count.busy_until = 0.0
        over = count.failures - free
        if over >= 0:
            count.blocked_until = now + min(self._settings.login_pause, 2 ** min(over, 30))
        self._counts[key] = count
        while len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)


def network_of(source: str) -> str:
    """Return what stands for one client: an IPv4 address, or the /64 of an IPv6 address.

    Whoever has one IPv6 address has its whole /64.
    """
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:
        return source
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False))
