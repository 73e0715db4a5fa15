"""A small HTTP/1.1 backend with keep-alive: `backend.py ADDRESS PORT NAME` answers NAME.

`/slow` answers after a second, `/open` with the number of those that wait; `/headers` answers with
the request's headers, and so does a connection that begins with the PROXY protocol.
"""

from __future__ import annotations

import asyncio
import sys

_waiting: list[bytes] = []


async def _serve(name: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            body = name
            if path.startswith(b"/slow"):
                _waiting.append(head)
                await asyncio.sleep(1)
                _waiting.remove(head)
            if path == b"/open":
                body = b"%d" % len(_waiting)
            if path.startswith(b"/headers") or head.startswith(b"PROXY "):
                body = head
            cookie = b"Set-Cookie: APPID=%s-session\r\n" % name if path == b"/login" else b""
            writer.write(
                b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (cookie, len(body), body)
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _main(address: str, port: int, name: str) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: _serve(name.encode(), reader, writer), address, port
    )
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
