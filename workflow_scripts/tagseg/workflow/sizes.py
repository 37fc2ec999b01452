"""Time and memory that rules ask for, on a machine that limits them: a cluster, or `--resources mem_mb=N`.

A cluster ends a job that takes longer or needs more; the next attempt asks for more of both. The seconds per image
are at least twice those that EfficientNet-Lite2 takes on two CPU cores (benchmarks/README.md).
"""

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from tagseg.training.settings import TrainingSettings

START = 10
"""Minutes for what does not depend on the number of images: start, slow disks, small data sets."""

LONGEST = 2880
"""Minutes at most, since partitions have a limit; a training that needs more resumes in the next attempt."""

UNKNOWN = 240
"""Minutes where the index is in a storage, so that the number of images is not known here."""

REFERENCE_SIDE = 320
"""Side of the input, in pixels, to which the seconds per image of a network refer."""


def memory(megabytes: int) -> Callable[..., int]:
    """Return a rule's memory in MB: more in each attempt, since too little may have ended the last one."""
    return lambda wildcards, attempt: megabytes * attempt


def minutes(seconds: float | Callable[[Any], float], shards: int = 1, shared_disk: bool = True) -> Callable[..., int]:
    """Return a rule's run time in minutes. The first input of the rule is the index.

    `seconds` is that of an image, or a function of the wildcards.

    Before the index exists, the run time is not known: Snakemake shows <TBD>.
    """

    def runtime(wildcards: Any, input: Any, attempt: int) -> int:
        if not shared_disk:
            return attempt * UNKNOWN
        images = math.ceil(_images(str(input[0])) / shards)
        of_image = seconds(wildcards) if callable(seconds) else seconds
        return min(LONGEST, attempt * (START + math.ceil(images * of_image / 60)))

    return runtime


def training_seconds(settings: TrainingSettings, processes: int) -> float:
    """Return the seconds that the epochs of a training take per image: 0.4 per epoch at the reference size."""
    return 0.4 * settings.epochs * (settings.input_size / REFERENCE_SIDE) ** 2 / processes


def _images(index: str) -> int:
    """Return the number of images. Raises FileNotFoundError before the index is built."""
    return _lines(index, Path(index).stat().st_mtime_ns) - 1


@lru_cache
def _lines(path: str, changed: int) -> int:
    """Count the lines once for the many jobs of a run; `changed` is part of the key of the cache."""
    with open(path, "rb") as stream:
        return sum(1 for _ in stream)
