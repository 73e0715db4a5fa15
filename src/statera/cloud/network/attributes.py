"""What a request may say about an object: one table per resource, and the check of bodies.

The texts follow those of the Network API, because clients show them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from statera.cloud.network import errors
from statera.cloud.network.values import Reader, filled
from statera.lb.caller import Caller

Values = dict[str, Any]

MOST_OBJECTS = 1000
"""Most objects in the body of one POST: they are made in one transaction, which keeps others from
writing meanwhile (SQLite: everybody)."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute that a request may carry; everything else of the reply is read-only.

    `admin`: only role admin may give it another value than `usual`.
    """

    name: str
    read: Reader
    create: bool = True
    update: bool = True
    required: bool = False
    admin: bool = False
    usual: Any = None


PROJECT = (
    Attribute("project_id", filled, update=False),
    Attribute("tenant_id", filled, update=False),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The attributes of one resource; `read_only` are those of the reply that nobody sets."""

    singular: str
    plural: str
    attributes: tuple[Attribute, ...]
    read_only: frozenset[str]

    def created(self, body: Any, caller: Caller) -> list[Values]:
        """Return the values of each object in the body of a POST; the plural root is a bulk."""
        content = self._content(body, (self.singular, self.plural))
        if self.singular in body:
            return [self._checked(content, "POST", caller)]
        if not isinstance(content, list) or not content:
            raise errors.HTTPBadRequest("Resources required")
        if len(content) > MOST_OBJECTS:
            raise errors.HTTPBadRequest(f"More than {MOST_OBJECTS} {self.plural} in one request")
        return [self._checked(item, "POST", caller) for item in content]

    def updated(self, body: Any, caller: Caller) -> Values:
        """Return the values in the body of a PUT."""
        return self._checked(self._content(body, (self.singular,)), "PUT", caller)

    def _content(self, body: Any, roots: tuple[str, ...]) -> Any:
        if not isinstance(body, dict) or not body:
            raise errors.HTTPBadRequest("Resource body required")
        if len(body) != 1:
            raise errors.HTTPBadRequest("Body contains invalid data")
        for root in roots:
            if root in body:
                return body[root]
        raise errors.HTTPBadRequest(f"Unable to find '{self.singular}' in request body")

    def _checked(self, content: Any, method: str, caller: Caller) -> Values:
        if not isinstance(content, dict):
            raise errors.HTTPBadRequest(f"'{self.singular}' in the request body is no object")
        found: Values = {}
        for name, value in content.items():
            found[name] = self._read(self._attribute(name, method), value)
        for attribute in self.attributes:
            if method == "POST" and attribute.required and attribute.name not in found:
                raise errors.HTTPBadRequest(
                    f"Failed to parse request. Required attribute '{attribute.name}' not specified"
                )
            self._check_admin(attribute, found, method, caller)
        return _one_project(found, caller) if method == "POST" else found

    def _attribute(self, name: str, method: str) -> Attribute:
        for attribute in self.attributes:
            if attribute.name == name:
                if attribute.create if method == "POST" else attribute.update:
                    return attribute
                raise errors.HTTPBadRequest(f"Attribute '{name}' not allowed in {method}")
        if name in self.read_only:
            raise errors.HTTPBadRequest(f"Attribute '{name}' not allowed in {method}")
        raise errors.HTTPBadRequest(f"Unrecognized attribute(s) '{name[:80]}'")

    def _read(self, attribute: Attribute, value: Any) -> Any:
        try:
            return attribute.read(value)
        except ValueError as error:
            raise errors.HTTPBadRequest(
                f"Invalid input for {attribute.name}. Reason: {error}"
            ) from None
        except RecursionError:  # deep enough to be read, too deep to be shown
            raise errors.HTTPBadRequest(
                f"Invalid input for {attribute.name}. Reason: it is nested too deeply."
            ) from None

    def _check_admin(
        self, attribute: Attribute, found: Values, method: str, caller: Caller
    ) -> None:
        if not attribute.admin or "admin" in caller.roles:
            return
        # An update may turn it either way only as admin; a creation may say the usual thing.
        if attribute.name in found and (
            method == "PUT" or found[attribute.name] != attribute.usual
        ):
            action = "create" if method == "POST" else "update"
            raise errors.PolicyNotAuthorized(f"{action}_{self.singular}:{attribute.name}")


def _one_project(found: Values, caller: Caller) -> Values:
    """Return the values with `project_id` alone; only an admin names another project."""
    named = {found.pop(key) for key in ("project_id", "tenant_id") if key in found}
    if len(named) > 1:
        raise errors.HTTPBadRequest("'project_id' and 'tenant_id' do not match")
    project = named.pop() if named else caller.project_id
    if not project:
        raise errors.HTTPBadRequest("The token has no project: 'project_id' must be specified")
    if project != caller.project_id and "admin" not in caller.roles:
        raise errors.HTTPBadRequest(
            "Specifying 'project_id' or 'tenant_id' other than the authenticated project in "
            "request requires admin privileges"
        )
    return found | {"project_id": project}
