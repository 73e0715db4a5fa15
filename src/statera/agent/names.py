"""Names of what the agent makes on a machine, so that each thing can be told to be ours.

A machine may carry several installations, and the links and namespaces of people who never heard of
us.  Every name therefore holds the installation's short id and is recognised by its whole form: an
installation `ab` never takes a link of `abc` for its own, because their names differ in length.
Links have room for 15 characters, so an id is cut to its first eight hex digits; the whole id
stands in the link's alias, and a name that is taken by another id is an error, never shared.
"""

from __future__ import annotations

import hashlib
import re

from statera.lb.errors import Final

_INSTALLATION = re.compile(r"[a-z0-9]{1,4}")


class Names:
    """The names of one installation (`installation`: one to four of `a-z0-9`; else `Final`)."""

    def __init__(self, installation: str) -> None:
        if not _INSTALLATION.fullmatch(installation):
            raise Final(
                f"The installation's short id must be one to four of a-z and 0-9, "
                f"not '{installation}'."
            )
        self.installation = installation
        self._namespace = re.compile(f"st{installation}-a-[0-9a-f]{{8}}")
        self._bridge = re.compile(f"st{installation}b[0-9a-f]{{8}}")
        self._port = re.compile(f"st{installation}v[0-9a-f]{{8}}")

    def namespace(self, amphora_id: str) -> str:
        """Return the network namespace of an amphora."""
        return f"st{self.installation}-a-{_short(amphora_id)}"

    def bridge(self, network_id: str) -> str:
        """Return the bridge of a network."""
        return f"st{self.installation}b{_short(network_id)}"

    def port(self, port_id: str) -> str:
        """Return the machine's end of the link into an amphora's port."""
        return f"st{self.installation}v{_short(port_id)}"

    def bridge_mac(self, network_id: str) -> str:
        """Return the MAC of a bridge: fixed, because it is the gateway's and neighbours keep it."""
        digest = hashlib.sha256(f"{self.installation}/{network_id}".encode()).digest()
        return ":".join(f"{byte:02x}" for byte in b"\x02" + digest[:5])

    def is_namespace(self, name: str) -> bool:
        """Return whether a network namespace is an amphora of this installation."""
        return self._namespace.fullmatch(name) is not None

    def is_bridge(self, name: str) -> bool:
        """Return whether a link is a bridge of this installation."""
        return self._bridge.fullmatch(name) is not None

    def is_port(self, name: str) -> bool:
        """Return whether a link is the machine's end of a port of this installation."""
        return self._port.fullmatch(name) is not None


def _short(object_id: str) -> str:
    digits = object_id.replace("-", "").lower()[:8]
    if not re.fullmatch(r"[0-9a-f]{8}", digits):
        raise Final(f"'{object_id}' is no id that a name could be made of.")
    return digits
