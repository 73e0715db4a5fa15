"""The `statera` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

import statera
from statera.cli.console import DONE, FAILED, USAGE, Stop
from statera.cli.context import Context, ServerSettings, load_context
from statera.cli.parser import build
from statera.service.configuration import ConfigurationError
from statera.service.state import StateError, chosen_root

_SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = build()
    options = parser.parse_args(arguments)
    if options.version:
        print(f"statera {statera.__version__}")
        return DONE
    if options.command is None:
        parser.print_help()
        return USAGE
    return _guarded(options)


def _guarded(options: argparse.Namespace) -> int:
    """Run the command; what the user can act on is said in words, without a traceback."""
    code = FAILED
    os.umask(0o077)  # what we write holds keys and passwords
    # where `su` and cron jobs do not look, but haproxy, ip and nft are
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_FOLDERS}"
    try:
        return _COMMANDS[options.command](options)
    except ConfigurationError as error:
        lines = ["the configuration cannot be used:", *(f"  {line}" for line in error.problems)]
        print("\n".join(lines), file=sys.stderr)
        code = USAGE
    except StateError as error:
        print(f"statera: {error}", file=sys.stderr)
    except (PermissionError, NotADirectoryError) as error:
        print(f"statera: {error}; is it yours to use, or root's (sudo statera …)?", file=sys.stderr)
    except Stop as error:
        print(f"statera: {error}", file=sys.stderr)
        code = error.code
    except KeyboardInterrupt:
        code = 130
    return code


def _context(options: argparse.Namespace, *, check: bool = False) -> Context:
    """Return the context of the options; raise `Stop` for options that cannot be read.

    With `check` every setting is read: what starts processes refuses what they would refuse.
    """
    root = chosen_root(options.state_dir, os.environ)
    overrides = {}
    for text in options.set:
        name, separator, value = text.partition("=")
        if not separator or "." not in name:
            raise Stop(f"--set wants GROUP.OPTION=VALUE, not {text!r}", USAGE)
        overrides[name] = value
    if getattr(options, "bind", None):
        host, port = split_address(options.bind)
        overrides |= {"server.bind_host": host, "server.bind_port": port}
    if getattr(options, "no_clouds_yaml", False):
        overrides["clients.clouds_yaml"] = "false"
    return load_context(root, overrides, check=check)


def split_address(text: str) -> tuple[str, str]:
    """Return host and port of `HOST:PORT`, `[v6]:PORT` or `:PORT`; raise `Stop`."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit():
        raise Stop(f"--bind wants HOST:PORT, not {text!r}", USAGE)
    return host.strip("[]") or "127.0.0.1", port


def _up(options: argparse.Namespace) -> int:
    from statera.cli.up import up  # noqa: PLC0415

    return up(_context(options, check=True), detach=options.detach)


def _down(options: argparse.Namespace) -> int:
    from statera.cli.down import down  # noqa: PLC0415

    return down(_context(options))


def _status(options: argparse.Namespace) -> int:
    from statera.cli.status import status  # noqa: PLC0415

    return status(_context(options), as_json=options.json)


def _doctor(options: argparse.Namespace) -> int:
    from statera.cli.doctor.command import run  # noqa: PLC0415

    context = _context(options, check=True)
    server = context.get(ServerSettings)
    address = (server.bind_host, server.bind_port)
    return run(context.state.root, address, fix=options.fix, as_json=options.json)


def _openrc(options: argparse.Namespace) -> int:
    from statera.cli.clouds import read_login, user_file, write_cloud  # noqa: PLC0415

    context = _context(options)
    login = read_login(context.state.clouds)
    if login is None:
        raise Stop(f"{context.state.clouds} is not there yet; `statera up` makes it")
    if not options.clouds_yaml:
        print(login.openrc())
        return DONE
    path = user_file(os.environ)
    try:
        write_cloud(path, login)
    except ValueError as error:
        raise Stop(f"{path} is left as it is: {error}") from error
    print(f"wrote the cloud `statera` into {path}")
    return DONE


def _demo(options: argparse.Namespace) -> int:
    from statera.cli.demo.command import demo  # noqa: PLC0415

    return demo(_context(options, check=True), options.requests)


def _db(options: argparse.Namespace) -> int:
    from statera.cli.process_prepare import upgrade  # noqa: PLC0415

    changed = upgrade(_context(options))
    print("the database was upgraded" if changed else "the database is up to date")
    return DONE


def _run(options: argparse.Namespace) -> int:
    from statera.cli.processes import run  # noqa: PLC0415

    return run(options.process, _context(options))


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "up": _up,
    "down": _down,
    "status": _status,
    "doctor": _doctor,
    "openrc": _openrc,
    "demo": _demo,
    "db": _db,
    "run": _run,
}

if __name__ == "__main__":
    sys.exit(main())
