"""Reading the whole tree of a run: is every output whole, and as it was made?

`examine` reads outputs one by one and compares each with its seal; `tagseg.relations` then compares what they
say of each other.
"""

import csv
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from tagseg.cam_shards import cam_origin, read_cam
from tagseg.checkpoints import load_checkpoint
from tagseg.errors import TagsegError
from tagseg.files import digest, read_json
from tagseg.images import read_mask, read_photograph
from tagseg.index import read_index
from tagseg.map_shards import MapShard
from tagseg.mask_shards import MANIFEST, mask_origin, read_mask_shards
from tagseg.patterns import patterns_classifier, patterns_digest, read_patterns
from tagseg.pools import in_processes
from tagseg.seals import FOLDER, SNAKEMAKES_OWN, broken, sealed
from tagseg.true_masks import TABLE, read_true_masks

CLASSIFIER = "classifier/checkpoint.pth"


@dataclass(frozen=True)
class Problem:
    """What is wrong and what to do, in a line; `again` names the output that is to be made again, if any."""

    text: str
    again: str | None = None


@dataclass(frozen=True)
class Found:
    """What an output says: ids of its photographs, digests of its origin, of itself and of its inputs."""

    ids: tuple[str, ...] = ()
    origin: str = ""
    digest: str = ""
    inputs: Mapping = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


Tree = Mapping[str, Found]
"""What was found, by the output's path below the folder of the run."""


def target(results: Path, name: str) -> str:
    """Return the output to ask Snakemake for: of the index, whose files are outputs one by one, the first."""
    return str(results / ("index/index.csv" if name == "index" else name))


def _maps(path: Path) -> Found:
    with MapShard(path) as shard:
        for position in range(len(shard)):
            shard.maps(position)
        return Found(shard.ids, shard.origin)


def _cams(path: Path) -> Found:
    return Found(tuple(read_cam(path)), cam_origin(path))


def _masks(folder: Path) -> Found:
    files = read_mask_shards([folder])
    lost = (_problem(file.read, str(folder)) for file in files.values())
    known = {file.path for file in files.values()} | {folder / MANIFEST}
    there = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SNAKEMAKES_OWN)
    surplus = (
        Problem(f"{path}: not in the manifest; delete the file") for path in there if path not in known
    )
    problems = (*(one for one in lost if one), *surplus)
    return Found(tuple(files), mask_origin(folder), digest(folder / MANIFEST), problems=problems)


def _patterns(folder: Path) -> Found:
    read_patterns(folder)
    return Found(origin=patterns_classifier(folder), digest=patterns_digest(folder))


def _network(path: Path) -> Found:
    description, _ = load_checkpoint(path)
    return Found(digest=digest(path), inputs={"masks": description.get("masks")})


def _scores(path: Path) -> Found:
    content = read_json(path)
    try:
        told = content["provenance"]
        return Found(inputs={**told, "masks": list(told["masks"].values()), "split": content["split"]})
    except (KeyError, TypeError, AttributeError):
        raise TagsegError(f"{path}: not a file of scores; delete it and run again") from None


def _json(path: Path) -> Found:
    read_json(path)
    return Found()


def _table(path: Path) -> Found:
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            lengths = {len(row) for row in csv.reader(stream)}
    except (ValueError, csv.Error) as error:
        raise TagsegError(f"{path}: not a table in UTF-8 ({error}); delete it and run again") from None
    if len(lengths) != 1:
        raise TagsegError(f"{path}: not a table, its rows differ in length; delete it and run again")
    return Found()


def _picture(path: Path) -> Found:
    read_photograph(path)
    return Found()


def _index(folder: Path) -> Found:
    rows = read_index(folder).photographs
    return Found(tuple(row.id for row in rows), digest=digest(folder / "index.csv"))


def _true_masks(folder: Path) -> Found:
    files = read_true_masks(folder)
    problems = (_problem(lambda path=path: read_mask(path), str(folder)) for path in files.values())
    return Found(digest=digest(folder / TABLE), problems=tuple(one for one in problems if one))


