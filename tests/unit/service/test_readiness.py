"""Notifications arrive, and sending them never hurts."""

from __future__ import annotations

from pathlib import Path

import pytest

from statera.service.readiness import VARIABLE, Inbox, notify, notify_ready


def test_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent is heard, in order."""
    inbox = Inbox(tmp_path / "n.sock")
    monkeypatch.setenv(VARIABLE, str(inbox.path))
    assert inbox.read() == []
    notify(STATUS="a=b c")
    notify_ready()
    assert inbox.read() == [{"STATUS": "a=b c"}, {"READY": "1"}]
    inbox.close()
    assert not inbox.path.exists()


@pytest.mark.parametrize("address", [None, "/nowhere/at/all", "@nobody-listens"])
def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    """Without a listener nothing happens."""
    if address is None:
        monkeypatch.delenv(VARIABLE, raising=False)
    else:
        monkeypatch.setenv(VARIABLE, address)
    notify_ready()
