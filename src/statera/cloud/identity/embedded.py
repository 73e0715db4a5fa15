"""The embedded identity as an edge: tokens are checked in the same database, without HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from oslo_db import exception as db_errors

from statera.cloud.identity.settings import IdentitySettings
from statera.cloud.identity.tokens import Tokens
from statera.lb.caller import Caller
from statera.lb.errors import Retryable, Unauthorized
from statera.store.database import Database


class EmbeddedIdentity:
    """`edges.identity.protocol.Identity` over the embedded identity's tables.

    No verdict is cached: what is revoked is dead at the next request.
    """

    def __init__(self, database: Database, settings: IdentitySettings) -> None:
        self._tokens = Tokens(database, settings)

    def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Return who holds the token in `x-auth-token`; see the protocol."""
        token = headers.get("x-auth-token")
        if not token:
            raise Unauthorized("The request carries no token")
        try:
            verdict = self._tokens.verify(token)
        except db_errors.DBConnectionError as error:
            raise Retryable("The database of the identity cannot be reached") from error
        return Caller(verdict.user_id, verdict.project_id, verdict.roles, verdict.audit_id)
