"""Ground truth from COCO's instances: one label mask per image, rasterised by pycocotools.

Segmentations are checked before pycocotools reads them: its C code trusts coordinates and lengths, and a
malformed one makes it write out of bounds or allocate all memory.
"""

import logging
import re
import reprlib
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_rle

from tagseg.datasets.coco.annotations import Annotation, name_of, read_annotations
from tagseg.datasets.coco.layout import SPLITS, find_halves
from tagseg.datasets.image_checks import PLENTY
from tagseg.datasets.problems import DatasetProblems, Problem
from tagseg.runtime.commandline import progress
from tagseg.runtime.pools import SMALL_TASKS, in_processes
from tagseg.storage.images import VOID, encode_mask, turn_upright
from tagseg.storage.index import ImageRecord, Index, normal_form

log = logging.getLogger(__name__)

MARGIN = 5.0
"""Pixels by which a polygon may leave the image, as annotation tools allow; it is cut at the border."""

MAX_OUTLINE = 2_000_000
"""Longest outline of an instance in pixels: pycocotools takes 80 bytes per pixel of it."""

MAX_MASK_PIXELS = 2**24 - 1
"""Largest image with instances: a longer run may need 6 characters of pycocotools' compressed code, which
overflows its buffer."""

_RUNS = re.compile("[P-o]{0,5}[0-O]")  # one number of the compressed code, 5 bits per character


Size = tuple[int, int]
"""Height and width in pixels."""


class Instance(NamedTuple):
    """An instance or crowd region; `counts` is pycocotools' compressed run-length code."""

    crowd: bool
    area: int
    id: int
    label: int
    counts: bytes


def coco_ground_truth(
    root: Path, index: Index, split: str, folder: Path, *, threads: int = 1, **named: str | None
) -> dict[str, str]:
    """Write the ground truth of a split below `folder`/png; return the path (from `folder`) of each id.

    Where instances overlap, the one of fewer pixels wins, then the higher annotation id: smaller things are mostly
    in front (the paper does not state it). Crowd regions are void (255) where no instance covers them. Raises
    TagsegError where the annotation file cannot be read, DatasetProblems with every malformed annotation.
    """
    rows = {row.id: row for row in index.of_split(split)}
    if not rows or split not in SPLITS:
        return {}
    path = find_halves(Path(root), named)[split].json
    sizes, instances = read_instances(Path(root), path, index, split)
    (Path(folder) / "png").mkdir(parents=True, exist_ok=True)
    # An image with an object that has no outline, a box alone, has no ground truth.
    paths = {name: f"png/{name}.png" for name in rows if None not in instances.get(name, ())}
    tasks = [
        (Path(folder, paths[name]), row, sizes[name], [one for one in instances.get(name, ()) if one])
        for name, row in rows.items()
        if name in paths
    ]
    # pycocotools holds the GIL: processes, not threads.
    for _ in progress(in_processes(_write_mask, tasks, threads, SMALL_TASKS), "ground truth", len(tasks)):
        pass
    return paths


def _write_mask(task: tuple[Path, ImageRecord, Size, Sequence[Instance]]) -> None:
    path, row, size, instances = task
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = paint(*size, instances)
    if size != (row.height, row.width):  # the annotations ignore the image's EXIF rotation
        mask = turn_upright(mask, row.path)
    path.write_bytes(encode_mask(mask))


def read_instances(
    root: Path, path: Path, index: Index, split: str
) -> tuple[dict[str, Size], dict[str, list[Instance | None]]]:
    """Return the annotated size and the instances of each image of a split by its id; None for a box alone.

    Raises as `coco_ground_truth`.
    """
    content = read_annotations(root, path, segmentations=True)
    by_name = {row.id: row for row in index.of_split(split)}
    images = {image.id: image for image in content.images if image.stem in by_name}
    sizes = {image.stem: (image.height, image.width) for image in images.values()}
    label_of = {normal_form(name): label for label, name in enumerate(index.classes)}
    labels = {one.id: label_of.get(normal_form(one.name)) for one in content.categories}
    missing = sorted(by_name.keys() - sizes.keys())
    texts = [f"no image {name}.*, which is in the index. Build the index again." for name in missing]
    instances: dict[str, list[Instance | None]] = {}
    # Some tools (CVAT's brush) export every object as a crowd. COCO has 1 % of them.
    all_crowd = len(content.annotations) >= PLENTY and all(one.iscrowd for one in content.annotations)
    if all_crowd:
        log.warning("%s: every object has iscrowd 1; read as objects", path)
    for one in content.annotations:
        if (image := images.get(one.image_id)) and (label := labels.get(one.category_id)):
            try:
                instance = _instance(one, (image.height, image.width), label, all_crowd)
                instances.setdefault(image.stem, []).append(instance)
            except ValueError as error:
                texts.append(f"annotation {one.id} of {image.stem}: {error}")
    if texts:
        raise DatasetProblems(root, [Problem(name_of(root, path), 0, text) for text in texts])
    return sizes, instances


