"""What an error of an attempt means for the user and for the next attempt."""

from __future__ import annotations

import logging

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from statera.agent.outcome import failure_of, refuse_later
from statera.lb.errors import Final, Retryable
from statera.spec.document import SPEC_VERSION

LOG = logging.getLogger(__name__)


@pytest.mark.parametrize(
    ("error", "text", "final"),
    [
        (Retryable("The network is not there."), "The network is not there.", False),
        (Final("Taken."), "Taken.", True),
        (TimeoutError(), "The machine did not finish in time.", False),
        (OSError(28, "No space left"), "The machine refused: [Errno 28] No space left", False),
        (NetlinkError(1, "no"), "The machine refused: (1, 'no')", False),
        (KeyError("password=hunter2"), "The agent failed (KeyError).", False),
    ],
)
def test_the_class_decides(error: Exception, text: str, *, final: bool) -> None:
    """Only what was raised as final is final; an unforeseen error tells its kind, not its text."""
    assert failure_of(error, LOG, "test.failed", "id") == (text, final)


def test_a_document_of_a_later_version_is_final() -> None:
    """This agent would read it wrongly; its own version and older ones it knows."""
    refuse_later(SPEC_VERSION)
    with pytest.raises(Final, match="must be upgraded"):
        refuse_later(SPEC_VERSION + 1)
