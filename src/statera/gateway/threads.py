"""Database calls on threads, so that the loop of the gateway never waits for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy.engine import Connection

from statera.store.database import Database

T = TypeVar("T")


class Threads:
    """Runs transactions of one database on a few threads."""

    def __init__(self, database: Database, count: int) -> None:
        self._database = database
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="gateway")

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that cannot write."""
        return await self._run(lambda: self._database.read(work))

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a read-write transaction."""
        return await self._run(lambda: self._database.write(work))

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        """Let running calls end; begin no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)
