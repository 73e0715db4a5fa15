"""Methods that a URL does not have but the API answers: an id is missing, or one too many."""

from __future__ import annotations

import falcon

from statera.lb.errors import InvalidInput


def missing_id() -> InvalidInput:
    """Return the error for a collection where one object is meant."""
    return InvalidInput('Missing argument: "id"')


class Collection:
    """A collection: PUT and DELETE lack an id."""

    def on_put(self, _req: falcon.Request, _resp: falcon.Response) -> None:
        """Refuse."""
        raise missing_id()

    def on_delete(self, _req: falcon.Request, _resp: falcon.Response) -> None:
        """Refuse."""
        raise missing_id()


class Item:
    """One object: a POST would take its id for the body.  `argument` names the body."""

    argument: str

    def on_post(self, _req: falcon.Request, _resp: falcon.Response, **path: str) -> None:
        """Refuse."""
        given = list(path.values())[-1]
        raise InvalidInput.attribute(self.argument, given, f"Value not a valid dict: {given}")
