"""Time and memory of COCO 2017's index, read entry by entry, against json.load of the whole file.

    python benchmarks/coco_index.py
    python benchmarks/coco_index.py --keep FOLDER

Writes a data set of COCO 2017's size and structure (118,287 + 5,000 empty image files, 860,001 + 36,781
annotations, 448 MiB of JSON for train), indexes it in a fresh process, then with the naive reader in another, and
checks that both find the same tags. With --keep the data set is written into FOLDER, left there, and nothing is
measured.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import Row

from tagseg.datasets.coco.coco import index_coco

COUNTS = {"train": (118_287, 1_021, 860_001, 10_000), "val": (5_000, 48, 36_781, 446)}
"""Images, those of them without instance, annotations, those of them that are crowd regions."""

CATEGORY_IDS = [number for number in range(1, 91) if number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]
WIDTH, HEIGHT = 640, 480
READERS = ("ours", "json.load")


def main() -> None:
    arguments = parse_arguments()
    if arguments.read:
        print(json.dumps(read(arguments.read, arguments.root)))
    elif arguments.keep:
        write_data_set(arguments.keep)
    else:
        for row in rows():
            print(f"{row.what}: {row.ours:.1f} {row.unit}; {row.alternative}: {row.theirs:.1f}; ratio {row.ratio:.2f}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the data set there, and leave it")
    parser.add_argument("--read", choices=READERS, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def write_data_set(root: Path) -> None:
    """Write annotations/instances_*2017.json and the folders of empty images, the same each time."""
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    first = 1
    for split, (images, bare, annotations, crowds) in COUNTS.items():
        ids = np.sort(rng.choice(290_000, images, replace=False) * 2 + first)
        first = 0  # odd ids are train's, even ones val's
        touch_images(root / f"{split}2017", ids)
        path = root / "annotations" / f"instances_{split}2017.json"
        with open(path, "w", encoding="utf-8") as stream:
            stream.write('{"info": {"description": "generated", "year": 2017},"licenses": [],"images": [')
            write_joined(stream, (image_entry(number) for number in ids))
            stream.write('],"annotations": [')
            write_joined(stream, annotation_entries(rng, ids[bare:], annotations, crowds))
            categories = [{"supercategory": "thing", "id": n, "name": f"class {n}"} for n in CATEGORY_IDS]
            stream.write(f'],"categories": {json.dumps(categories)}}}')


def write_joined(stream, entries: Iterator[str]) -> None:
    stream.writelines(f",{entry}" if number else entry for number, entry in enumerate(entries))


def touch_images(folder: Path, ids: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    for number in ids:
        (folder / f"{number:012}.jpg").touch()


def image_entry(number: int) -> str:
    address = "http://images.example.org/train2017"
    return (
        f'{{"license": 3,"file_name": "{number:012}.jpg","coco_url": "{address}/{number:012}.jpg",'
        f'"height": {HEIGHT},"width": {WIDTH},"date_captured": "2013-11-14 11:18:45",'
        f'"flickr_url": "http://photos.example.org/9/{number:010}_c2a5c2b5f9_z.jpg","id": {number}}}'
    )


def annotation_entries(rng: np.random.Generator, ids: np.ndarray, count: int, crowds: int) -> Iterator[str]:
    """Yield `count` annotations; every image of `ids` has one at least, the last ones are crowds."""
    owners = np.concatenate([ids, rng.choice(ids, count - len(ids))])
    categories = rng.choice(CATEGORY_IDS, count)
    for place, (owner, category) in enumerate(zip(owners.tolist(), categories.tolist(), strict=True)):
        crowd = place >= count - crowds
        segmentation = crowd_region(rng) if crowd else outline(rng)
        yield (
            f'{{"segmentation": {segmentation},"area": {rng.random() * 1e5:.12f},"iscrowd": {int(crowd)},'
            f'"image_id": {owner},"bbox": [{rng.random() * 400:.2f},{rng.random() * 300:.2f},199.84,77.71],'
            f'"category_id": {category},"id": {2 * place + 37}}}'
        )


def outline(rng: np.random.Generator) -> str:
    """Return a polygon around a random centre, as long as COCO's are in the mean (26 points)."""
    points = 4 + int(rng.gamma(1.2, 19.4))
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    radii = rng.uniform(10, 200) * rng.uniform(0.8, 1, points)
    x = (rng.uniform(0, WIDTH) + radii * np.cos(angles)).clip(0, WIDTH)
    y = (rng.uniform(0, HEIGHT) + radii * np.sin(angles)).clip(0, HEIGHT)
    numbers = np.stack([x, y], axis=1).ravel().round(2).tolist()
    return f"[[{','.join(map(str, numbers))}]]"


def crowd_region(rng: np.random.Generator) -> str:
    """Return an uncompressed RLE of a few hundred runs."""
    ends = np.sort(rng.choice(WIDTH * HEIGHT, 300, replace=False))
    counts = np.diff(ends, prepend=0, append=WIDTH * HEIGHT).tolist()
    return json.dumps({"counts": counts, "size": [HEIGHT, WIDTH]}, separators=(",", ": "))


def rows() -> Iterator[Row]:
    """Yield the time and the peak memory of both readers."""
    with tempfile.TemporaryDirectory(prefix="coco-") as folder:
        write_data_set(Path(folder))
        ours, theirs = (measure(name, Path(folder)) for name in READERS)
    assert ours["tags"] == theirs["tags"], (ours, theirs)
    what = "index of COCO 2017's size, 896,782 annotations"
    yield Row(what, ours["seconds"], "`json.load`, nothing checked", theirs["seconds"])
    yield Row(f"{what}: peak memory", ours["peak_mb"], "`json.load`", theirs["peak_mb"], "MB")


def measure(reader: str, root: Path) -> dict:
    command = [sys.executable, __file__, "--read", reader, "--root", str(root)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def read(reader: str, root: Path) -> dict:
    """Return the seconds, the peak memory (MB) of this process, and a digest-like sum of the tags."""
    started = time.perf_counter()
    tags = tags_by_index(root) if reader == "ours" else tags_by_loading(root)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"seconds": seconds, "peak_mb": peak, "tags": sum(len(own) for own in tags.values())}


def tags_by_index(root: Path) -> dict[str, tuple[str, ...]]:
    return {row.id: row.tags for row in index_coco(root, counts_known=True).images}


def tags_by_loading(root: Path) -> dict[str, set[str]]:
    """Return the tags as most code for COCO finds them: the whole file at once, nothing checked."""
    tags = {}
    for split in COUNTS:
        path = root / "annotations" / f"instances_{split}2017.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        names = {entry["id"]: entry["name"] for entry in content["categories"]}
        own = {entry["id"]: set() for entry in content["images"]}
        for entry in content["annotations"]:
            own[entry["image_id"]].add(names[entry["category_id"]])
        tags |= {f"{number:012}": found for number, found in own.items()}
    return tags


if __name__ == "__main__":
    main()
