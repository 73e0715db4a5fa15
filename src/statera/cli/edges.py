"""Chooses what stands behind each edge, from `[edges]`."""

from __future__ import annotations

from statera.cli.context import Context, EdgeSettings
from statera.edges.compute.protocol import Compute
from statera.edges.identity.protocol import Identity
from statera.edges.keys.protocol import Keys
from statera.edges.network.protocol import Networks
from statera.store.database import Database


def identity(context: Context, database: Database) -> Identity:
    """Return who says who is calling."""
    if context.get(EdgeSettings).identity == "noauth":
        from statera.edges.identity.noauth import NoAuth  # noqa: PLC0415

        return NoAuth()
    from statera.cloud.identity.embedded import EmbeddedIdentity  # noqa: PLC0415
    from statera.cloud.identity.settings import IdentitySettings  # noqa: PLC0415

    return EmbeddedIdentity(database, context.get(IdentitySettings))


def networks(context: Context, database: Database) -> Networks:
    """Return where ports and addresses come from."""
    if context.get(EdgeSettings).network == "noop":
        from statera.edges.network.noop import NoopNetworks  # noqa: PLC0415

        return NoopNetworks()
    from statera.cloud.network.embedded import EmbeddedNetworks  # noqa: PLC0415

    return EmbeddedNetworks(database)


def compute(context: Context, database: Database) -> Compute:
    """Return where amphorae run."""
    if context.get(EdgeSettings).compute == "noop":
        from statera.edges.compute.noop import NoopCompute  # noqa: PLC0415

        return NoopCompute()
    from statera.cloud.machines import MachinesCompute  # noqa: PLC0415

    return MachinesCompute(database)


def keys() -> Keys:
    """Return where certificates live."""
    from statera.edges.keys.noop import NoopKeys  # noqa: PLC0415

    return NoopKeys()
