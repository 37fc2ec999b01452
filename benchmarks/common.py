"""What the benchmarks share: a row of the table, and the time of a piece of work."""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "workflow_scripts"
sys.path.insert(0, str(SCRIPTS))


@dataclass(frozen=True)
class Row:
    """Ours against a named alternative in the same run, both in `unit`; a smaller ratio is better."""

    what: str
    ours: float
    alternative: str
    theirs: float
    unit: str = "s"

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turn(ours: Callable[[], object], theirs: Callable[[], object], runs: int = 3) -> tuple[float, float]:
    """Return the median seconds of two pieces of work that are timed in turn, after one unmeasured run of ours."""
    ours()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(runs)]
    first, second = (statistics.median(times) for times in zip(*pairs, strict=True))
    return first, second
