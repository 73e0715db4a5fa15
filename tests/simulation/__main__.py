"""Run many schedules (`make simulate N=1000`), or one of them again (`make simulate SEED=7`).

Without a first seed (`FIRST=…`) it begins at a random one, so that each run looks elsewhere.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from random import SystemRandom

from tests.simulation.schedule import Outcome, run


def _again(seed: int) -> int:
    """Run one schedule twice: aloud, and to see that it does the same."""
    first = run(seed)
    again = run(seed, verbose=True)
    print(f"seed {seed}: trace {again.trace}, {again.steps} steps, {again.seconds:.1f} virtual s")
    if first.trace != again.trace:
        print(f"seed {seed}: the first run had the trace {first.trace}")
        return 1
    print(again.error or "every invariant holds")
    return 1 if again.error else 0


def _many(count: int, first: int) -> int:
    began, counts, failed = time.perf_counter(), Counter[str](), 0
    longest = Outcome(0, "", 0, 0.0, 0.0, {})
    print(f"{count} schedules from seed {first}")
    with ProcessPoolExecutor() as pool:
        for outcome in pool.map(run, range(first, first + count), chunksize=5):
            counts.update(outcome.counts)
            longest = max(longest, outcome, key=lambda each: each.settled)
            if outcome.error:
                failed += 1
                print(outcome.error, flush=True)
    took = time.perf_counter() - began
    print(f"{count} schedules in {took:.1f} s ({count / took:.1f}/s), {failed} failed")
    print(f"as wished at most {longest.settled:.0f} virtual s after (seed {longest.seed})")
    print(", ".join(f"{name}: {number}" for name, number in counts.most_common()))
    return 1 if failed else 0


def main() -> int:
    """Do what the environment says."""
    if os.environ.get("SEED"):
        return _again(int(os.environ["SEED"]))
    first = int(os.environ.get("FIRST") or SystemRandom().randrange(1_000_000_000))
    return _many(int(os.environ.get("N") or 200), first)


if __name__ == "__main__":
    sys.exit(main())