def _instance(annotation: Annotation, size: Size, label: int, all_crowd: bool) -> Instance | None:
    """Rasterise an annotation; None without an outline. Raises ValueError, with the remedy, if it is malformed."""
    if annotation.segmentation in (None, []):
        return None
    code = rasterise(annotation.segmentation, *size)
    area = int(coco_rle.area(code))
    return Instance(bool(annotation.iscrowd) and not all_crowd, area, annotation.id, label, code["counts"])


def rasterise(segmentation: Any, height: int, width: int) -> dict:
    """Return pycocotools' compressed run-length code of polygons (their union) or of a run-length code.

    Raises ValueError, with the remedy, where the segmentation is anything else.
    """
    if height * width > MAX_MASK_PIXELS:
        raise ValueError(f"the image has more than {MAX_MASK_PIXELS:,} pixels. Scale it down with its masks.")
    if isinstance(segmentation, list) and segmentation:
        polygons = _polygons(segmentation, height, width)
        return coco_rle.merge(coco_rle.frPyObjects(polygons, height, width))
    if not isinstance(segmentation, dict):
        text = reprlib.repr(segmentation)
        raise ValueError(f"segmentation is {text}, neither polygons nor a run-length code. Correct it.")
    return coco_rle.frPyObjects({**segmentation, "counts": _counts(segmentation, height, width)}, height, width)


def _counts(segmentation: dict, height: int, width: int) -> list[int]:
    """Return the run lengths of a run-length code. Raises ValueError where they do not fill the image."""
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        text = f"run-length code of size {reprlib.repr(size)}"
        raise ValueError(f"{text}, but the image has {[height, width]}. Correct it.")
    counts = uncompress(counts) if isinstance(counts, str) else counts
    if not isinstance(counts, list) or any(type(one) is not int or one < 0 for one in counts):
        raise ValueError("run-length code whose counts are not numbers of pixels. Correct it.")
    if sum(counts) != height * width:
        text = f"run-length code of {sum(counts):,} pixels"
        raise ValueError(f"{text}, but the image has {height * width:,}. Correct it.")
    return counts


def _polygons(polygons: list, height: int, width: int) -> list[list[float]]:
    """Check polygons. Raises ValueError for the first that is malformed."""
    arrays = [_points(polygon) for polygon in polygons]
    low = np.min([points.min(axis=0) for points in arrays], axis=0)
    high = np.max([points.max(axis=0) for points in arrays], axis=0)
    if (low < -MARGIN).any() or (high > (width + MARGIN, height + MARGIN)).any():
        extent = f"a polygon reaches from {tuple(low.tolist())} to {tuple(high.tolist())}"
        raise ValueError(f"{extent}, but the image has {width}x{height} pixels. Move it inside.")
    if sum(map(_outline, arrays)) > MAX_OUTLINE:
        raise ValueError(f"the outline is longer than {MAX_OUTLINE:,} pixels. Simplify it.")
    return [points.ravel().tolist() for points in arrays]


def _points(polygon: Any) -> np.ndarray:
    """Return a polygon as float64 (points, 2). Raises ValueError where it is not one."""
    try:
        points = np.array(polygon if isinstance(polygon, array) else array("d", polygon))
    except (TypeError, OverflowError):
        points = np.empty(0)
    if len(points) % 2 or len(points) < 6 or not np.isfinite(points).all():
        raise ValueError("a polygon is not a list of finite numbers x1, y1, x2, y2, x3, y3, .... Correct it.")
    return points.reshape(-1, 2)


def _outline(points: np.ndarray) -> float:
    """Return the length of a closed outline by its longer components, the steps of pycocotools."""
    steps = np.abs(np.diff(points, axis=0, append=points[:1]))
    return float(steps.max(axis=1).sum()) + len(points)


def uncompress(text: str) -> list[int]:
    """Return the run lengths of COCO's compressed code: from the fourth on, differences to the last but one.

    Raises ValueError where the text is not such a code.
    """
    if not re.fullmatch(f"(?:{_RUNS.pattern})*", text):
        raise ValueError("the compressed run-length code is damaged. Correct it.")
    counts: list[int] = []
    for run in _RUNS.findall(text):
        digits = [ord(char) - 48 for char in run]
        value = sum((digit & 31) << (5 * position) for position, digit in enumerate(digits))
        value -= (1 << (5 * len(digits))) if digits[-1] & 16 else 0
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts


def paint(height: int, width: int, instances: Iterable[Instance]) -> np.ndarray:
    """Return the label mask, uint8 (height, width): crowds first, then instances from large to small."""
    mask = np.zeros((height, width), np.uint8)
    for one in sorted(instances, key=lambda one: (not one.crowd, -one.area, one.id)):
        inside = coco_rle.decode({"size": [height, width], "counts": one.counts})
        mask[inside.view(bool)] = VOID if one.crowd else one.label
    return mask
