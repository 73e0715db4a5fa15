"""Runs every bench, one after the other, and puts their tables into docs/benchmarks.md.

`python -m bench` runs them all, names only those; `--quick` has small counts and writes nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

NAMES = ("provision", "members", "work_queue", "api_calls", "rendering", "idle", "engines")
PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def put(page: str, name: str, tables: str) -> str:
    """Return the page with the tables of a bench between its marks; raise if it has none."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{PAGE} has no place for {name}")
    return f"{before}{begin}\n\n{tables.strip()}\n\n{end}{after}"


def main() -> int:
    """Run, print, write; return the exit code of the first bench that fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=(*NAMES, []), help="benches; none: all")
    parser.add_argument("--quick", action="store_true", help="small counts; the page stays")
    options = parser.parse_args()
    for name in options.names or NAMES:
        print(f"== {name}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"bench.{name}", *(["--quick"] * options.quick)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, flush=True)
        if done.returncode:
            return done.returncode
        if not options.quick:
            PAGE.write_text(put(PAGE.read_text(), name, done.stdout))
    return 0


if __name__ == "__main__":
    sys.exit(main())
