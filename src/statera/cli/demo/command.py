"""The demo's steps, one after the other; each can be read and run for itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from statera.cli.clouds import read_login
from statera.cli.console import DONE, FAILED, Progress, Stop
from statera.cli.context import Context
from statera.cli.demo import client, network, spaces, traffic
from statera.cli.demo.rest import Refused, Rest, wait_for
from statera.cli.status import gather
from statera.cli.up import up

_BACKENDS = 3
_BACKEND_PORT = 8080
_VIP_PORT = 80
_LBAAS = "/v2.0/lbaas"
_REQUEST_BYTES = 60
"""No request of ours is shorter."""


@dataclass(slots=True)
class Stage:
    """What the steps hand to each other."""

    context: Context
    rest: Rest
    progress: Progress
    installation: str
    network: network.DemoNetwork
    backends: list[tuple[str, str, int]] = field(default_factory=list)
    """(name, address, port)."""
    pids: dict[str, int] = field(default_factory=dict)


def demo(context: Context, requests: int) -> int:
    """Run the demo; return the exit code."""
    progress = Progress()
    up(context, detach=True)
    login = read_login(context.state.clouds)
    if login is None:
        raise Stop("the demo needs the embedded identity ([edges] identity = embedded)")
    rest = Rest(gather(context)["api"], login)  # it may have been started with another --bind
    remove_earlier(rest, progress)
    spaces.remove_spaces(context.state.installation_id())
    found = network.ensure_network(rest)
    progress.say(f"network {network.NAME} {found.cidr}")
    stage = Stage(context, rest, progress, context.state.installation_id(), found)
    start_backends(stage)
    create(stage)
    spread(stage, requests)
    failed = lose_backend(stage)
    inspect(stage, requests)
    farewell(stage)
    return FAILED if failed else DONE


def load_balancer(rest: Rest) -> dict[str, Any] | None:
    """Return the demo's load balancer as the API shows it, None if there is none."""
    listed = rest.get(f"{_LBAAS}/loadbalancers?name={client.LOAD_BALANCER}")["loadbalancers"]
    return listed[0] if listed else None


def remove_earlier(rest: Rest, progress: Progress) -> None:
    """Delete the load balancer of an earlier demo and wait until it is gone."""
    old = load_balancer(rest)
    if old is None:
        return
    progress.say("removing the load balancer of the last demo")
    rest.call("DELETE", f"{_LBAAS}/loadbalancers/{old['id']}?cascade=true")

    def gone() -> bool:
        try:
            return load_balancer(rest) is None
        except Refused as error:
            return error.status == 404

    wait_for("its removal", gone, 30.0)


def start_backends(stage: Stage) -> None:
    """Start three HTTP servers in namespaces of their own, plugged into the network's bridge."""
    network.wait_for_bridge(stage.network, stage.installation)
    for number in range(1, _BACKENDS + 1):
        name = f"demo-{number}"
        plug = network.ensure_port(stage.rest, stage.network, name, stage.installation)
        space = spaces.make_space(stage.installation, number, plug)
        stage.pids[name] = spaces.start_backend(space, name, plug.address, _BACKEND_PORT)
        stage.backends.append((name, plug.address, _BACKEND_PORT))
        stage.progress.say(f"backend {name} on {plug.address}:{_BACKEND_PORT} in {space}")
    for name, address, port in stage.backends:
        wait_for(f"{name}'s first answer", partial(traffic.answered, address, port), 10.0)


def create(stage: Stage) -> None:
    """Make the load balancer with the client, and time its first byte."""
    stage.progress.say("making a load balancer with the openstack client")
    first_byte = traffic.FirstByte(stage.network.vip, _VIP_PORT)
    accepted = _Accepted(stage.rest)
    lines = client.creation(stage.network.subnet_id, stage.network.vip, stage.backends)
    client.run_script(lines, stage.context.state.clouds)
    ended = time.monotonic()
    _check_created(stage)
    at = first_byte.wait(15.0)
    began = accepted.wait()
    if at is None:
        raise Stop(f"no answer from {stage.network.vip}:{_VIP_PORT}: {_why(stage.rest)}")
    if began is not None:
        stage.progress.say(
            f"first byte {at - began:.2f} s after the API accepted `loadbalancer create`; "
            f"the client's {len(lines)} commands took {ended - began:.2f} s"
        )


