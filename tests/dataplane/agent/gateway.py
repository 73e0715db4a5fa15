"""A gateway for tests: it listens where agents dial, says what it is told, keeps what it hears."""

from __future__ import annotations

import threading
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, unix_serve

from statera.spec import wire
from statera.spec.report import AmphoraReport, NetworkReport
from tests.dataplane.agent.waiting import wait_for


class Gateway:
    """One listener on a unix socket, speaking the wire contract."""

    def __init__(self, path: Path) -> None:
        self.hellos: list[wire.Hello] = []
        self.amphorae: dict[str, AmphoraReport] = {}
        self.networks: dict[str, NetworkReport] = {}
        self.report_interval = 10.0
        self._path = path
        self._connection: ServerConnection | None = None
        self._server: Server | None = None

    def start(self) -> None:
        """Listen from now on."""
        self._path.unlink(missing_ok=True)
        self._server = unix_serve(self._handle, str(self._path), compression=None)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Close the listener and the stream."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def connected(self) -> bool:
        """Whether an agent's stream is open."""
        return self._connection is not None

    def forget(self) -> None:
        """Forget every report, so that what comes next is new."""
        self.amphorae.clear()
        self.networks.clear()

    def send(self, message: wire.Message) -> None:
        """Send to the agent, once it has dialled in."""
        self.send_bytes(wire.encode(message))

    def send_bytes(self, frame: bytes) -> None:
        """Send any frame to the agent, once it has dialled in."""
        wait_for(lambda: self._connection is not None, "an agent that dials in")
        assert self._connection is not None
        self._connection.send(frame)

    def in_force(self, amphora_id: str, revision: int, epoch: int = 1) -> AmphoraReport:
        """Wait until the document is in force and return the report that says so."""

        def said() -> bool:
            report = self.amphorae.get(amphora_id)
            return report is not None and (report.epoch, report.revision) == (epoch, revision)

        wait_for(said, f"revision {revision} of {amphora_id} in force", lambda: self.amphorae)
        return self.amphorae[amphora_id]

    def network_in_force(self, network_id: str, revision: int) -> NetworkReport:
        """Wait until the network's document is in force and return the report that says so."""

        def said() -> bool:
            report = self.networks.get(network_id)
            return report is not None and report.revision == revision

        wait_for(said, f"revision {revision} of {network_id} in force", lambda: self.networks)
        return self.networks[network_id]

    def _handle(self, connection: ServerConnection) -> None:
        try:
            hello = wire.decode_from_agent(_bytes(connection.recv()))
            assert isinstance(hello, wire.Hello)
            self.hellos.append(hello)
            welcome = wire.Welcome(gateway_id="test", report_interval=self.report_interval)
            connection.send(wire.encode(welcome))
            self._connection = connection
            for frame in connection:
                message = wire.decode_from_agent(_bytes(frame))
                assert isinstance(message, wire.Report)
                self.amphorae.update({each.amphora_id: each for each in message.amphorae})
                self.networks.update({each.network_id: each for each in message.networks})
        except ConnectionClosed:
            pass
        finally:
            if self._connection is connection:
                self._connection = None


def _bytes(frame: str | bytes) -> bytes:
    assert isinstance(frame, bytes)
    return frame
