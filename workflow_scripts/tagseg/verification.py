"""Reading the whole tree of a run: is every output there, whole, and made with what lies beside it?

`examine` reads outputs one by one, `relations` compares what they say of each other: masks name the patterns
or the network that they were made with, features and CAM the classifier, scores the masks and the index.
"""

import csv
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
from tagseg.true_masks import TABLE, read_true_masks

CLASSIFIER = "classifier/checkpoint.pth"
SNAKEMAKES_OWN = ".snakemake_timestamp"


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
    """Return (folder of the run, path below it, pattern in READERS) of every output that is there."""
    paths = ((path.relative_to(results), pattern) for pattern in READERS for path in results.glob(pattern))
    return sorted((results, str(path), pattern) for path, pattern in paths if not _is_hidden(path))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def examine(results: Path, processes: int) -> Iterator[tuple[str, Found]]:
    """Yield the path below `results` and what was found, of every output of a run."""
    tasks = outputs(results)
    yield from zip((path for _, path, _ in tasks), in_processes(_examine, tasks, processes), strict=True)


def _examine(task: tuple[Path, str, str]) -> Found:
    results, name, pattern = task
    path, found = results / name, []
    problem = _problem(lambda: found.append(READERS[pattern](path)), str(path))
    return Found(problems=(problem,)) if problem else found[0]


def _problem(read: Callable[[], object], again: str) -> Problem | None:
    """Call `read`; return what is wrong where it fails, None where it does not."""
    try:
        read()
    except TagsegError as error:
        return Problem(str(error), again)
    except OSError as error:
        return Problem(f"{error.filename or again}: {error.strerror}; delete {again} and run again", again)
    return None


def relations(results: Path, tree: Tree) -> Iterator[Problem]:
    """Yield what is wrong between the outputs of a run."""
    sound = {name: found for name, found in tree.items() if not found.problems}
    sets = shard_sets(tree)
    yield from _origins(results, sound, tree)
    yield from _labels(results, sound, sets)
    yield from _scored(results, sound, sets)
    yield from _companions(results, tree)
    if "index" in sound:
        yield from _coverage(results, read_index(results / "index"), sound, sets)


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
    for source, name in missing.items():
        text = f"{results / source}: missing, though {results / name} was made with it; make it again"
        yield Problem(text, str(results / source))


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


def _scored(results: Path, sound: Tree, sets: Mapping[str, list[str]]) -> Iterator[Problem]:
    for name, found in sound.items():
        if not name.startswith("scores/"):
            continue
        scored, truths = scored_set(name), f"true_masks/{found.inputs['split']}"
        if _other_masks(found.inputs["masks"], sound, sets.get(scored, [])):
            yield _stale(results, name, f"scores of other masks than {results / scored}")
        for source, key in (("index", "index"), (truths, "true_masks")):
            if source in sound and found.inputs.get(key) != sound[source].digest:
                yield _stale(results, name, f"scored with another version of {results / source}")


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
    """Yield the shards that hold other photographs than the index, or each other's, and those that lack."""
    count = 1 + max((_number(shard) for shards in sets.values() for shard in shards), default=0)
    for folder, shards in sets.items():
        expected, held = _photographs(folder, index), {}
        for shard in sorted((one for one in shards if one in sound), key=_number):
            yield from _strangers(results, shard, sound[shard].ids, expected, held)
            held.update(dict.fromkeys(sound[shard].ids, shard))
        if expected - held.keys() and not folder.endswith(f"/{TRUE_SEED}"):  # not all have a true mask
            gaps = sorted(set(range(count)) - {_number(shard) for shard in shards})
            yield from (_gap(results / folder, shards[0], number) for number in gaps)


def _strangers(
    results: Path, shard: str, ids: Sequence[str], expected: set[str], held: Mapping[str, str]
) -> Iterator[Problem]:
    doubled = next((name for name in ids if name in held), None)
    if doubled is not None:
        yield _stale(results, shard, f"{doubled} is in {results / held[doubled]} too")
    elif not expected.issuperset(ids):
        yield _stale(results, shard, "of other photographs than the index")


def _number(shard: str) -> int:
    return int(PurePosixPath(shard).stem.removeprefix("shard-"))


def _photographs(folder: str, index: Index) -> set[str]:
    """Return the ids that a set of shards has to hold."""
    stage, *words = folder.split("/")
    rows = index.of_split(words[-1] if stage in ("logits", "predictions") else "train")
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
