"""The same requests on the three databases have the same answers, to the byte."""

from __future__ import annotations

import random
import re
import uuid
from pathlib import Path
from urllib.parse import quote

import pytest
from msgspec import json

from statera.api.settings import ApiSettings
from tests.api.harness import Api, running_api
from tests.databases import ALL
from tests.services.script import SETTLE, Request, script

_NAMES = re.compile(r"\{(\w+)\}")
_OWN = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b"
    r"|\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\b"
)
"""What no two runs have in common: ids and times."""


class Player:
    """Plays requests, and writes down the answers with ids and times by order of appearance."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._kept: dict[str, str] = {}
        self._numbers: dict[str, int] = {}

    def play(self, request: Request) -> str:
        """Return what was asked and what was answered, in one line."""
        if request is SETTLE:
            self._api.settle()
            return "SETTLE"
        body = None if request.body is None else self._filled(json.encode(request.body).decode())
        path, _, query = self._filled(request.path).partition("?")
        result = self._api.call(
            request.method,
            quote(path, safe="/%"),
            None if body is None else body.encode(),
            as_=request.caller,
            query_string=query,
        )
        if request.keep and result.status_code == 201:
            (made,) = result.json.values()
            self._kept[request.keep] = made["id"]
            self._kept[request.keep.upper()] = made["id"].upper()
        kind = result.headers.get("content-type")
        return self._own(f"{request} -> {result.status_code} {kind} {result.text}")

    def _filled(self, text: str) -> str:
        return _NAMES.sub(lambda found: self._kept.get(found[1], found[0]), text)

    def _own(self, text: str) -> str:
        return _OWN.sub(lambda found: f"#{self._number(found[0])}", text)

    def _number(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))


def _played(kind: str, directory: Path) -> list[str]:
    numbers = random.Random(1)
    with running_api(kind, directory, ApiSettings()) as api, pytest.MonkeyPatch.context() as patch:
        # Lists end in ids where all else is equal, so they must be the same each time.
        patch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=numbers.getrandbits(128), version=4))
        player = Player(api)
        return [player.play(request) for request in script()]


@pytest.fixture(name="reference", scope="module")
def reference_fixture(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What SQLite has answered."""
    return _played("sqlite", tmp_path_factory.mktemp("reference"))


def test_no_request_breaks_anything(reference: list[str]) -> None:
    """Whatever is asked for has an answer that was meant."""
    assert len(reference) > 5000
    assert [line for line in reference if " -> 500 " in line] == []


@pytest.mark.parametrize("other", ALL[1:])
def test_the_same_answers(other: str, reference: list[str], tmp_path: Path) -> None:
    """Status and body of every request."""
    answers = _played(other, tmp_path)
    different = [pair for pair in zip(answers, reference, strict=True) if pair[0] != pair[1]]
    assert different == []
