"""Reading the whole tree of a run: is every output there, whole, and made with what lies beside it?

`examine` reads outputs one by one and compares each with its seal, `relations` compares what they say of
each other: masks name the patterns or the network that they were made with, features and CAM the classifier,
scores the masks and the index. What is found wrong in itself is never held against what was made with it.
"""

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from tagseg.cam_shards import cam_origin, read_cam
from tagseg.checkpoints import load_checkpoint
from tagseg.errors import TagsegError
from tagseg.files import digest, read_json
from tagseg.images import read_mask, read_photograph
from tagseg.index import Index, read_index
from tagseg.map_shards import MapShard
from tagseg.mask_shards import MANIFEST, mask_origin, read_mask_shards
from tagseg.nodes import CAM_SEED, TRUE_SEED
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
    found, target = [Found()], _target(results, name)
    problem = _problem(lambda: found.append(READERS[pattern](results / name)), target) if pattern else None
    if problem or found[-1].problems:
        return Found(problems=(problem,)) if problem else found[-1]
    texts: list[str] = []
    problem = _problem(lambda: texts.extend(broken(results, name)), target)
    altered = [Problem(text, target) for text in texts]
    return replace(found[-1], problems=(*altered, *([problem] if problem else [])))


def _target(results: Path, name: str) -> str:
    """Return the output to ask Snakemake for: of the index, whose files are outputs one by one, the first."""
    return str(results / ("index/index.csv" if name == "index" else name))


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


def relations(results: Path, tree: Tree) -> Iterator[Problem]:
    """Yield what is wrong between the outputs of a run."""
    sound = {name: found for name, found in tree.items() if not found.problems}
    sets = shard_sets(tree)
    yield from _origins(results, sound, tree)
    yield from _labels(results, sound, sets)
    yield from _scored(results, sound, tree, sets)
    yield from _companions(results, tree)
    if "index" in sound:
        yield from _coverage(results, read_index(results / "index"), sound, sets)
    elif "index" not in tree:
        yield _missing(results, "index", min(tree))


def shard_sets(tree: Tree) -> dict[str, list[str]]:
    """Return the shards of each set, by its folder: `cam`, `features/blocks.6`, ..."""
    sets = defaultdict(list)
    for name in tree:
        if PurePosixPath(name).name.startswith("shard-"):
            sets[str(PurePosixPath(name).parent)].append(name)
    return dict(sets)


def made_with(name: str) -> str | None:
    """Return the output whose digest another has to name as its origin; None where it names none."""
    stage, *words = name.split("/")
    if stage in ("features", "cam", "patterns") or (stage.endswith("_masks") and words[0] == CAM_SEED):
        return CLASSIFIER
    if stage in ("seed_masks", "proxy_masks") and words[0] != TRUE_SEED:
        return f"patterns/{words[0]}"
    if stage in ("logits", "predictions"):
        return "/".join(("segmenter", *words[:3], "checkpoint.pth"))
    return None


def _origins(results: Path, sound: Tree, tree: Tree) -> Iterator[Problem]:
    missing: dict[str, str] = {}
    for name, found in sound.items():
        source = made_with(name)
        if source is not None and source not in tree:
            missing.setdefault(source, name)
        elif source in sound and found.origin != sound[source].digest:
            yield _stale(results, name, f"made with another version of {results / source}")
    yield from (_missing(results, source, name) for source, name in missing.items())


def _stale(results: Path, name: str, what: str) -> Problem:
    return Problem(f"{results / name}: {what}; delete it and run again", str(results / name))


def labels_of(name: str) -> str:
    """Return the set of masks that a segmenter's checkpoint was trained on."""
    _, seed, backbone, number, _ = name.split("/")
    before = int(number.removeprefix("round")) - 1
    return f"predictions/{seed}/{backbone}/round{before}/train" if before else f"proxy_masks/{seed}"


def _labels(results: Path, sound: Tree, sets: Mapping[str, list[str]]) -> Iterator[Problem]:
    for name, found in sound.items():
        if name.startswith("segmenter/") and found.inputs.get("masks") is not None:
            labels = labels_of(name)
            if _other_masks(found.inputs["masks"], sound, sets.get(labels, [])):
                yield _stale(results, name, f"trained on other masks than {results / labels}")


def _other_masks(digests: Collection[str], sound: Tree, shards: Iterable[str]) -> bool:
    """Say whether a shard is another than it was; what is damaged or missing is told elsewhere."""
    return any(sound[shard].digest not in digests for shard in shards if shard in sound)


def scored_set(name: str) -> str:
    """Return the set of masks of which a file has the scores."""
    first, *words = PurePosixPath(name).with_suffix("").parts[1:]
    seeds = first in ("seed_masks", "proxy_masks")
    return "/".join((first, *words) if seeds else ("predictions", *words, first))


