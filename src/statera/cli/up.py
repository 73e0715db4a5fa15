"""`statera up`: prepares the installation and supervises its processes, here or detached."""

from __future__ import annotations

import asyncio
import os
import re
import selectors
import subprocess
import sys
import time
from pathlib import Path

from statera.cli.console import DONE, FAILED, Progress, Stop
from statera.cli.context import Context, ServerSettings
from statera.cli.doctor import machine
from statera.cli.doctor.command import essentials, healthy, report
from statera.cli.status import ask_supervisor
from statera.service import logs
from statera.service.lifeline import child_setup
from statera.service.readiness import VARIABLE, Inbox, notify
from statera.service.state import Locked, State
from statera.service.supervisor import Child, Supervisor, SupervisorSettings

PROCESSES = ("gateway", "controller", "agent", "api")
"""In the order of starting; they are stopped in the reverse order."""
LOCK = "up"
DOWN_LOCK = "down"
"""Held by `statera down`.  Each takes its own lock first and then looks for the other's."""
_START_SECONDS = 120.0
_TAIL_LINES = 15


def up(context: Context, *, detach: bool) -> int:
    """Start everything; return when stopped, or with `detach` when everything is ready."""
    progress = Progress()
    holder = context.state.holder(LOCK)
    if holder is not None:
        text = f"already running (pid {holder}) with state in {context.state.root}"
        if not detach:
            raise Stop(text)
        progress.say(text)
        return _join(context.state)
    _check(context)
    context.state.prepare()
    return _detached(context, progress) if detach else supervise(context, to_files=False)


def _check(context: Context) -> None:
    """Raise `Stop` in plain words when this machine cannot do it."""
    findings = essentials()
    if not healthy(findings):
        raise Stop(report([finding for finding in findings if not finding.ok]))
    server = context.get(ServerSettings)
    finding = machine.port(server.bind_host, server.bind_port, ours=False)
    if not finding.ok:
        raise Stop(finding.text)


def command(context: Context, process: str) -> list[str]:
    """Return the command line of one of our processes."""
    root = str(context.state.root)
    return [sys.executable, "-m", "statera.cli.main", "run", process, "--state-dir", root]


def supervise(context: Context, *, to_files: bool) -> int:
    """Prepare the installation and supervise its processes until told to stop.

    Raise `Stop` when another supervisor has this state directory, or preparing fails.
    """
    state = context.state
    logs.setup(context.get(logs.LogSettings), "supervisor")
    try:
        with state.lock(LOCK, wait=False):
            at_work = state.holder(DOWN_LOCK)
            if at_work is not None:
                raise Stop(f"`statera down` is still at work (pid {at_work})")
            notify(STATUS="preparing database and identity")
            prepared = subprocess.run(
                command(context, "prepare"),
                env={**os.environ, **context.environment()},
                preexec_fn=child_setup(),  # left behind, it would race that of the next `up`
                check=False,
            )
            if prepared.returncode != 0:
                raise Stop("the installation could not be prepared; see the lines above")
            children = [
                Child(
                    name,
                    tuple(command(context, name)),
                    context.environment(),
                    log=state.logs / f"{name}.log" if to_files else None,
                )
                for name in PROCESSES
            ]
            about = {"api": context.get(ServerSettings).url}
            return asyncio.run(_supervise(context, children, about))
    except Locked as error:
        raise Stop(str(error)) from error


async def _supervise(context: Context, children: list[Child], about: dict[str, str]) -> int:
    settings = context.get(SupervisorSettings)
    return await Supervisor(children, context.state.run, settings, about).run()


def _detached(context: Context, progress: Progress) -> int:
    state = context.state
    begins = {path: path.stat().st_size for path in state.logs.glob("*.log")}
    inbox = Inbox(state.run / f"up-{os.getpid()}.sock")
    try:
        with (state.logs / "supervisor.log").open("ab") as output:
            process = subprocess.Popen(
                command(context, "supervisor"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env={**os.environ, **context.environment(), VARIABLE: str(inbox.path)},
                start_new_session=True,
            )
        progress.say(f"starting (pid {process.pid}), logs in {state.logs}")
        failed = _wait(state, process, inbox, progress)
    finally:
        inbox.close()
    if failed is None:
        return DONE
    process.terminate()
    process.wait()
    if state.holder(LOCK) is not None:  # somebody else was faster
        return _join(state)
    print(f"\nstatera could not start: {failed}", file=sys.stderr)
    for path in sorted(state.logs.glob("*.log")):
        lines = tail(path, begins.get(path, 0))
        if lines and path.stem in (*re.findall(r"\w+", failed), "supervisor"):
            print(f"\nlast lines of {path}:", file=sys.stderr)
            print("\n".join(f"  {line}" for line in lines), file=sys.stderr)
    return FAILED


def _join(state: State) -> int:
    """Wait until what another `statera up` started is ready; raise `Stop` when it does not come."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if (ask_supervisor(state) or {}).get("ready"):
            return DONE
        if state.holder(LOCK) is None:
            raise Stop(f"it has ended meanwhile; logs are in {state.logs}")
        time.sleep(0.1)
    raise Stop(f"{_late(state)}; logs are in {state.logs}")


def _late(state: State) -> str:
    """Say who keeps the others waiting."""
    said = ask_supervisor(state) or {"processes": []}
    late = [each["name"] for each in said["processes"] if each["state"] != "ready"]
    return f"{', '.join(late) or 'supervisor'} not ready after {_START_SECONDS:.0f} s"


def _wait(
    state: State, process: subprocess.Popen[bytes], inbox: Inbox, progress: Progress
) -> str | None:
    """Wait until everything is ready (None), or say what failed."""
    failed = "supervisor ended"
    deadline = time.monotonic() + _START_SECONDS
    pidfd = os.pidfd_open(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(inbox, selectors.EVENT_READ)
            selector.register(pidfd, selectors.EVENT_READ)
            while True:
                ready = selector.select(deadline - time.monotonic())
                for message in inbox.read():
                    if "STATUS" in message:
                        progress.say(message["STATUS"])
                    if "FAILED" in message:
                        failed = f"{message['FAILED']} does not start"
                    if message.get("READY") == "1":
                        return None
                if any(key.fd == pidfd for key, _ in ready):
                    return failed
                if time.monotonic() >= deadline:
                    return _late(state)
    finally:
        os.close(pidfd)


def tail(path: Path, begin: int = 0, lines: int = _TAIL_LINES) -> list[str]:
    """Return the last lines of a file after its first `begin` bytes."""
    with path.open("rb") as file:
        file.seek(begin)
        return file.read().decode(errors="replace").splitlines()[-lines:]
