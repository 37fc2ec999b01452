"""A devkit and an SBD of the true size, from the published tags: the numbers are those published."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from full_voc import TABLE, read_table, write_full_voc
from tagseg.datasets.problems import DatasetProblems
from tagseg.datasets.voc import devkit as voc
from tagseg.datasets.voc.devkit import VOC_CLASSES, index_voc
from tagseg.patterns.subsets import sample_subset

pytestmark = pytest.mark.skipif(not TABLE.is_file(), reason="no table of tags beside the repository")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("voc")
    write_full_voc(root, read_table())
    yield root
    shutil.rmtree(root)  # 24,000 files that pytest would keep for three sessions


def test_the_numbers_splits_and_tags_of_the_published_set(root):
    index = index_voc(root, train_list="trainaug", sbd=root / "benchmark_RELEASE", counts_known=True)
    train = index.of_split("train")
    assert (len(train), len(index.of_split("val")), len(index.images)) == (10582, 1449, 12031)
    assert f"{sum(len(row.tags) for row in train) / len(train):.3f}" == "1.555"
    assert sum(len(row.tags) == 1 for row in train) == 6249
    assert index.classes == ("background", *VOC_CLASSES)
    found = {row.id: (row.split, set(row.tags)) for row in index.images}
    for row in read_table():
        assert found.pop(row["image"]) == (row["split"].replace("aug", "train"), set(row["labels"].split(";")))
    assert not found
    counts = Counter(tag for row in train for tag in row.tags)
    sizes = {tag: len(sample_subset(train, tag, 800, 0)) for tag in VOC_CLASSES}
    assert sizes == {tag: min(800, count) for tag, count in counts.items()}
    assert {tag for tag in counts if counts[tag] > 800} == {"car", "cat", "chair", "dog", "person"}
    own = index_voc(root, counts_known=True)
    assert (len(own.of_split("train")), len(own.of_split("val"))) == (1464, 1449)


def test_deviations_from_the_published_counts(root, monkeypatch):
    published = {**voc.PUBLISHED_IMAGES, "train": 1463, "trainaug": 10581}
    monkeypatch.setattr(voc, "PUBLISHED_IMAGES", published)
    monkeypatch.setattr(voc, "PUBLISHED_MEAN_TAGS", "1.554")
    monkeypatch.setattr(voc, "PUBLISHED_SINGLE_CLASS", 6248)
    with pytest.raises(DatasetProblems) as caught:
        index_voc(root, train_list="trainaug", sbd=root / "benchmark_RELEASE", counts_known=True)
    remedy = "Unpack the data set again, or set dataset.counts_known: false."
    train = root / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation" / "train.txt"
    assert [(problem.path, problem.text) for problem in caught.value.problems] == [
        (str(train), f"1,464 images, but the published set has 1,463. {remedy}"),
        ("trainaug", f"1.555 tags per image, but the published set has 1.554. {remedy}"),
        ("trainaug", f"10,582 images, but the published set has 10,581. {remedy}"),
        ("trainaug", f"6,249 single-class images, but the published set has 6,248. {remedy}"),
    ]
