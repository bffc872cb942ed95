"""Kills the parent of a grounding process 20 times, and counts grounding processes left after 2 s.

    python -m benchmarks.orphans [--times 20]

Half of the times with ``kill -9``, half with SIGTERM; while the process starts, and at any time in
its first three seconds of grounding.
"""

from __future__ import annotations

import argparse
import random
import signal

from tests.circuit.test_orphans import BODIES, ends_in_time, start_grounding


def main() -> None:
    """Prints a line a time, and the count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=20)
    times = parser.parse_args().times
    rng, left = random.Random(0), 0
    for index in range(times):
        how = (signal.SIGKILL, signal.SIGTERM)[index % 2]
        body = list(BODIES)[index // 2 % 2]
        wait = rng.uniform(0, 3)
        parent, worker = start_grounding(BODIES[body], wait)
        parent.send_signal(how)
        parent.wait()
        ended = ends_in_time(worker)
        left += not ended
        print(
            f"{index + 1}: {how.name} after {wait:.1f} s in {body}: {'ended' if ended else 'LEFT'}"
        )
    print(f"{left} of {times} grounding processes were left after 2 s")


if __name__ == "__main__":
    main()
