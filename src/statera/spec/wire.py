"""The messages of the stream between agent and gateway, and their codec (MsgPack).

The agent speaks first (`Hello`), the gateway answers `Welcome` and sends every document whose
(epoch, revision) is higher than what the agent holds; then both speak whenever something changes.
Anything the agent already holds and the gateway does not mention stays as it is: an empty or a
wrong database kills nothing; only `Retire` and `RetireNetwork` remove.
"""

from __future__ import annotations

import msgspec

from statera.spec.document import AmphoraSpec, NetworkSpec
from statera.spec.report import AmphoraReport, NetworkReport


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """One message of the stream."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A document the agent has on disk: an amphora's, or a network's when `network` is true.

    `retired`: only the tombstone is left.  `stamp` is what it came with ("": an agent that keeps
    none).  `ranges` are the CIDRs of a network.
    """

    id: str
    epoch: int
    revision: int
    network: bool = False
    retired: bool = False
    stamp: str = ""
    ranges: tuple[str, ...] = ()


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """First message of an agent.

    `occupied` are the address ranges (CIDRs) that the machine itself uses: no embedded network may
    overlap them.  `abilities` are names from `spec.abilities`.
    """

    machine_id: str
    host: str
    spec_version: int
    abilities: tuple[str, ...] = ()
    occupied: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()


class Welcome(Message, frozen=True, kw_only=True, tag="welcome"):
    """First message of a gateway: who it is, and how often it wants reports (seconds)."""

    gateway_id: str
    report_interval: float = 10.0


class Document(Message, frozen=True, kw_only=True, tag="document"):
    """Make this amphora true; `stamp` tells it from others of the same number."""

    spec: AmphoraSpec
    stamp: str = ""


class Retire(Message, frozen=True, kw_only=True, tag="retire"):
    """Remove this amphora; obeyed only if (epoch, revision) is higher than the one held."""

    amphora_id: str
    epoch: int
    revision: int


class Network(Message, frozen=True, kw_only=True, tag="network"):
    """Make this network true; `stamp` tells it from others of the same number."""

    spec: NetworkSpec
    stamp: str = ""


class RetireNetwork(Message, frozen=True, kw_only=True, tag="retire_network"):
    """Remove this network."""

    network_id: str
    epoch: int
    revision: int


class Report(Message, frozen=True, kw_only=True, tag="report"):
    """What is true now.  Sent on change and every `report_interval` seconds."""

    amphorae: tuple[AmphoraReport, ...] = ()
    networks: tuple[NetworkReport, ...] = ()


FromAgent = Hello | Report
FromGateway = Welcome | Document | Retire | Network | RetireNetwork

_encoder = msgspec.msgpack.Encoder()
_from_agent: msgspec.msgpack.Decoder[FromAgent] = msgspec.msgpack.Decoder(FromAgent)
_from_gateway: msgspec.msgpack.Decoder[FromGateway] = msgspec.msgpack.Decoder(FromGateway)


def encode(message: Message) -> bytes:
    """Return the frame of a message."""
    return _encoder.encode(message)


def decode_from_agent(frame: bytes) -> FromAgent:
    """Return the message in a frame; raise `msgspec.DecodeError` if it is none."""
    return _from_agent.decode(frame)


def decode_from_gateway(frame: bytes) -> FromGateway:
    """Return the message in a frame; raise `msgspec.DecodeError` if it is none."""
    return _from_gateway.decode(frame)
