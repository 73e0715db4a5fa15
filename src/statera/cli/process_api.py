"""Wires the API process: identity, network and load balancer API in one WSGI server."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, TypeVar

from statera.cli import edges
from statera.cli.context import Context, EdgeSettings, ServerSettings
from statera.cli.mount import Application, Mounts
from statera.cli.serve import serve
from statera.service import logs
from statera.store.database import Database

if TYPE_CHECKING:
    from statera.api.settings import ApiSettings
    from statera.cloud.network.settings import NetworkSettings

T = TypeVar("T", "ApiSettings", "NetworkSettings")


def main(context: Context) -> int:
    """Serve until SIGTERM."""
    _load_modules()

    def build() -> Application:
        logs.setup(context.get(logs.LogSettings), "api")  # granian has changed it in the worker
        return build_app(context)

    return serve(build, context.get(ServerSettings))


def build_app(context: Context) -> Application:
    """Return everything this installation serves by HTTP; runs under any WSGI server."""
    database = Database(context.database_url, durable=True)
    chosen = context.get(EdgeSettings)
    load_balancing = _load_balancer_app(context, database)
    applications: dict[str, Application] = {"": load_balancing, "/load-balancer": load_balancing}
    if chosen.identity == "embedded":
        applications["/identity"] = _identity_app(context, database)
    if chosen.network == "embedded":
        applications["/network"] = _network_app(context, database)
    return Mounts(applications)


def _load_balancer_app(context: Context, database: Database) -> Application:
    from statera.api.app import create_app  # noqa: PLC0415
    from statera.api.context import ApiContext  # noqa: PLC0415
    from statera.api.settings import ApiSettings  # noqa: PLC0415

    return create_app(
        ApiContext(
            database=database,
            identity=edges.identity(context, database),
            networks=edges.networks(context, database),
            keys=edges.keys(),
            wakes=context.wakes(),
            settings=_with_login(context, context.get(ApiSettings)),
        )
    )


def _identity_app(context: Context, database: Database) -> Application:
    from statera.cloud.identity import app  # noqa: PLC0415
    from statera.cloud.identity.settings import IdentitySettings  # noqa: PLC0415

    return app.create_app(database, context.get(IdentitySettings))


def _network_app(context: Context, database: Database) -> Application:
    from statera.cloud.network import app  # noqa: PLC0415
    from statera.cloud.network.settings import NetworkSettings  # noqa: PLC0415

    identity = edges.identity(context, database)
    settings = _with_login(context, context.get(NetworkSettings))
    return app.create_app(database, identity, context.wakes(), settings)


def _with_login(context: Context, settings: T) -> T:
    """Return the settings with our identity as the place to log in, unless they name another."""
    from statera.cloud.identity.settings import IdentitySettings  # noqa: PLC0415

    embedded = context.get(EdgeSettings).identity == "embedded"
    if settings.www_authenticate_uri or not embedded:
        return settings
    base = context.get(IdentitySettings).public_url.rstrip("/")
    return dataclasses.replace(settings, www_authenticate_uri=f"{base}/identity")


def _load_modules() -> None:
    """Import what a worker needs before it is forked: a killed one is back in milliseconds."""
    import statera.api.app  # noqa: PLC0415
    import statera.cloud.identity.app  # noqa: PLC0415
    import statera.cloud.identity.embedded  # noqa: PLC0415
    import statera.cloud.network.app  # noqa: PLC0415
    import statera.cloud.network.embedded  # noqa: F401, PLC0415
