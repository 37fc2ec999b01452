"""True masks from COCO's instances: one label mask a photograph, rasterised by pycocotools.

Everything of the file is checked here before pycocotools sees it: its C code trusts lengths, sizes and
coordinates, and a malformed one makes it write out of bounds or ask for all memory there is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco_rle

from tagseg.commandline import progress
from tagseg.datasets.coco_annotations import (
    Findings,
    annotation_file,
    entries,
    is_crowd,
    is_whole,
    shown,
)
from tagseg.datasets.problems import DatasetProblems
from tagseg.images import VOID, encode_mask
from tagseg.index import Index, Photograph
from tagseg.pools import SMALL_TASKS, in_processes

MARGIN = 5.0
"""A polygon may leave the photograph by so many pixels, as tools let it; it is cut at the border."""

MAX_OUTLINE = 2_000_000
"""Longest outline of an instance, in pixels: pycocotools takes 80 bytes a pixel of it."""

MAX_MASK_PIXELS = 2**24 - 1
"""Largest photograph with instances: from here on a run may fill 6 signs of pycocotools' compressed code,
whose buffer has no room then for the end of the text."""

PNG_FOLDER = "png"


class Instance(NamedTuple):
    """One instance or crowd region, checked: `counts` is pycocotools' compressed run-length code."""

    crowd: bool
    area: int
    number: int
    label: int
    counts: bytes


def coco_true_masks(
    root: Path, index: Index, split: str, folder: Path, *, threads: int = 1
) -> dict[str, str]:
    """Write the true masks of a split below `folder`/png, return the path (from `folder`) of each id.

    Labels are the class numbers of the index. Where instances overlap, the one of fewer pixels wins, of
    equal ones that of the higher annotation id; crowd regions are void (255) where no instance lies over
    them. A photograph without instances is all background. The paper does not say how overlaps were
    scored; smaller things mostly lie before larger ones. `threads` processes write. Raises TagsegError
    where the annotation file cannot be read, DatasetProblems with every malformed annotation.
    """
    rows = {row.id: row for row in index.of_split(split)}
    if not rows:
        return {}
    instances = read_instances(Path(root), index, split)
    folder = Path(folder)
    (folder / PNG_FOLDER).mkdir(parents=True, exist_ok=True)
    paths = {name: f"{PNG_FOLDER}/{name}.png" for name in rows}
    tasks = [(folder / paths[name], row, instances.get(name, ())) for name, row in rows.items()]
    _write_masks(tasks, threads)
    return paths


def read_instances(root: Path, index: Index, split: str) -> dict[str, list[Instance]]:
    """Return the instances of each photograph of a split, by its id. Raises as `coco_true_masks`."""
    path = annotation_file(root, split)
    findings = Findings(path.relative_to(root).as_posix())
    keys = _Keys.read(path, index, split)
    missing = {row.id for row in index.of_split(split)} - {row.id for row in keys.rows.values()}
    for name in sorted(missing):
        findings.add(f"no image {name}.*, which is in the index; build the index again")
    instances: dict[str, list[Instance]] = {}
    for key, entry in entries(path):
        row = keys.row(entry) if key == "annotations" else None
        if row is None:
            continue
        try:
            instances.setdefault(row.id, []).append(_instance(entry, row, keys.labels))
        except ValueError as error:
            findings.add(f"annotation {shown(entry.get('id'))} of {row.id}: {error}")
    if findings.all():
        raise DatasetProblems(root, findings.all())
    return instances


@dataclass(frozen=True)
class _Keys:
    """What the ids of the annotation file stand for: rows of the index, and class numbers."""

    rows: Mapping[int, Photograph]
    labels: Mapping[int, int]

    @classmethod
    def read(cls, path: Path, index: Index, split: str) -> "_Keys":
        """Read images and categories; what is wrong with them was told when the index was built."""
        by_name = {row.id: row for row in index.of_split(split)}
        numbers = {name: number for number, name in enumerate(index.classes)}
        rows: dict[int, Photograph] = {}
        labels: dict[int, int] = {}
        for key, entry in entries(path):
            if key == "annotations" or not isinstance(entry, dict) or not is_whole(entry.get("id")):
                continue
            name = str(entry.get("file_name" if key == "images" else "name"))
            if key == "images" and PurePosixPath(name).stem in by_name:
                rows[entry["id"]] = by_name[PurePosixPath(name).stem]
            elif key == "categories" and name in numbers:
                labels[entry["id"]] = numbers[name]
        return cls(rows, labels)

    def row(self, annotation: object) -> Photograph | None:
        """Return the photograph of an annotation, if the index has it."""
        image = annotation.get("image_id") if isinstance(annotation, dict) else None
        return self.rows.get(image) if is_whole(image) else None


def _instance(annotation: dict, row: Photograph, labels: Mapping[int, int]) -> Instance:
    """Check and rasterise an annotation. Raises ValueError, with the remedy, where it is malformed."""
    number, category = annotation.get("id"), annotation.get("category_id")
    if not is_whole(number):
        raise ValueError("`id` is no whole number; give it one")
    if not is_whole(category) or category not in labels:
        raise ValueError(f"`category_id` is {shown(category)}, no class of the index; build the index again")
    crowd = is_crowd(annotation)
    code = rasterise(annotation.get("segmentation"), row.height, row.width)
    return Instance(crowd, int(coco_rle.area(code)), number, labels[category], code["counts"])


