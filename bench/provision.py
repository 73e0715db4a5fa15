"""How long from POST of a fully populated load balancer to the first 200 through its VIP.

Run as `python -m bench.provision [count]`.  Reported, never asserted: wall milliseconds, median and
spread, one load balancer at a time on an otherwise idle installation.
"""

from __future__ import annotations

import http.client
import statistics
import sys
import time

from tests.installation import Backend, Installation, installation
from tests.trees import http_tree


def first_answer(address: str, deadline: float) -> float:
    """Return the moment at which `GET /` on port 80 first answered 200."""
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(address, 80, timeout=0.2)
        try:
            connection.request("GET", "/")
            if connection.getresponse().status == 200:
                return time.monotonic()
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.002)
    raise SystemExit(f"no answer from {address}")


def one(here: Installation, subnet_id: str, backends: list[Backend]) -> tuple[float, float]:
    """Create one load balancer; return (seconds to the reply, seconds to the first 200)."""
    members = [backend.member() for backend in backends]
    started = time.monotonic()
    created = here.call("POST", "/loadbalancers", http_tree(subnet_id, members))["loadbalancer"]
    replied = time.monotonic()
    served = first_answer(created["vip_address"], started + 30)
    here.call("DELETE", f"/loadbalancers/{created['id']}?cascade=true")
    return replied - started, served - started


def main() -> None:
    """Measure and print one line."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with installation() as here:
        network, subnet = here.network()
        backends = [Backend(here, network, f"b{number}") for number in range(3)]
        try:
            runs = [one(here, subnet, backends) for _ in range(count)]
        finally:
            for backend in backends:
                backend.remove()
    replies, served = zip(*runs, strict=True)
    print(
        f"provision: n={count}"
        f" reply median={statistics.median(replies) * 1000:.0f} ms"
        f" first-200 median={statistics.median(served) * 1000:.0f} ms"
        f" min={min(served) * 1000:.0f} max={max(served) * 1000:.0f} ms"
    )


if __name__ == "__main__":
    main()
