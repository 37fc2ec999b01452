"""A devkit and an SBD of the true size, from the published tags: the numbers are those published."""

import csv
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import write_photograph
from tagseg.datasets import voc
from tagseg.datasets.voc import VOC_CLASSES, index_voc
from tagseg.subsets import draw_subset

TABLE = Path(__file__).parents[3] / "shared" / "data" / "voc12_tags.csv"

pytestmark = pytest.mark.skipif(
    not TABLE.is_file(), reason="shared/data/voc12_tags.csv is not beside the repository"
)

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


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    with open(TABLE, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def root(rows, tmp_path_factory) -> Iterator[Path]:
    """A folder with VOCdevkit/VOC2012 and benchmark_RELEASE/dataset; all photographs are one file."""
    root = tmp_path_factory.mktemp("voc")
    devkit = root / "VOCdevkit" / "VOC2012"
    for name in ("JPEGImages", "Annotations"):
        (devkit / name).mkdir(parents=True)
    photograph = write_photograph(root / "one.jpg", 16, 12)
    for number, row in enumerate(rows):
        os.link(photograph, devkit / "JPEGImages" / f"{row['image']}.jpg")
        text = annotation(row["image"], row["labels"].split(";"), number)
        (devkit / "Annotations" / f"{row['image']}.xml").write_text(text, encoding="utf-8")
    write_lists(
        root, devkit, {s: [r["image"] for r in rows if r["split"] == s] for s in ("train", "aug", "val")}
    )
    yield root
    shutil.rmtree(root)  # 24,000 files that pytest would keep for three sessions


def write_lists(root: Path, devkit: Path, names: dict[str, list[str]]) -> None:
    """Write VOC's and SBD's lists; SBD's hold most of VOC's train and val too, mixed, and untidy lines."""
    for split in ("train", "val"):
        write_list(devkit / "ImageSets" / "Segmentation" / f"{split}.txt", names[split])
    mixed = sorted([*names["aug"], *names["train"][::2], *names["val"][::3], *names["val"][1::3]])
    sbd = root / "benchmark_RELEASE" / "dataset"
    write_list(sbd / "train.txt", [name for place, name in enumerate(mixed) if place % 4], "\r\n")
    write_list(sbd / "val.txt", mixed[::4], "  \n")


@pytest.fixture(scope="module")
def index(root):
    return index_voc(root, train_list="trainaug", sbd=root / "benchmark_RELEASE", counts_known=True)


def test_the_numbers_of_the_published_set(index):
    train = index.of_split("train")
    assert (len(train), len(index.of_split("val")), len(index.photographs)) == (10582, 1449, 12031)
    assert f"{sum(len(row.tags) for row in train) / len(train):.3f}" == "1.555"
    assert sum(len(row.tags) == 1 for row in train) == 6249
    assert index.classes == ("background", *VOC_CLASSES)


def test_every_photograph_has_the_published_split_and_tags(index, rows):
    assert {row.id: (row.split, set(row.tags)) for row in index.photographs} == {
        row["image"]: ("val" if row["split"] == "val" else "train", set(row["labels"].split(";")))
        for row in rows
    }


def test_five_classes_exceed_the_papers_cap(index):
    counts = Counter(tag for row in index.of_split("train") for tag in row.tags)
    train = index.of_split("train")
    sizes = {tag: len(draw_subset(train, tag, 800, 0)) for tag in VOC_CLASSES}
    capped = {"car", "cat", "chair", "dog", "person"}
    assert {tag for tag in VOC_CLASSES if sizes[tag] < counts[tag]} == capped
    assert {tag: 800 if tag in capped else counts[tag] for tag in VOC_CLASSES} == sizes


def test_vocs_own_lists(root):
    index = index_voc(root, counts_known=True)
    assert (len(index.of_split("train")), len(index.of_split("val"))) == (1464, 1449)


def test_deviations_are_told_one_by_one(root, monkeypatch):
    published = {**voc.PUBLISHED_PHOTOGRAPHS, "train": 1463, "trainaug": 10581}
    monkeypatch.setattr(voc, "PUBLISHED_PHOTOGRAPHS", published)
    monkeypatch.setattr(voc, "PUBLISHED_MEAN_TAGS", "1.554")
    monkeypatch.setattr(voc, "PUBLISHED_SINGLE_CLASS", 6248)
    with pytest.raises(voc.DatasetProblems) as caught:
        index_voc(root, train_list="trainaug", sbd=root / "benchmark_RELEASE", counts_known=True)
    remedy = "unpack the data set again, or set dataset.counts_known: false"
    lists = root / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation"
    assert [(problem.place, problem.text) for problem in caught.value.problems] == [
        (str(lists / "train.txt"), f"1,464 photographs, where the published set has 1,463; {remedy}"),
        ("trainaug", f"1.555 tags a photograph, where the published set has 1.554; {remedy}"),
        ("trainaug", f"10,582 photographs, where the published set has 10,581; {remedy}"),
        ("trainaug", f"6,249 photographs of a single class, where the published set has 6,248; {remedy}"),
    ]
