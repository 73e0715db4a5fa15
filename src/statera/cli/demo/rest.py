"""The demo's own calls to our APIs, where the `openstack` client would be too slow.

It watches states many times a second; a start of the client alone costs more than a second.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

from statera.cli.clouds import Login
from statera.cli.console import Stop

T = TypeVar("T")
_TIMEOUT = 30.0


class Refused(Stop):
    """The API answered with an error; `status` is its HTTP code."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"the API refuses ({status}): {text}")
        self.status = status


class Rest:
    """Calls by path (`/network/v2.0/networks`) with a token of `login`."""

    def __init__(self, url: str, login: Login) -> None:
        self._url = url
        self._login = login
        self._token = ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the reply's JSON (None without a body); raise `Refused`."""
        if not self._token:
            self._token = self._authenticate()
        return self._send(method, self._url + path, body)[1]

    def get(self, path: str) -> Any:
        """Return the reply of a GET; raise `Refused`."""
        return self.call("GET", path)

    def _authenticate(self) -> str:
        login = self._login
        user = {
            "name": login.username,
            "password": login.password,
            "domain": {"name": login.domain_name},
        }
        scope = {"project": {"name": login.project_name, "domain": {"name": login.domain_name}}}
        identity = {"methods": ["password"], "password": {"user": user}}
        body = {"auth": {"identity": identity, "scope": scope}}
        headers, _ = self._send("POST", f"{login.auth_url}/auth/tokens", body)
        return str(headers["X-Subject-Token"])

    def _send(self, method: str, url: str, body: Any) -> tuple[Any, Any]:
        request = urllib.request.Request(url, method=method)  # noqa: S310
        request.add_header("X-Auth-Token", self._token)
        request.add_header("Accept", "application/json")
        data = None
        if body is not None:
            request.add_header("Content-Type", "application/json")
            data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=_TIMEOUT) as reply:  # noqa: S310
                text = reply.read()
                return reply.headers, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors="replace")[:500]) from error
        except OSError as error:
            raise Stop(f"{url} does not answer: {error}") from error


def wait_for(what: str, probe: Callable[[], T | None], seconds: float, every: float = 0.05) -> T:
    """Return the first true result of `probe`; raise `Stop` when none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Stop(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(every)
