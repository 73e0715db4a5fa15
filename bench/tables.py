"""How benches speak: Markdown tables on standard output, progress on standard error.

`python -m bench` puts what a bench prints into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def quick(description: str | None) -> bool:
    """Return whether the command line asks for small counts (`--quick`)."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small counts")
    return bool(parser.parse_args().quick)


def note(text: str) -> None:
    """Say how far a bench is."""
    print(text, file=sys.stderr, flush=True)


def machine() -> str:
    """Describe the machine and how busy it is at this moment."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    asked = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=False).stdout
    haproxy = (asked.split() or ["", "", "unknown"])[2].partition("-")[0]
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"*{os.cpu_count()} cores ({model}), Linux {platform.release().partition('-')[0]}, "
        f"Python {platform.python_version()}, HAProxy {haproxy}; load average before: {load}.*"
    )


def say(title: str, head: Sequence[str], rows: Sequence[Sequence[object]], *notes: str) -> None:
    """Print one table with its title above and its notes below it."""
    print(f"**{title}**\n")
    print("| " + " | ".join(head) + " |")
    print("|---|" + "---:|" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print()
    for each in notes:
        print(f"{each}\n")


def milliseconds(seconds: float) -> str:
    """Return a duration in milliseconds, with as many digits as mean something."""
    value = seconds * 1000
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.3f}"


def mebibytes(size: float) -> str:
    """Return a size in MiB."""
    return f"{size / 2**20:.2f}"


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def median(values: Sequence[float]) -> float:
    """Return the median; 0 of nothing."""
    return statistics.median(values) if values else 0.0
