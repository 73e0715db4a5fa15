"""What the Network API says about itself: versions, collections, and the extensions it has."""

from __future__ import annotations

from typing import Any

from statera.cloud.network import errors

VERSION = "v2.0"
_UPDATED = "2024-01-01T00:00:00-00:00"

_EXTENSIONS = (
    ("allowed-address-pairs", "Allowed Address Pairs", "Provides allowed address pairs"),
    ("empty-string-filtering", "Empty String Filtering", "Lists can be filtered by empty values"),
    ("filter-validation", "Filter validation", "Unknown filters are refused"),
    ("net-mtu", "Network MTU", "Networks show their MTU"),
    ("net-mtu-writable", "Network MTU (writable)", "The MTU of a network can be set"),
    ("pagination", "Pagination support", "Lists come in pages"),
    ("project-id", "project_id field enabled", "Objects show project_id beside tenant_id"),
    ("sorting", "Sorting support", "Lists can be sorted"),
    ("standard-attr-description", "standard-attr-description", "Objects have a description"),
    ("standard-attr-revisions", "Resource revision numbers", "Objects have a revision number"),
    ("standard-attr-timestamp", "Resource timestamps", "Objects have created_at and updated_at"),
)


def versions(prefix: str) -> dict[str, Any]:
    """Return the document at the root; `prefix` is the address where the API is mounted."""
    link = {"rel": "self", "href": f"{prefix}/{VERSION}/"}
    return {"versions": [{"id": VERSION, "status": "CURRENT", "links": [link]}]}


def resources(prefix: str) -> dict[str, Any]:
    """Return the document of the version."""
    return {
        "resources": [
            {
                "name": name,
                "collection": f"{name}s",
                "links": [{"rel": "self", "href": f"{prefix}/{VERSION}/{name}s"}],
            }
            for name in ("network", "subnet", "port")
        ]
    }


def extensions() -> list[dict[str, Any]]:
    """Return what goes beyond the core of the API and is really there."""
    return [
        {
            "alias": alias,
            "name": name,
            "description": description,
            "updated": _UPDATED,
            "links": [],
        }
        for alias, name, description in _EXTENSIONS
    ]


def extension(alias: str) -> dict[str, Any]:
    """Return one extension; raise `errors.ExtensionNotFound` if it is not offered."""
    for found in extensions():
        if found["alias"] == alias:
            return found
    raise errors.ExtensionNotFound(f"Extension with alias {alias} does not exist")