def _scored(results: Path, sound: Tree, tree: Tree, sets: Mapping[str, list[str]]) -> Iterator[Problem]:
    for name, found in sound.items():
        if not name.startswith("scores/"):
            continue
        scored, truths = scored_set(name), f"true_masks/{found.inputs['split']}"
        if _other_masks(found.inputs["masks"], sound, sets.get(scored, [])):
            yield _stale(results, name, f"scores of other masks than {results / scored}")
        if truths not in tree:
            yield _missing(results, truths, name)
        for source, key in (("index", "index"), (truths, "true_masks")):
            if source in sound and found.inputs.get(key) != sound[source].digest:
                yield _stale(results, name, f"scored with another version of {results / source}")


def _missing(results: Path, source: str, name: str) -> Problem:
    text = f"{results / source}: missing, though {results / name} was made with it; make it again"
    return Problem(text, _target(results, source))


COMPANIONS = {
    "classifier": ("checkpoint.pth", "training.json", "average_precision.json"),
    "segmenter": ("checkpoint.pth", "training.json"),
}


def _companions(results: Path, tree: Tree) -> Iterator[Problem]:
    """Yield what is missing of the outputs that one job writes together."""
    for folder in sorted({str(PurePosixPath(name).parent) for name in tree}):
        for name in COMPANIONS.get(folder.split("/")[0], ()):
            path = f"{folder}/{name}"
            if path not in tree:
                what = f"{results / path}: missing, though the other files of its job are there; run again"
                yield Problem(what, str(results / path))


def _coverage(results: Path, index: Index, sound: Tree, sets: Mapping[str, list[str]]) -> Iterator[Problem]:
    """Yield the shards that hold other photographs than they should, that are too many, or that lack."""
    usual = Counter(map(len, sets.values())).most_common(1)
    for folder, shards in sets.items():
        held = {_number(shard): sound[shard].ids for shard in shards if shard in sound}
        newest = max(shards, key=lambda shard: (results / shard).stat().st_mtime_ns)
        count = _shard_count(folder, index, held, _number(newest), len(shards), usual[0][0])
        there = {_number(shard): shard for shard in shards}
        for number, shard in sorted(there.items()):
            if number >= count:
                text = "of a run with more shards than the others; delete it"
                yield Problem(f"{results / shard}: {text}")
            elif shard in sound and not _holds(folder, index, sound[shard].ids, number, count):
                yield _stale(results, shard, f"of other photographs than shard {number} of {count}")
        gaps = [number for number in range(count) if number not in there]
        yield from (_gap(results / folder, shards[0], number) for number in gaps)


def _shard_count(
    folder: str, index: Index, held: Mapping[int, Sequence[str]], newest: int, there: int, usual: int
) -> int:
    """Return of how many shards a set was made: what most of those `held` fit; of equals, the newest one.

    Each set tells for itself, since not all are made anew at once where `shards` was changed. Where that
    leaves a choice, it is the number that are there, or that most sets have.
    """

    def fitting(count: int) -> tuple[int, bool, bool, bool]:
        fit = {n for n, ids in held.items() if n < count and _holds(folder, index, ids, n, count)}
        return len(fit), newest in fit, count == there, count == usual

    return max(range(1, 1 + max(usual, there, *(n + 1 for n in held))), key=fitting)


def _holds(folder: str, index: Index, ids: Sequence[str], number: int, count: int) -> bool:
    """Say whether a shard holds the photographs of its number; of true masks, no others."""
    expected = _photographs(folder, index, number, count)
    return set(ids) <= expected if folder.endswith(f"/{TRUE_SEED}") else set(ids) == expected


def _number(shard: str) -> int:
    return int(PurePosixPath(shard).stem.removeprefix("shard-"))


def _photographs(folder: str, index: Index, number: int, count: int) -> set[str]:
    """Return the ids that a shard of a set has to hold, of so many."""
    stage, *words = folder.split("/")
    rows = index.shard(words[-1] if stage in ("logits", "predictions") else "train", number, count)
    return {row.id for row in rows if row.tags or stage != "cam"}


def _gap(folder: Path, shard: str, number: int) -> Problem:
    path = folder / f"shard-{number}{PurePosixPath(shard).suffix}"
    return Problem(f"{path}: missing, though other shards are there; make it again", str(path))


def leftovers(results: Path) -> list[Path]:
    """Return what killed writers left: hidden files and folders, and states of trainings. They do no harm."""
    found = []
    for place, folders, files in os.walk(results):
        hidden = [name for name in folders if name.startswith(".")]
        states = [name for name in files if name.startswith(".") or name.endswith(".resume")]
        found += [Path(place, name) for name in hidden + states if name != SNAKEMAKES_OWN]
        folders[:] = [name for name in folders if name not in hidden]
    return sorted(found)