def rasterise(segmentation: object, height: int, width: int) -> dict:
    """Return pycocotools' compressed run-length code of a segmentation, after checking all of it.

    It is a list of polygons [x1, y1, x2, y2, ...] in pixels, whose union counts, or {"size": [height,
    width], "counts": [...]} column by column, or the same with compressed counts, a text. Raises
    ValueError, with the remedy, where it is anything else.
    """
    if height * width > MAX_MASK_PIXELS:
        raise ValueError(f"photograph of more than {MAX_MASK_PIXELS:,} pixels; scale it down, with its masks")
    if isinstance(segmentation, list):
        polygons = _polygons(segmentation, height, width)
        return coco_rle.merge(coco_rle.frPyObjects(polygons, height, width))
    if not isinstance(segmentation, dict):
        raise ValueError(f"`segmentation` is {shown(segmentation)}; give polygons or a run-length code")
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise ValueError(
            f"run-length code of size {shown(size)}, where {[height, width]} is expected; mend it"
        )
    if isinstance(counts, str):
        counts = uncompress(counts)
    _check_counts(counts, height * width)
    return coco_rle.frPyObjects({"size": [height, width], "counts": counts}, height, width)


def _polygons(polygons: Sequence[object], height: int, width: int) -> list[list[float]]:
    """Check polygons. Raises ValueError, naming what is wrong with the first that is malformed."""
    if not polygons:
        raise ValueError("no polygon; draw one or remove the annotation")
    arrays = [_points(polygon) for polygon in polygons]
    for points in arrays:
        low, high = points.min(axis=0), points.max(axis=0)
        if (low < -MARGIN).any() or (high > (width + MARGIN, height + MARGIN)).any():
            raise ValueError(
                f"polygon from {tuple(low.tolist())} to {tuple(high.tolist())} in {width}x{height} pixels; "
                "bring it inside"
            )
    if sum(_outline(points) for points in arrays) > MAX_OUTLINE:
        raise ValueError(f"outline of more than {MAX_OUTLINE:,} pixels; simplify it")
    return [points.ravel().tolist() for points in arrays]


def _points(polygon: object) -> np.ndarray:
    """Return a polygon as float64 (points, 2). Raises ValueError where it is none."""
    if not isinstance(polygon, list) or not set(map(type, polygon)) <= {int, float}:
        raise ValueError(f"polygon {shown(polygon)}; give a list of numbers x1, y1, x2, y2, ...")
    if len(polygon) % 2 or len(polygon) < 6:
        raise ValueError(f"polygon of {len(polygon)} numbers; give x and y of three points at least")
    try:
        points = np.array(polygon, np.float64).reshape(-1, 2)
    except OverflowError:
        raise ValueError("polygon with an absurdly long number; mend it") from None
    if not np.isfinite(points).all():
        raise ValueError("polygon with NaN or infinity; mend it")
    return points


def _outline(points: np.ndarray) -> float:
    """Return the length of a closed outline by its longer components, as pycocotools steps along it."""
    steps = np.abs(np.diff(points, axis=0, append=points[:1]))
    return float(steps.max(axis=1).sum()) + len(points)


def uncompress(text: str) -> list[int]:
    """Return the run lengths of COCO's compressed code: 5 bits a sign, from the third on as differences.

    Raises ValueError where a sign is not of the code, the text ends within a number, or a run is absurd.
    """
    counts: list[int] = []
    number, shift = 0, 0
    for sign in text:
        bits = ord(sign) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError("compressed run-length code that is damaged; mend it")
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        number -= (bits & 16) << (shift - 4)
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number, shift = 0, 0
    if shift:
        raise ValueError("compressed run-length code that is cut off; mend it")
    return counts


def _check_counts(counts: object, pixels: int) -> None:
    """Raise ValueError where run lengths are no list of whole numbers that add up to the pixels."""
    if not isinstance(counts, list) or not all(is_whole(count, 0, pixels) for count in counts):
        raise ValueError("run-length code with counts that are no numbers of pixels; mend it")
    if sum(counts) != pixels:
        raise ValueError(f"run-length code of {sum(counts):,} pixels, where {pixels:,} are expected; mend it")


def paint(height: int, width: int, instances: Iterable[Instance]) -> np.ndarray:
    """Return the label mask uint8 (height, width): crowd first, then instances from large to small."""
    mask = np.zeros((height, width), np.uint8)
    order = sorted(instances, key=lambda one: (not one.crowd, -one.area, one.number))
    for one in order:
        inside = coco_rle.decode({"size": [height, width], "counts": one.counts})
        mask[inside.view(bool)] = VOID if one.crowd else one.label
    return mask


def _write_mask(task: tuple[Path, Photograph, Sequence[Instance]]) -> None:
    path, row, instances = task
    path.write_bytes(encode_mask(paint(row.height, row.width, instances)))


def _write_masks(tasks: Sequence[tuple], processes: int) -> None:
    """Write all masks: pycocotools holds the GIL, so in processes, not threads."""
    made = in_processes(_write_mask, tasks, processes, SMALL_TASKS)
    for _ in progress(made, "true masks made", len(tasks)):
        pass
