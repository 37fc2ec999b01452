"""Checks of the files of a run: they are readable and match their checksums."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tagseg.runtime.errors import TagsegError
from tagseg.runtime.pools import in_processes
from tagseg.storage.checkpoints import load_checkpoint
from tagseg.storage.ground_truth import read_ground_truth
from tagseg.storage.hdf5 import open_file
from tagseg.storage.index import read_index
from tagseg.storage.mask_shards import read_mask_shards


def _check_masks(folder: Path) -> Iterator[str]:
    for mask in read_mask_shards([folder]).values():
        try:
            mask.read()
        except TagsegError as error:
            yield str(error)


def _check_hdf5(path: Path) -> Iterator[str]:
    with open_file(path) as file:
        for dataset in file.values():
            if dataset.chunks is None:
                raise ValueError(f"{dataset.name} has no checksums")
            for part in dataset.iter_chunks():  # reading a chunk compares its Fletcher32 checksum
                dataset[part]
    yield from ()


def _read_with(read: Callable[[Path], object]) -> Callable[[Path], Iterator[str]]:
    def check(path: Path) -> Iterator[str]:
        read(path)
        yield from ()

    return check


@dataclass(frozen=True)
class Output:
    """An output of a run and the kind of check for it."""

    path: Path
    kind: str


CHECKS: dict[str, tuple[str, Callable[[Path], Iterator[str]]]] = {
    "index": ("index", _read_with(read_index)),
    "ground truth": ("ground_truth/*", _read_with(read_ground_truth)),
    "masks": ("*_masks/*/shard-*", _check_masks),
    "predictions": ("predictions/*/*/round*/*/shard-*", _check_masks),
    "HDF5": ("**/shard-*.h5", _check_hdf5),
    "checkpoint": ("**/checkpoint.pth", _read_with(load_checkpoint)),
}
"""A glob pattern below the folder of the run and the check for what it finds."""


def outputs(results: Path) -> list[Output]:
    """Return the outputs of a run that have a check, without what killed writers left (hidden folders)."""
    found = (Output(path, kind) for kind, (pattern, _) in CHECKS.items() for path in results.glob(pattern))
    visible = (one for one in found if not any(part.startswith(".") for part in one.path.parts))
    return sorted(visible, key=lambda one: one.path)


def verify(found: list[Output], processes: int) -> Iterator[list[str]]:
    """Yield the problems of each output, a line each: `<file>: what. Delete it and run again.`"""
    yield from in_processes(_problems, found, processes)


def _problems(output: Output) -> list[str]:
    problems: list[str] = []
    try:
        problems.extend(CHECKS[output.kind][1](output.path))
    except TagsegError as error:
        problems.append(str(error))
    except Exception as error:  # one damaged file must not hide what is wrong with the others
        reason = f"{type(error).__name__}: {error}"
        problems.append(f"{output.path}: cannot be read ({reason}). Delete it and run again.")
    return problems
