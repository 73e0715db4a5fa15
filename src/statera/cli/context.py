"""What every process of an installation starts from: its state directory and its settings."""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from statera.service.configuration import load
from statera.service.settings import option
from statera.service.state import State
from statera.service.wake import Wakes

T = TypeVar("T")
SYSTEM_FILE = Path("/etc/statera/statera.conf")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Group `server`: where the APIs are served."""

    bind_host: str = option("127.0.0.1", "Address to serve on; local, until somebody opens it.")
    bind_port: int = option(
        9876, "Port of all APIs; the Load Balancer API's own.", min=1, max=65535
    )
    threads: int = option(
        16, "Requests worked on at once; they wait for the database more than they compute.", min=1
    )
    takeover_seconds: float = option(
        5.0, "How long a start waits for its predecessor to let go of the port."
    )

    @property
    def url(self) -> str:
        """Return the URL under which clients on this machine reach the APIs."""
        return f"http://{url_host(self.bind_host)}:{self.bind_port}"


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Group `database`."""

    connection: str | None = option(
        None, "SQLAlchemy URL; without one an SQLite file in the state directory.", secret=True
    )


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """Group `edges`: which implementation stands behind each edge."""

    identity: str = option(
        "embedded",
        "Who says who is calling: the embedded identity, or `noauth`: everybody is administrator.",
        choices=("embedded", "noauth"),
    )
    network: str = option(
        "embedded",
        "Where ports come from: the embedded network, or `noop`, which takes any id and pretends.",
        choices=("embedded", "noop"),
    )
    compute: str = option(
        "machines",
        "Where amphorae run: on machines with an agent, or `noop`, which pretends.",
        choices=("machines", "noop"),
    )
    keys: str = option(
        "noop",
        "Where certificates live; `noop` lets everybody read every reference.",
        choices=("noop",),
    )


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Group `clients`."""

    clouds_yaml: bool = option(
        True, "Write the cloud `statera` into the user's clouds.yaml, where clients look for it."
    )


GROUPS: dict[str, str] = {
    "DEFAULT": "statera.service.logs:LogSettings",
    "supervisor": "statera.service.supervisor:SupervisorSettings",
    "server": "statera.cli.context:ServerSettings",
    "database": "statera.cli.context:DatabaseSettings",
    "edges": "statera.cli.context:EdgeSettings",
    "clients": "statera.cli.context:ClientSettings",
    "api": "statera.api.settings:ApiSettings",
    "controller": "statera.controller.settings:ControllerSettings",
    "gateway": "statera.gateway.settings:GatewaySettings",
    "agent": "statera.agent.daemon:AgentSettings",
    "haproxy": "statera.agent.haproxy.settings:HaproxySettings",
    "network": "statera.cloud.network.settings:NetworkSettings",
    "identity": "statera.cloud.identity.settings:IdentitySettings",
}
"""The settings class of each group of the configuration file, as `module:class`."""


def url_host(host: str) -> str:
    """Return where clients of this machine connect for a bind address, as part of a URL."""
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{local}]" if ":" in local else local


class Settings(Mapping[str, Any]):
    """The settings by group, each read when it is asked for first.

    A process then loads no code but its own: the agent no database, the supervisor next to nothing.
    """

    def __init__(self, state: State, overrides: Mapping[str, str]) -> None:
        self._files = (SYSTEM_FILE, state.configuration)
        self._overrides = overrides
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, group: str) -> Any:
        if group not in self._loaded:
            self._load([group])
        return self._loaded[group]

    def __iter__(self) -> Iterator[str]:
        return iter(GROUPS)

    def __len__(self) -> int:
        return len(GROUPS)

    def check(self) -> None:
        """Read every group; raise `service.configuration.ConfigurationError`."""
        self._load(list(GROUPS))

    def _load(self, groups: list[str]) -> None:
        classes = {group: _class(GROUPS[group]) for group in groups}
        foreign = GROUPS.keys() - classes
        self._loaded |= load(classes, self._files, self._overrides, os.environ, foreign)
        identity = self._loaded.get("identity")
        if identity is not None and identity.public_url == type(identity)().public_url:
            # nobody said how clients reach us: as they were told to bind
            url = self["server"].url
            self._loaded["identity"] = dataclasses.replace(identity, public_url=url)


@dataclass(frozen=True, slots=True)
class Context:
    """One installation: `settings` by group; `overrides` came from the command line."""

    state: State
    settings: Mapping[str, Any]
    overrides: Mapping[str, str]

    def get(self, kind: type[T]) -> T:
        """Return the settings of one class; raise `service.configuration.ConfigurationError`."""
        name = f"{kind.__module__}:{kind.__qualname__}"
        found: T = self.settings[next(group for group, path in GROUPS.items() if path == name)]
        return found

    @property
    def database_url(self) -> str:
        """Return the SQLAlchemy URL of the installation's database."""
        return self.get(DatabaseSettings).connection or self.state.database_url

    @property
    def gateway_socket(self) -> Path:
        """Return where the gateway of this machine listens for its agent."""
        return self.state.run / "gateway.sock"

    def wakes(self) -> Wakes:
        """Return the wake-ups between this installation's processes."""
        return Wakes(self.state.run / "wake")

    def environment(self) -> dict[str, str]:
        """Return the variables that give another process the same settings.

        Not as arguments, which every user of the machine can read (`ps`).
        """
        names = {name: name.upper().replace(".", "__") for name in self.overrides}
        return {f"OS_{names[name]}": value for name, value in self.overrides.items()}


def load_context(root: Path, overrides: Mapping[str, str], *, check: bool = False) -> Context:
    """Return the installation at `root`.

    With `check` all settings are read now.  Raise `service.configuration.ConfigurationError`.
    """
    state = State(root)
    settings = Settings(state, overrides)
    if check:
        settings.check()
    return Context(state, settings, dict(overrides))


def _class(path: str) -> type[Any]:
    module, _, name = path.partition(":")
    found: type[Any] = getattr(importlib.import_module(module), name)
    return found
