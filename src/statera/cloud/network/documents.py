"""What machines are told about networks: one document per network that has a subnet.

Published in the transaction of the change, under the lock of the network's row.
"""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.cloud.network.tables import network, subnet
from statera.spec.document import NetworkSpec, SubnetSpec
from statera.store.documents import stamps
from statera.store.tables.placement import document
from statera.store.types import now

EPOCH = 1
KIND = "network"


def publish(connection: Connection, network_id: str) -> None:
    """Bring the document of a network up to date; a network without subnets is retired.

    The revision only grows, also over a retirement, and only when something changed.
    """
    held = (
        connection.execute(sa.select(document).where(document.c.id == network_id))
        .mappings()
        .one_or_none()
    )
    revision = held["revision"] + 1 if held else 1
    spec = _spec(connection, network_id, revision)
    if spec is None and (held is None or held["retired"]):
        return
    if spec is not None and held is not None and not held["retired"]:
        current = msgspec.msgpack.decode(held["body"], type=NetworkSpec)
        if msgspec.structs.replace(current, revision=revision) == spec:
            return
    body = None if spec is None else msgspec.msgpack.encode(spec)
    values = {
        "machine_id": None,
        "epoch": EPOCH,
        "revision": revision,
        "generation": 0,
        "body": body,
        "retired": spec is None,
        "published_at": now(),
        **stamps(held, body),
    }
    if held is None:
        connection.execute(sa.insert(document).values(id=network_id, kind=KIND, **values))
    else:
        connection.execute(sa.update(document).where(document.c.id == network_id).values(**values))


def _spec(connection: Connection, network_id: str, revision: int) -> NetworkSpec | None:
    mtu = connection.scalar(sa.select(network.c.mtu).where(network.c.id == network_id))
    rows = connection.execute(
        sa.select(subnet.c.id, subnet.c.cidr, subnet.c.gateway_ip)
        .where(subnet.c.network_id == network_id)
        .order_by(subnet.c.created_at, subnet.c.id)
    ).all()
    if mtu is None or not rows:
        return None
    subnets = tuple(SubnetSpec(id=row.id, cidr=row.cidr, gateway=row.gateway_ip) for row in rows)
    return NetworkSpec(
        network_id=network_id, epoch=EPOCH, revision=revision, mtu=mtu, subnets=subnets
    )
