"""The PING prober: ICMP echo from inside an amphora's namespace.

HAProxy has no such check, and an external program does not fit its sandbox.  A verdict follows the
rules of HAProxy's own checks: a target counts as healthy until the first answer is due, one failure
then is enough, and after that `fall` failures or `rise` successes in a row turn it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ipaddress
import logging
import os
import socket
import struct
from collections.abc import Callable, Iterable, Mapping

from statera.agent.space import Space
from statera.lb.errors import Retryable

LOG = logging.getLogger(__name__)

Key = tuple[str, str]
"""(pool id, member id)"""

_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}
_SOL_RAW, _ICMP_FILTER = 255, 1
_ICMP6_FILTER = 1
_TOKEN = 16
_SO_RCVBUFFORCE = 33
_BUFFER = 8 << 20
"""Bytes: answers to thousands of requests that were sent at once are lost in the usual buffer."""


@dataclasses.dataclass(frozen=True)
class Target:
    """Whom to probe, and how; `delay` and `timeout` are seconds."""

    key: Key
    address: str
    delay: float
    timeout: float
    rise: int
    fall: int


class Prober:
    """Probes any number of targets and calls `verdict(key, healthy)` whenever one turns."""

    def __init__(self, space: Space, verdict: Callable[[Key, bool], None]) -> None:
        self._space = space
        self._verdict = verdict
        self._tasks: dict[Target, asyncio.Task[None]] = {}
        self._sockets: dict[socket.AddressFamily, socket.socket] = {}
        self._waiting: dict[bytes, asyncio.Future[None]] = {}

    async def aim(self, targets: Iterable[Target], known: Mapping[Key, bool]) -> None:
        """Probe `targets` and nothing else; `known` are verdicts to begin with.

        Targets that stay the same go on undisturbed.
        """
        wanted = set(targets)
        gone = [self._tasks.pop(target) for target in set(self._tasks) - wanted]
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        for target in wanted - set(self._tasks):
            probing = self._probe(target, known.get(target.key, True))
            self._tasks[target] = asyncio.create_task(probing)
        if not self._tasks:
            self._close()

    async def stop(self) -> None:
        """Probe nothing any more."""
        await self.aim((), {})

    async def _probe(self, target: Target, healthy: bool) -> None:
        """Probe one target for ever."""
        # As HAProxy begins: healthy by one failure, dead by all the successes that it takes.
        health = target.rise if healthy else 0
        top = target.rise + target.fall - 1
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            answered = await self._ask(target)
            if answered:
                health = top if health + 1 >= target.rise else health + 1
            elif health >= target.rise:
                health = health - 1 if health > target.rise else 0
            else:
                health = 0
            now = health >= target.rise
            if now != healthy:
                healthy = now
                LOG.info("prober.turned member=%s healthy=%s", target.key[1], healthy)
                self._verdict(target.key, healthy)
            await asyncio.sleep(max(begun + target.delay - loop.time(), 0.05))

    async def _ask(self, target: Target) -> bool:
        """Send one echo request; say whether it was answered in time."""
        token = os.urandom(_TOKEN)
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[token] = answer
        try:
            # Opening fails when the namespace has gone: that too is no answer.
            await self._send(target.address, token)
            async with asyncio.timeout(target.timeout):
                await answer
        except (OSError, TimeoutError, Retryable):
            return False
        finally:
            del self._waiting[token]
        return True

    async def _send(self, address: str, token: bytes) -> None:
        version = ipaddress.ip_address(address).version
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        if family not in self._sockets:
            opened = await asyncio.to_thread(self._space.call, lambda: _open(family))
            if family in self._sockets:
                opened.close()
            else:
                self._sockets[family] = opened
                loop = asyncio.get_running_loop()
                loop.add_reader(opened.fileno(), self._receive, family, opened)
        self._sockets[family].sendto(_request(family, token), (address, 0))

    def _receive(self, family: socket.AddressFamily, opened: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            while True:
                packet = opened.recv(2048)
                offset = (packet[0] & 15) * 4 if family == socket.AF_INET else 0
                token = packet[offset + 8 : offset + 8 + _TOKEN]
                answer = self._waiting.get(token)
                if packet[offset] == _ECHO[family][1] and answer and not answer.done():
                    answer.set_result(None)

    def _close(self) -> None:
        loop = asyncio.get_running_loop()
        for opened in self._sockets.values():
            loop.remove_reader(opened.fileno())
            opened.close()
        self._sockets.clear()


def _open(family: socket.AddressFamily) -> socket.socket:
    """Return a raw socket that hears echo replies only."""
    if family == socket.AF_INET:
        opened = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        opened.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", ~1 & 0xFFFFFFFF))
    else:
        opened = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        blocked = [0xFFFFFFFF] * 8
        blocked[129 >> 5] &= ~(1 << (129 & 31))
        opened.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *blocked))
    opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    opened.setblocking(False)
    return opened


def _request(family: socket.AddressFamily, token: bytes) -> bytes:
    """Return an echo request; the kernel fills in the checksum of the IPv6 one."""
    kind = _ECHO[family][0]
    checksum = 0
    if family == socket.AF_INET:
        checksum = _checksum(struct.pack("!BBHHH", kind, 0, 0, 0, 0) + token)
    return struct.pack("!BBHHH", kind, 0, checksum, 0, 0) + token


def _checksum(data: bytes) -> int:
    """Return the internet checksum of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