def _lists(folder: Path) -> Found:
    for path in sorted(folder.glob("*.txt")):
        try:
            path.read_text(encoding="utf-8")
        except ValueError as error:
            raise TagsegError(f"{path}: not UTF-8 ({error}); delete {folder} and run again") from None
    return Found()


READERS: dict[str, Callable[[Path], Found]] = {
    "index": _index,
    "true_masks/*": _true_masks,
    "subsets": _lists,
    CLASSIFIER: _network,
    "classifier/*.json": _json,
    "features/*/shard-*.h5": _maps,
    "cam/shard-*.h5": _cams,
    "patterns/*": _patterns,
    "seed_masks/*/shard-*": _masks,
    "proxy_masks/*/shard-*": _masks,
    "segmenter/*/*/round*/checkpoint.pth": _network,
    "segmenter/*/*/round*/*.json": _json,
    "logits/*/*/round*/*/shard-*.h5": _maps,
    "predictions/*/*/round*/*/shard-*": _masks,
    "scores/**/*.json": _scores,
    **{f"{folder}/*.csv": _table for folder in ("tables", "report", "data_report")},
    **{f"{folder}/*.png": _picture for folder in ("tables", "report", "figures")},
    "segmented/*/masks/**/*.png": _picture,
}
"""How the outputs of a run are read, by their paths."""


def outputs(results: Path) -> list[tuple[Path, str, str]]:
    """Return (folder of the run, path below it, pattern in READERS) of every output that is there.

    Those that have a seal and no reader come with the pattern "".
    """
    paths = ((path.relative_to(results), pattern) for pattern in READERS for path in results.glob(pattern))
    read = {path.as_posix(): pattern for path, pattern in paths if not _is_apart(path)}
    more = (name for name in sealed(results) if (results / name).exists() and not _within(name, read))
    return sorted((results, name, pattern) for name, pattern in (read | dict.fromkeys(more, "")).items())


def _is_apart(path: Path) -> bool:
    return path.parts[0] == FOLDER or any(part.startswith(".") for part in path.parts)


def _within(name: str, read: Collection[str]) -> bool:
    """Say whether an output is one of those that are read, or lies in one."""
    return any(str(place) in read for place in (PurePosixPath(name), *PurePosixPath(name).parents))


def examine(results: Path, processes: int) -> Iterator[tuple[str, Found]]:
    """Yield the path below `results` and what was found, of every output of a run."""
    tasks = outputs(results)
    yield from zip((path for _, path, _ in tasks), in_processes(_examine, tasks, processes), strict=True)


def _examine(task: tuple[Path, str, str]) -> Found:
    """Read an output, and compare it with its seal where it says no wrong of itself."""
    results, name, pattern = task
    found, again = [Found()], target(results, name)
    problem = _problem(lambda: found.append(READERS[pattern](results / name)), again) if pattern else None
    if problem or found[-1].problems:
        return Found(problems=(problem,)) if problem else found[-1]
    texts: list[str] = []
    problem = _problem(lambda: texts.extend(broken(results, name)), again)
    altered = [Problem(text, again) for text in texts]
    return replace(found[-1], problems=(*altered, *([problem] if problem else [])))


def _problem(read: Callable[[], object], again: str) -> Problem | None:
    """Call `read`; return what is wrong where it fails, None where it does not."""
    try:
        read()
    except TagsegError as error:
        return Problem(str(error), again)
    except OSError as error:
        return Problem(f"{error.filename or again}: {error.strerror}; delete {again} and run again", again)
    except (
        Exception
    ) as error:  # one output that nobody thought of must not hide what is wrong with the others
        kind = type(error).__name__
        return Problem(f"{again}: cannot be read ({kind}: {error}); delete it and run again", again)
    return None


def leftovers(results: Path) -> list[Path]:
    """Return what killed writers left: hidden files and folders, and states of trainings. They do no harm."""
    found = []
    for place, folders, files in os.walk(results):
        hidden = [name for name in folders if name.startswith(".")]
        states = [name for name in files if name.startswith(".") or name.endswith(".resume")]
        found += [Path(place, name) for name in hidden + states if name != SNAKEMAKES_OWN]
        folders[:] = [name for name in folders if name not in hidden]
    return sorted(found)
