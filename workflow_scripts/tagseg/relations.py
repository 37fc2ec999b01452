"""What the outputs of a run say of each other: was each made with what lies beside it, and does none lack?

Masks name the patterns or the network that they were made with, features and CAM the classifier, scores the
masks and the index. What was found wrong in itself is never held against what was made with it.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from tagseg.index import Index, read_index
from tagseg.nodes import CAM_SEED, TRUE_SEED
from tagseg.verification import CLASSIFIER, Problem, Tree, target


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
    return Problem(text, target(results, source))


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
