"""Every error of Statera, in one tree.

    StateraError
    ├── UserError                 the user must act; becomes a 4xx that says what to change
    │   ├── InvalidInput          400  a value, a key or a combination of values is wrong
    │   ├── Unauthorized          401  no token, or not a valid one
    │   ├── Forbidden             403  the caller may not do this; a quota is met
    │   ├── NotFound              404  no such object for this caller
    │   ├── Conflict              409  true conflict with another object or with a deletion
    │   ├── PreconditionFailed    412  `If-Match` is not met
    │   └── UnsupportedOption     501  the provider cannot do what was asked
    ├── Retryable                 something outside failed; we come back by ourselves
    ├── Final                     something outside refused for good; waits for a new wish
    └── Bug                       ours: a state that the code promises cannot be

The class at a raise site says what happens next; no handler looks into the text.  No error text
contains a secret: texts are shown to users and written into logs and work records.
"""

from __future__ import annotations


class StateraError(Exception):
    """Root of the tree."""


class UserError(StateraError):
    """The user must act.  `text` is the reply's message, `status` its HTTP code.

    `routed` selects the reply envelope of errors found before a resource is reached
    (`api-behaviour` §4.1 b).
    """

    status = 400

    def __init__(self, text: str, *, routed: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.routed = routed


class InvalidInput(UserError):
    """A value, a key or a combination of values is wrong."""

    status = 400

    @classmethod
    def attribute(cls, name: str, value: object, detail: str) -> InvalidInput:
        """Return the error for one attribute, in the API's wording."""
        return cls(f"Invalid input for field/attribute {name}. Value: '{value}'. {detail}")

    @classmethod
    def rule(cls, detail: str) -> InvalidInput:
        """Return the error for a rule over several attributes, in the API's wording."""
        return cls(f"Validation failure: {detail}")


class Unauthorized(UserError):
    """No token, or not a valid one."""

    status = 401


class Forbidden(UserError):
    """The caller may not do this."""

    status = 403


class NotFound(UserError):
    """No such object for this caller."""

    status = 404

    @classmethod
    def resource(cls, title: str, object_id: str, *, routed: bool = False) -> NotFound:
        """Return the error for a resource (`title` as in `api-behaviour` §4.2)."""
        return cls(f"{title} {object_id} not found.", routed=routed)


class Conflict(UserError):
    """True conflict with another object or with a deletion under way."""

    status = 409


class PreconditionFailed(UserError):
    """`If-Match` is not met."""

    status = 412


class UnsupportedOption(UserError):
    """The provider cannot do what was asked."""

    status = 501


class Retryable(StateraError):
    """Something outside failed; the work is tried again by itself, `delay` seconds from now.

    Without `delay` the back-off of the work queue counts.
    """

    def __init__(self, text: str, delay: float | None = None) -> None:
        super().__init__(text)
        self.delay = delay


class Final(StateraError):
    """Something outside refused for good; only a new wish can change that."""


class Bug(StateraError):
    """A state that the code promises cannot be."""
