"""Settings: small frozen dataclasses, declared beside the code that they steer.

A settings class is passed to what it steers; nothing reads a global.  `option` declares a field
together with the sentence that explains it and the reason for its default.
"""

from __future__ import annotations

import dataclasses
from typing import Any


def option(default: Any, why: str, **bounds: Any) -> Any:
    """Declare one option of a frozen settings dataclass.

    `why` says what it does and why the default is what it is; `bounds` may hold `min`, `max`,
    `choices`, `secret` and `mutable` (changes on reload).
    """
    return dataclasses.field(default=default, metadata={"help": why, **bounds})
