"""Time and memory that rules ask for, on a machine that limits them: a cluster, or `--resources mem_mb=N`.

A cluster ends a job that takes longer or needs more; the next attempt asks for more of both. So the seconds per
image are several times those of two CPU cores (benchmarks/README.md) or, in the paper's networks, of a GPU.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from tagseg.training.settings import TrainingSettings

START = 10
"""Minutes for what does not depend on the number of images: start, slow disks, small data sets."""

UNKNOWN = 1440
"""Minutes where the index is in a storage, so that the number of images is not known here."""

REFERENCE_SIDE = 320
"""Side of the input, in pixels, to which the seconds per image of a network refer."""


def memory(megabytes: int) -> Callable[..., int]:
    """Return a rule's memory in MB: more in each attempt, since too little may have ended the last one."""
    return lambda wildcards, attempt: megabytes * attempt


def minutes(seconds: float, shards: int = 1, shared_disk: bool = True) -> Callable[..., int]:
    """Return a rule's run time in minutes; `seconds` is that of an image. The first input of the rule is the index.

    Before the index exists, the run time is not known: Snakemake shows <TBD>.
    """

    def runtime(wildcards: Any, input: Any, attempt: int) -> int:
        if not shared_disk:
            return attempt * UNKNOWN
        images = math.ceil(_images(str(input[0])) / shards)
        return attempt * (START + math.ceil(images * seconds / 60))

    return runtime


def training_seconds(settings: TrainingSettings, processes: int) -> float:
    """Return the seconds that the epochs of a training take per image: 0.2 per epoch at the reference size."""
    return 0.2 * settings.epochs * (settings.input_size / REFERENCE_SIDE) ** 2 / processes


def _images(index: str) -> int:
    """Return the number of images. Raises FileNotFoundError before the index is built."""
    return _lines(index, Path(index).stat().st_mtime_ns) - 1


@lru_cache
def _lines(path: str, changed: int) -> int:
    """Count the lines once for the many jobs of a run; `changed` is part of the key of the cache."""
    with open(path, "rb") as stream:
        return sum(1 for _ in stream)
