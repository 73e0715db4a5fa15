"""What an error of an attempt means: a text for the user, and whether trying again can help."""

from __future__ import annotations

import logging
from typing import NamedTuple

from pyroute2.netlink.exceptions import NetlinkError

from statera.lb.errors import Final, StateraError
from statera.spec.document import SPEC_VERSION


class Failure(NamedTuple):
    """Why an attempt failed; `final`: only another document can change that."""

    text: str
    final: bool


def refuse_later(version: int) -> None:
    """Raise `Final` for a document of a version that this agent does not know.

    Within a version unknown fields are harmless; a new one says that the old reading is wrong.
    """
    if version > SPEC_VERSION:
        raise Final(
            f"The document has version {version}; this agent knows up to {SPEC_VERSION} and must "
            f"be upgraded."
        )


def failure_of(error: Exception, log: logging.Logger, event: str, object_id: str) -> Failure:
    """Return what `error` means, and log it; one that nobody foresaw with its trace."""
    match error:
        case StateraError():
            failure = Failure(str(error), isinstance(error, Final))
        case TimeoutError():
            failure = Failure("The machine did not finish in time.", final=False)
        case OSError() | NetlinkError():
            failure = Failure(f"The machine refused: {error}", final=False)
        case _:
            log.exception("%s id=%s", event, object_id)
            return Failure(f"The agent failed ({type(error).__name__}).", final=False)
    log.warning("%s id=%s final=%s error=%s", event, object_id, failure.final, failure.text)
    return failure
