"""PASCAL VOC 2012 and SBD at their true size, made of the published tags and one small photograph."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from helpers import write_photograph

TABLE = Path(__file__).parents[2] / "shared" / "data" / "voc12_tags.csv"
"""Names, splits (train, aug, val) and tags of the published set, where it is beside the repository."""

# The form of VOC 2012's annotations, as its devkit writes them: tabs, an object a tag and a box.
OBJECT = """\t<object>
\t\t<name>{name}</name>
\t\t<pose>Unspecified</pose>
\t\t<truncated>0</truncated>
\t\t<difficult>{difficult}</difficult>
\t\t<bndbox>
\t\t\t<xmin>174</xmin>
\t\t\t<ymin>101</ymin>
\t\t\t<xmax>349</xmax>
\t\t\t<ymax>351</ymax>
\t\t</bndbox>
{parts}\t</object>
"""
PARTS = "\t\t<part>\n\t\t\t<name>head</name>\n\t\t</part>\n\t\t<part>\n\t\t\t<name>hand</name>\n\t\t</part>\n"
ANNOTATION = """<annotation>
\t<folder>VOC2012</folder>
\t<filename>{name}.jpg</filename>
\t<source>
\t\t<database>The VOC2007 Database</database>
\t\t<annotation>PASCAL VOC2007</annotation>
\t\t<image>flickr</image>
\t</source>
\t<size>
\t\t<width>16</width>
\t\t<height>12</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>1</segmented>
{objects}</annotation>
"""


def annotation(name: str, tags: list[str], number: int) -> str:
    """Return VOC's XML: some classes twice, some objects difficult, persons with parts."""
    things = [*tags, tags[0]] if number % 3 == 0 else tags
    objects = (
        OBJECT.format(
            name=tag, difficult=int((number + place) % 4 == 0), parts=PARTS if tag == "person" else ""
        )
        for place, tag in enumerate(things)
    )
    return ANNOTATION.format(name=name, objects="".join(objects))


def write_list(path: Path, names: list[str], end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{name}{end}" for name in names).encode())


def read_table() -> list[dict[str, str]]:
    """Return the rows of the published table: image, split, labels."""
    with open(TABLE, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def write_full_voc(root: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write VOCdevkit/VOC2012 and benchmark_RELEASE/dataset below a folder; all photographs are one file."""
    devkit = root / "VOCdevkit" / "VOC2012"
    for name in ("JPEGImages", "Annotations"):
        (devkit / name).mkdir(parents=True)
    photograph = write_photograph(root / "one.jpg", 16, 12)
    for number, row in enumerate(rows):
        os.link(photograph, devkit / "JPEGImages" / f"{row['image']}.jpg")
        text = annotation(row["image"], row["labels"].split(";"), number)
        (devkit / "Annotations" / f"{row['image']}.xml").write_text(text, encoding="utf-8")
    splits = ("train", "aug", "val")
    write_lists(root, devkit, {one: [row["image"] for row in rows if row["split"] == one] for one in splits})


def write_lists(root: Path, devkit: Path, names: dict[str, list[str]]) -> None:
    """Write VOC's and SBD's lists; SBD's hold most of VOC's train and val too, mixed, and untidy lines."""
    for split in ("train", "val"):
        write_list(devkit / "ImageSets" / "Segmentation" / f"{split}.txt", names[split])
    mixed = sorted([*names["aug"], *names["train"][::2], *names["val"][::3], *names["val"][1::3]])
    sbd = root / "benchmark_RELEASE" / "dataset"
    write_list(sbd / "train.txt", [name for place, name in enumerate(mixed) if place % 4], "\r\n")
    write_list(sbd / "val.txt", mixed[::4], "  \n")
