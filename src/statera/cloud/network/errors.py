"""Errors of the Network API: the names that its clients know, hung into the tree of `lb.errors`.

The name of the class is the `type` of the reply.
"""

from __future__ import annotations

from statera.lb import errors


class HTTPBadRequest(errors.InvalidInput):
    """The request as such is wrong: body, attribute or query."""


class InvalidInput(errors.InvalidInput):
    """Values that are well formed do not go together."""


class _NoSuch(errors.NotFound):
    def __init__(self, object_id: str) -> None:
        noun = type(self).__name__.removesuffix("NotFound")
        super().__init__(f"{noun} {object_id} could not be found.")


class NetworkNotFound(_NoSuch):
    """No such network for this caller."""


class SubnetNotFound(_NoSuch):
    """No such subnet for this caller."""


class PortNotFound(_NoSuch):
    """No such port for this caller."""


class SecurityGroupNotFound(errors.NotFound):
    """No such security group: there are none."""


class ExtensionNotFound(errors.NotFound):
    """No such extension."""


class PolicyNotAuthorized(errors.Forbidden):
    """The caller's roles do not allow this."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"{rule} is disallowed by policy")


class NetworkInUse(errors.Conflict):
    """The network still has ports."""


class SubnetInUse(errors.Conflict):
    """Addresses of the subnet are still in use."""


class InvalidSharedSetting(errors.Conflict):
    """Other projects use the network that should no longer be shared."""


class OverlappingSubnet(errors.Conflict):
    """The range is used elsewhere in the installation."""


class GatewayIpInUse(errors.Conflict):
    """A port has the address that should become the gateway."""


class GatewayConflictWithAllocationPools(errors.Conflict):
    """The gateway would be allocated to a port one day."""


class OverlappingAllocationPools(errors.Conflict):
    """Two allocation pools share an address."""


class OutOfBoundsAllocationPool(errors.InvalidInput):
    """An allocation pool leaves the subnet."""


class InvalidAllocationPool(errors.InvalidInput):
    """An allocation pool ends before it starts."""


class InvalidIpForSubnet(errors.InvalidInput):
    """A wanted address is none that a port can have there."""


class InvalidIpForNetwork(errors.InvalidInput):
    """A wanted address is in no subnet of the network."""


class IpAddressAlreadyAllocated(errors.Conflict):
    """A wanted address is taken."""

    def __init__(self, ip_address: str, subnet_id: str) -> None:
        super().__init__(f"IP address {ip_address} already allocated in subnet {subnet_id}.")


class IpAddressGenerationFailure(errors.Conflict):
    """No address is free."""

    def __init__(self, network_id: str) -> None:
        super().__init__(f"No more IP addresses available on network {network_id}.")


class ServicePortInUse(errors.Conflict):
    """A service of the installation uses the port."""

    def __init__(self, port_id: str, device_id: str) -> None:
        super().__init__(
            f"Port {port_id} is in use by {device_id}: "
            "delete that first, the port is released with it."
        )
