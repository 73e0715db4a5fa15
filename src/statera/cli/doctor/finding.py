"""What a check found."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """`text` says in plain words what is so; `package` and `command` say what mends it.

    Not `ok` and `required`: load balancers cannot run here.  Packages are named as in Debian.
    """

    name: str
    ok: bool
    text: str
    required: bool = True
    package: str | None = None
    command: str | None = None

    def record(self) -> dict[str, Any]:
        """Return the finding as JSON data."""
        return dataclasses.asdict(self)
