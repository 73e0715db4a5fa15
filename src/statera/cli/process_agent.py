"""Wires the agent of this machine, and what takes its work off the machine again."""

from __future__ import annotations

import asyncio
import dataclasses

from statera.agent import daemon, removal
from statera.agent.haproxy.settings import HaproxySettings
from statera.cli.context import Context


def main(context: Context) -> int:
    """Be the agent until SIGTERM; the data plane stays."""
    daemon.main(agent_settings(context), context.get(HaproxySettings))
    return 0


def agent_settings(context: Context) -> daemon.AgentSettings:
    """Return the agent's settings; what nobody set is where this installation has it."""
    settings = context.get(daemon.AgentSettings)
    plain = daemon.AgentSettings()
    state = context.state
    ours = {
        "state_dir": state.agent,
        "installation": state.installation_id(),
        "gateway_socket": context.gateway_socket,
    }
    unset = {
        name: value
        for name, value in ours.items()
        if getattr(settings, name) == getattr(plain, name)
    }
    return dataclasses.replace(settings, **unset)  # type: ignore[arg-type]


def remove_data_plane(context: Context) -> None:
    """Remove every process, namespace, link, bridge and rule of this installation.

    Raise `lb.errors.Retryable` when something does not go.
    """
    asyncio.run(removal.remove_everything(agent_settings(context)))
