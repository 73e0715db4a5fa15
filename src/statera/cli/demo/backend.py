"""A small HTTP backend that answers with its own name: `backend.py NAME ADDRESS PORT`.

It is run as a file, with nothing but the standard library, so that it starts fast.
"""

from __future__ import annotations

import socketserver
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers every GET with the server's name."""

    protocol_version = "HTTP/1.1"
    wbufsize = 8192  # head and body in one segment
    disable_nagle_algorithm = True
    name = b"?"

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(self.name)))
        self.end_headers()
        self.wfile.write(self.name)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


class Server(ThreadingHTTPServer):
    """An HTTP server that does not ask for its own name: no name server is in reach."""

    request_queue_size = 128
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind, without the library's look-up of the address's name."""
        socketserver.TCPServer.server_bind(self)


def main(arguments: list[str]) -> None:
    """Serve until killed."""
    name, address, port = arguments
    Handler.name = f"{name}\n".encode()
    server = Server((address, int(port)), Handler)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
