"""`statera down`: stops the processes and removes everything that was made on the machine.

It needs no running supervisor: after a `kill -9`, and run twice, it ends in the same state.  What
is in the state directory (database, passwords, keys) stays; the next `statera up` serves it again.
"""

from __future__ import annotations

import os
import re
import select
import signal
import time
from pathlib import Path

from statera.cli.console import DONE, FAILED, Progress
from statera.cli.context import Context
from statera.cli.demo.spaces import remove_spaces
from statera.cli.doctor.programs import output
from statera.cli.process_agent import remove_data_plane
from statera.cli.up import DOWN_LOCK, LOCK
from statera.lb.errors import Retryable, StateraError
from statera.service.state import State
from statera.service.supervisor import SupervisorSettings

_AGENT_SECONDS = 10.0


def down(context: Context) -> int:
    """Stop everything and remove it from the machine; return the exit code."""
    state, progress = context.state, Progress()
    installation = state.known_id()
    if installation is None:
        progress.say(f"nothing to do: {state.root} was never used")
        return DONE
    with state.lock(DOWN_LOCK, wait=True):
        return _down(context, installation, progress)


def _down(context: Context, installation: str, progress: Progress) -> int:
    state = context.state
    stop_supervisor(state, _patience(context), progress)
    progress.say("removing the data plane")
    try:
        _remove_data_plane(context)
    except StateraError as error:
        progress.say(f"the data plane is not removed: {error}")
    remove_spaces(installation)
    left = leftovers(installation)
    if left:
        progress.say(f"could not be removed: {', '.join(left)}")
        return FAILED
    progress.say(f"everything is removed; data stays in {state.root}")
    return DONE


def _remove_data_plane(context: Context) -> None:
    """Remove it, even if the agent of a killed supervisor is still about to die.

    Raise `lb.errors.Retryable` when something does not go.
    """
    deadline = time.monotonic() + _AGENT_SECONDS
    while True:
        try:
            return remove_data_plane(context)
        except Retryable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _patience(context: Context) -> float:
    """Seconds that the supervisor may need: it stops its children one after the other."""
    return 4 * context.get(SupervisorSettings).stop_seconds + 5


def stop_supervisor(state: State, seconds: float, progress: Progress) -> None:
    """End the supervisor, and with it its children; kill it when it does not end in time."""
    pid = state.holder(LOCK)
    if not pid:
        progress.say("no supervisor is running")
        return
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        progress.say(f"stopping the processes (supervisor pid {pid})")
        for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
            try:
                signal.pidfd_send_signal(pidfd, number)
            except ProcessLookupError:
                return
            if select.select([pidfd], [], [], patience)[0]:
                return
    finally:
        os.close(pidfd)


def leftovers(installation: str) -> list[str]:
    """Return what of this installation is still on the machine: namespaces, links, tables."""
    name = re.compile(rf"st{installation}(-|[a-z][0-9a-f])")
    spaces = [f"namespace {entry}" for entry in _entries(Path("/run/netns")) if name.match(entry)]
    links = [f"link {entry}" for entry in _entries(Path("/sys/class/net")) if name.match(entry)]
    tables = [
        line
        for line in (output("nft", "list", "tables") or "").splitlines()
        if re.search(rf"(statera_|st){installation}\b", line)
    ]
    return spaces + links + tables


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError:
        return []
