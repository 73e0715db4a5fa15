"""An event loop with virtual time, on which several processes run side by side.

Every callback belongs to the process in whose context it was scheduled; the seed decides whose is
next.  Within one process the order is asyncio's own.  Time stands still while anything can run, and
then jumps.  Blocking code runs as a *thread*: a greenlet that gives way where it would have waited,
so one operating system thread does all, and the same seed does the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

import greenlet

T = TypeVar("T")


class Process:
    """One life of one process.  What is scheduled for a dead one never runs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.skew = 0.0
        """Seconds that its wall clock is ahead."""
        self.ready: deque[asyncio.Handle] = deque()
        self.last_words: list[Callable[[], None]] = []
        """What the kernel does at the end of the process: closes sockets, mostly."""
        self.context = contextvars.copy_context()
        self.context.run(CURRENT.set, self)

    def within(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run `work` as this process."""
        return self.context.copy().run(work, *arguments)

    def kill(self) -> None:
        """End the process where it is; nothing of it runs any more, not even what is `finally`."""
        self.dead = True
        self.ready.clear()
        for each in self.last_words:
            each()
        self.last_words.clear()


class Over(BaseException):
    """Raised in whoever still wants something when the schedule has ended."""


CURRENT: contextvars.ContextVar[Process] = contextvars.ContextVar("process")


class Loop(asyncio.BaseEventLoop):
    """Runs everything of one schedule."""

    def __init__(self, random: Random, after_step: Callable[[], None]) -> None:
        super().__init__()
        self.now = 0.0
        self.steps = 0
        self.over = False
        self._random = random
        self._after_step = after_step
        self._eager: dict[Process, None] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._threads: dict[greenlet.greenlet, None] = {}
        self._hub = greenlet.getcurrent()
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Return the virtual time in seconds since the beginning."""
        return self.now

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Schedule for the process of the context."""
        handle = asyncio.Handle(callback, args, self, context)
        self._admit(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run a blocking function as a thread of the calling process."""
        del executor
        future: asyncio.Future[T] = self.create_future()

        def done(value: Any, error: Exception | None) -> None:
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(value)

        self.start_thread(lambda: func(*args), done)
        return future

    def start_thread(
        self, work: Callable[[], Any], done: Callable[[Any, Exception | None], None]
    ) -> None:
        """Run `work` as a thread of the calling process; `done` is told what came of it."""

        def run() -> None:
            value, failure = None, None
            try:
                value = work()
            except Exception as error:
                failure = error
            finally:
                self._threads.pop(thread, None)
            done(value, failure)

        thread = greenlet.greenlet(run, parent=self._hub)
        thread.gr_context = contextvars.copy_context()
        self._threads[thread] = None
        self.call_later(self._random.uniform(0.0, 0.002), thread.switch)

    def pause(self, seconds: float) -> None:
        """Let others run while the calling thread waits."""
        thread = greenlet.getcurrent()
        if self.over:
            raise Over
        if thread is self._hub:
            raise RuntimeError("the event loop itself would have blocked")
        self.call_later(seconds, thread.switch)
        self._hub.switch()
        if self.over:
            raise Over

    def in_thread(self) -> bool:
        """Say whether the caller may block."""
        return greenlet.getcurrent() is not self._hub

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        """Wait for a virtual datagram."""
        found: bytes = await sock.receive(nbytes)
        return found

    def finish(self) -> None:
        """Drop whatever still waits; nothing of it has an effect any more."""
        self.over = True
        for thread in list(self._threads):
            with contextlib.suppress(Over):
                thread.throw(Over)
        for task in self._tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine: Any = task.get_coro()
            with contextlib.suppress(RuntimeError, Over):
                coroutine.close()
        self._tasks.clear()
        self._eager.clear()
        self._scheduled.clear()  # type: ignore[attr-defined]
        self.close()

    # --- what asyncio asks of a loop ----------------------------------------------------------

    def _run_once(self) -> None:
        self._wake_timers()
        while not self._eager:
            timers = self._scheduled  # type: ignore[attr-defined]
            if not timers:
                raise RuntimeError("everybody waits for ever")
            self.now = max(self.now, timers[0]._when)
            self._wake_timers()
        processes = list(self._eager)
        chosen = processes[0]
        if len(processes) > 1:
            chosen = processes[self._random.randrange(len(processes))]
        handle = chosen.ready.popleft() if chosen.ready else None
        if not chosen.ready:
            del self._eager[chosen]
        if handle is not None and not handle.cancelled():
            handle._run()
            self.steps += 1
            self._after_step()

    def _wake_timers(self) -> None:
        timers = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0]._when <= self.now:
            handle = heapq.heappop(timers)
            handle._scheduled = False
            self._admit(handle)

    def _admit(self, handle: asyncio.Handle) -> None:
        process = handle._context.get(CURRENT)  # type: ignore[attr-defined]
        if process is not None and not process.dead and not handle.cancelled():
            process.ready.append(handle)
            self._eager[process] = None

    def _make_task(self, loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        """Keep every task alive: one of a dead process must stop where it is, not clean up."""
        task = asyncio.Task(coroutine, loop=loop, **options)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are dropped when their time comes."""

    def _write_to_self(self) -> None:
        """There is no selector to wake."""

    def _process_events(self, event_list: Any) -> None:
        """There are no events but ours."""
