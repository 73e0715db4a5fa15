"""Machines, the amphorae on them, the documents sent to them and what they said.

Observations are written on change only; a heartbeat is the gateway's row, never the machine's.
"""

from __future__ import annotations

import sqlalchemy as sa

from statera.store.schema import metadata
from statera.store.types import OPTIONS, Document, Id, Moment, Seconds, Text

machine = sa.Table(
    "machine",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("peer", sa.String(64), nullable=False),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("abilities", sa.JSON, nullable=False),
    sa.Column("occupied", sa.JSON, nullable=False),
    sa.Column("unknown", sa.Integer, nullable=False),
    sa.Column("ahead", sa.Integer, nullable=False),
    sa.Column("gateway_id", Id),
    sa.Column("connected", sa.Boolean, nullable=False),
    sa.Column("changed_at", Seconds, nullable=False),
    **OPTIONS,
)
"""One row per agent that ever said hello; `gateway_id` holds its stream while `connected`.

`peer` is who said the first one (`uid 0`): nobody else is this machine.  Of the documents that it
held at its last hello, `unknown` are not in this database and `ahead` are newer than here."""

refusal = sa.Table(
    "refusal",
    metadata,
    sa.Column("subject", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("last", sa.String(64), nullable=False),
    sa.Column("last_at", Seconds, nullable=False),
    **OPTIONS,
)
"""How often what an agent asked or said was refused because it is not its own.

`subject` is its machine, or its peer where no machine is proven; `kind` is what it was about:
`machine`, `amphora`, `network`, or `unknown`: nobody's; `last` is the id of the last one."""

gateway = sa.Table(
    "gateway",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("beat_at", Seconds, nullable=False),
    **OPTIONS,
)
"""Heartbeat of each gateway: tells its death from the silence of its agents."""

amphora = sa.Table(
    "amphora",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("load_balancer_id", Id, nullable=False, index=True),
    sa.Column("machine_id", Id),
    sa.Column("compute_id", Id),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("born", sa.BigInteger, nullable=False),
    sa.Column("port_id", Id),
    sa.Column("vrrp_ip", sa.String(64)),
    sa.Column("ports", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment),
    **OPTIONS,
)
"""`born` is the load balancer's generation at placement; `ports` maps subnet id -> port id of the
members' subnets, empty while it is being made; `status` is the API's (`status-and-drivers` §7)."""

document = sa.Table(
    "document",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("machine_id", Id, index=True),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("body", Document),
    sa.Column("stamp", sa.String(16), nullable=False),
    sa.Column("history", sa.JSON, nullable=False),
    sa.Column("retired", sa.Boolean, nullable=False),
    sa.Column("published_at", Seconds, nullable=False, index=True),
    **OPTIONS,
)
"""What agents are to make true.  `kind` is `amphora` (`id`: the amphora, `body`: MsgPack of
`spec.document.AmphoraSpec`) or `network` (`id`: the network, `body`: of `NetworkSpec`; `machine_id`
null: every machine).  `retired`: remove it; `body` is null then.  `stamp` tells documents of one
number apart, as there are after a backup was restored; `history` are the former (epoch, revision,
stamp), as many as matter."""

observation = sa.Table(
    "observation",
    metadata,
    sa.Column("amphora_id", Id, primary_key=True),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("serving", sa.Boolean, nullable=False),
    sa.Column("retired", sa.Boolean, nullable=False),
    sa.Column("faults", sa.JSON, nullable=False),
    sa.Column("estranged", sa.Boolean, nullable=False),
    sa.Column("changed_at", Seconds, nullable=False),
    **OPTIONS,
)
"""Which document of an amphora is in force, and its faults (`spec.report.Fault` as objects).

`estranged`: by its last hello the agent holds what this database did not publish."""

network_observation = sa.Table(
    "network_observation",
    metadata,
    sa.Column("machine_id", Id, primary_key=True),
    sa.Column("network_id", Id, primary_key=True),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("fault", Text),
    **OPTIONS,
)
"""Which document of a network is in force on a machine."""

counter = sa.Table(
    "counter",
    metadata,
    sa.Column("object_id", Id, primary_key=True),
    sa.Column("amphora_id", Id, primary_key=True),
    sa.Column("load_balancer_id", Id, nullable=False, index=True),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("bytes_in", sa.BigInteger, nullable=False),
    sa.Column("bytes_out", sa.BigInteger, nullable=False),
    sa.Column("total_connections", sa.BigInteger, nullable=False),
    sa.Column("request_errors", sa.BigInteger, nullable=False),
    sa.Column("active_connections", sa.BigInteger, nullable=False),
    sa.Column("last", sa.JSON, nullable=False),
    **OPTIONS,
)
"""Totals of one object on one amphora, and the last (epoch, values) that were added to them."""
