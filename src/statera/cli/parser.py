"""The command line: what there is to say, and help that is good enough to work from."""

from __future__ import annotations

import argparse
from typing import Any

_MAIN = """\
Load balancing as a service in one package: the OpenStack Load Balancer API v2, answered by this
machine, and every load balancer a real HAProxy data plane in a network namespace of its own."""

_MAIN_EPILOG = """\
first steps:
  statera doctor             what this machine lacks, and the commands that mend it
  statera demo               a load balancer with three backends and real requests
  statera up --detach        start everything and return when it is ready
  export OS_CLOUD=statera    then: openstack loadbalancer list
  statera down               stop everything and remove it from the machine

exit codes:
  0  done            2  wrong usage or configuration
  1  failed          3  not running (status)

environment:
  STATERA_STATE_DIR       the state directory (default /var/lib/statera)
  OS_<GROUP>__<OPTION>    any option of the configuration file, e.g. OS_SERVER__BIND_PORT=9877

files:
  /etc/statera/statera.conf, <state directory>/statera.conf    [group] and option = value lines"""

_UP = """\
Start the API, the controller, the gateway and the agent of this machine, and keep them running: a
process that dies is started again.  Everything lies in one directory; the database, the first
password and the keys are made by the first start.  Needs root (see `statera doctor`).

Load balancers do not depend on these processes: they serve while everything here is dead, and a
later `statera up` finds them again."""

_UP_EPILOG = """\
examples:
  statera up                               in the foreground, logs on the terminal; Ctrl-C stops it
  statera up --detach                      returns when everything is ready; logs in <state>/log
  statera up --detach --bind 0.0.0.0:9876 --set identity.public_url=http://lb.example.net:9876
                                           for other machines, which know this one by that name
  statera up --state-dir /tmp/try --bind 127.0.0.1:9999    a second installation beside the first"""

_DOWN = """\
Stop the processes and remove everything that was made on this machine: namespaces, links, bridges,
rules, data-plane processes.  Works after the supervisor was killed, and twice.  The state directory
stays, so the next `statera up` serves the same load balancers again; delete it to start afresh."""

_STATUS = """\
Say what runs: each process with its pid, uptime and restarts, the machines, the load balancers.
Exit code 0: running (a process may be starting again: see its state); 3: not running."""

_DOCTOR = """\
Say in plain words what this machine lacks (privileges, haproxy 2.6 or newer, nftables, keepalived,
iproute2, kernel features, open files, disk, port, socket paths), and the exact commands that mend
it.  Exit code 1 when something required is missing."""

_OPENRC = """\
Print shell lines that point the OpenStack clients at this installation."""

_OPENRC_EPILOG = """\
examples:
  eval "$(statera openrc)"; openstack loadbalancer list
  statera openrc --clouds-yaml             write the cloud `statera` into clouds.yaml instead"""

_DEMO = """\
Show the whole path: starts everything if it is not running, makes a network, three small HTTP
backends in namespaces of their own and, through the real `openstack` client, a load balancer; sends
real requests to its VIP, kills a backend, and shows that no request fails once the health monitor
has noticed.  Leaves the service running; `statera down` removes everything."""

_DB = """\
Bring the database to this release's tables.  `statera up` does it by itself; two that start
together wait for each other."""

_DEFAULT_BIND = "127.0.0.1:9876"


def build() -> argparse.ArgumentParser:
    """Return the parser of the `statera` command."""
    parser = argparse.ArgumentParser(
        prog="statera",
        description=_MAIN,
        epilog=_MAIN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and end")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    bind = _bind_option()
    _up(commands, bind)
    _command(commands, "down", "stop everything and remove it from this machine", _DOWN)
    status = _command(commands, "status", "what runs, and what it serves", _STATUS)
    _json(status)
    doctor = _command(commands, "doctor", "what this machine lacks", _DOCTOR, parents=[bind])
    doctor.add_argument("--fix", action="store_true", help="run the commands that mend it")
    _json(doctor)
    openrc = _command(
        commands, "openrc", "point the OpenStack clients here", _OPENRC, epilog=_OPENRC_EPILOG
    )
    openrc.add_argument(
        "--clouds-yaml",
        action="store_true",
        help="write the cloud `statera` into ~/.config/openstack/clouds.yaml; other clouds stay",
    )
    _demo(commands, bind)
    database = _command(commands, "db", "database maintenance", _DB)
    database.add_argument("action", choices=["upgrade"], help="bring the tables up to date")
    _run(commands)
    return parser


def _command(commands: Any, name: str, summary: str, description: str, **more: Any) -> Any:
    parser = commands.add_parser(
        name,
        help=summary,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **more,
    )
    _common(parser)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        help="where the installation keeps everything"
        " (default: $STATERA_STATE_DIR or /var/lib/statera)",
    )
    parser.add_argument(
        "--set",
        metavar="GROUP.OPTION=VALUE",
        action="append",
        default=[],
        help="set an option of the configuration file for this call; may be given several times",
    )


def _bind_option() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--bind",
        metavar="HOST:PORT",
        help=f"where the APIs are served (default: the configuration's, else {_DEFAULT_BIND})",
    )
    return parent


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def _up(commands: Any, bind: argparse.ArgumentParser) -> None:
    up = _command(
        commands, "up", "start everything on this machine", _UP, epilog=_UP_EPILOG, parents=[bind]
    )
    up.add_argument(
        "--detach", action="store_true", help="return when everything is ready; it goes on running"
    )
    _clouds_option(up)


def _demo(commands: Any, bind: argparse.ArgumentParser) -> None:
    demo = _command(commands, "demo", "see a load balancer balance", _DEMO, parents=[bind])
    demo.add_argument(
        "--requests", type=int, default=3000, metavar="N", help="requests to send (default: 3000)"
    )
    _clouds_option(demo)


def _clouds_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-clouds-yaml",
        action="store_true",
        help="leave ~/.config/openstack/clouds.yaml alone (the state directory has its own)",
    )


def _run(commands: Any) -> None:
    """Add the hidden command that the supervisor starts its children with."""
    run = commands.add_parser("run", add_help=False)
    run.add_argument("process")
    _common(run)