def _check_created(stage: Stage) -> None:
    """Raise `Stop` unless the client has made everything."""
    pools = stage.rest.get(f"{_LBAAS}/pools?name=demo-pool")["pools"]
    members = len(pools[0]["members"]) if pools else 0
    if members != len(stage.backends):
        raise Stop("the openstack client has not made everything; see its errors above")


class _Accepted:
    """Watches, on a thread, for the moment at which the load balancer is in the API."""

    def __init__(self, rest: Rest) -> None:
        self._at: float | None = None
        self._thread = threading.Thread(target=self._watch, args=(rest,), daemon=True)
        self._thread.start()

    def _watch(self, rest: Rest) -> None:
        wait_for("the load balancer", lambda: load_balancer(rest), 30.0, every=0.02)
        self._at = time.monotonic()

    def wait(self) -> float | None:
        """Return when it was seen first."""
        self._thread.join(1.0)
        return self._at


def _why(rest: Rest) -> str:
    found = load_balancer(rest)
    if found is None:
        return "the load balancer was not created"
    state = f"{found['provisioning_status']}, {found['operating_status']}"
    return f"the load balancer is {state}; logs are in the state directory"


def spread(stage: Stage, requests: int) -> None:
    """Send the requests and print who answered them."""
    address = f"{stage.network.vip}:{_VIP_PORT}"
    stage.progress.say(f"sending {requests} requests to http://{address}/")
    tally = traffic.send(stage.network.vip, _VIP_PORT, requests)
    rate = requests / tally.seconds
    stage.progress.say(f"{tally.text()} ({tally.seconds:.1f} s, {rate:.0f} requests/s)")
    if tally.failed:
        raise Stop(f"{tally.failed} of {requests} requests failed")


def lose_backend(stage: Stage) -> int:
    """Kill a backend, wait until the monitor noticed, send 1,000 requests; return the failures."""
    name = stage.backends[-1][0]
    os.kill(stage.pids[name], signal.SIGKILL)
    began = time.monotonic()
    stage.progress.say(f"killed {name}; waiting for the health monitor to notice")
    pool = stage.rest.get(f"{_LBAAS}/pools?name=demo-pool")["pools"][0]["id"]

    def noticed() -> bool:
        members = stage.rest.get(f"{_LBAAS}/pools/{pool}/members?name={name}")["members"]
        return bool(members and members[0]["operating_status"] == "ERROR")

    wait_for(f"{name}'s operating status ERROR", noticed, 30.0)
    stage.progress.say(f"{name} is in ERROR after {time.monotonic() - began:.1f} s")
    tally = traffic.send(stage.network.vip, _VIP_PORT, 1000)
    stage.progress.say(f"1000 more requests: {tally.text()}; {tally.failed} failed")
    return tally.failed


def inspect(stage: Stage, requests: int) -> None:
    """Show statistics and the status tree with the client, once the counters have arrived."""
    found = load_balancer(stage.rest)
    path = f"{_LBAAS}/loadbalancers/{found['id'] if found else ''}/stats"
    stage.progress.say("waiting for the agent's next report of the counters (at most 10 s)")

    def counted() -> bool:
        return bool(stage.rest.get(path)["stats"]["bytes_in"] >= requests * _REQUEST_BYTES)

    wait_for("a report of the counters", counted, 30.0)
    client.run_script(client.inspection(), stage.context.state.clouds)


def farewell(stage: Stage) -> None:
    """Say how to go on."""
    state = stage.context.state.root
    print(f"""
It is running and stays so.  Talk to it:

    export OS_CLOUD=statera OS_CLIENT_CONFIG_FILE={stage.context.state.clouds}
    openstack loadbalancer list
    openstack loadbalancer status show {client.LOAD_BALANCER}
    curl http://{stage.network.vip}/

`statera status` shows the processes, {state} holds state and logs.
`make down` (or `statera down`) stops everything and removes it from this machine.""")
