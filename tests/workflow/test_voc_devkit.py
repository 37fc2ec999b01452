"""VOC with SBD and test images, in their genuine forms, through the whole workflow."""

import io
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from devkit_runs import Run, dataset_of
from mini_voc import ADDED, TEST, TRAIN, VAL, VOC_CLASSES, mask, size, tags, write_mini_voc
from tagseg.patterns.class_patterns import read_patterns
from tagseg.storage.ground_truth import read_ground_truth
from tagseg.storage.images import VOID, read_mask, voc_palette

pytestmark = pytest.mark.slow

TRAINAUG = TRAIN | ADDED
LAYERS = ["blocks.5.1", "blocks.6"]
NETWORK = "blocks.5.1/efficientnet_lite0"
TARGETS = ("all", "ablation", "upper_bound", "submission")


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    return write_mini_voc(tmp_path_factory.mktemp("voc"))


@pytest.fixture(scope="module")
def voc(checkout, archives) -> Run:
    folders = {"root": str(archives.trainval), "sbd": str(archives.sbd), "test_root": str(archives.test)}
    changes = {"test_list": "test", "sbd_masks": True, "counts_known": False}
    dataset = dataset_of(checkout, "voc2012", **folders, **changes)
    made = Run(checkout, "voc", dataset=dataset, ablation={"layers": LAYERS})
    made.snakemake(*TARGETS)
    assert made.planned(*TARGETS) == Counter()
    return made


def test_the_index_has_trainaug_val_and_test(voc, archives):
    index = voc.index()
    assert index.classes == ("background", *VOC_CLASSES)
    for split, expected in {"train": TRAINAUG, "val": VAL}.items():
        found = {row.id: row.tags for row in index.of_split(split)}
        assert found == {name: tags(objects) for name, objects in expected.items()}
    assert {row.id: row.tags for row in index.of_split("test")} == dict.fromkeys(TEST, ())
    for row in index.images:
        assert (row.width, row.height) == size(row.id)
        assert Path(row.path).is_relative_to(archives.test if row.split == "test" else archives.devkit)


def test_ground_truth_is_vocs_own_and_otherwise_sbds_and_scores_cover_trainaug_and_val(voc):
    truth, copies = read_ground_truth(voc.results / "ground_truth" / "train"), voc.masks("proxy_masks/truth")
    assert set(truth) == set(copies) == set(TRAINAUG)
    for name, objects in TRAINAUG.items():
        expected = mask(name, objects, borders=name in TRAIN)
        np.testing.assert_array_equal(read_mask(truth[name], 21), expected)
        np.testing.assert_array_equal(copies[name].read(), expected)
    index = voc.index()
    masks = voc.masks("proxy_masks/blocks.5.1")
    assert set(masks) == set(TRAINAUG)
    for row in index.of_split("train"):
        labels = masks[row.id].read()
        assert labels.shape == (row.height, row.width)
        assert set(np.unique(labels)) <= {0, *index.class_indices(row), VOID}
    known = sum((mask(name, objects, name in TRAIN) != VOID).sum() for name, objects in TRAINAUG.items())
    assert np.sum(voc.scores("proxy_masks/blocks.5.1")["confusion"]) == known
    known = sum((mask(name, objects, borders=True) != VOID).sum() for name, objects in VAL.items())
    assert np.sum(voc.scores(f"val/{NETWORK}/round2")["confusion"]) == known


@pytest.mark.parametrize(("competition", "split", "names"), [("comp6", "test", TEST), ("comp5", "val", VAL)])
def test_the_submission_holds_an_indexed_png_per_image(voc, competition, split, names):
    settings = {"competition": competition, "split": split}
    assert set(voc.planned("submission", submission=settings)) <= {"pack_submission"}
    voc.snakemake("submission", submission=settings)
    folder = f"results/VOC2012/Segmentation/{competition}_{split}_cls"
    with tarfile.open(voc.results / "submission" / f"{competition}_{split}.tgz") as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive.getmembers()}
    assert set(files) == {f"{folder}/{name}.png" for name in names}
    for name, content in files.items():
        with Image.open(io.BytesIO(content)) as image:
            assert image.format == "PNG" and image.mode == "P" and image.size == size(Path(name).stem)
            assert image.getpalette("RGB") == voc_palette().ravel().tolist()
            assert np.asarray(image).max() <= len(VOC_CLASSES)


def test_difficult_objects_and_the_masks_of_sbd_can_be_ignored(checkout, voc):
    easy = Run(checkout, "easy", dataset=voc.config["dataset"] | {"difficult": False, "sbd_masks": False})
    easy.snakemake(*(f"results/easy/proxy_masks/truth/shard-{shard}" for shard in (0, 1)))
    expected = {name: tags(objects, difficult=False) for name, objects in TRAINAUG.items()}
    assert () in expected.values()
    tagged = {name: names for name, names in expected.items() if names}
    assert {row.id: row.tags for row in easy.index().of_split("train")} == tagged
    assert set(easy.masks("proxy_masks/truth")) == set(TRAIN)


def test_layer_auto_reuses_what_exists_and_takes_a_layer_of_the_ablation(checkout, voc):
    config = {"ablation": {"layers": LAYERS}, "layer": "auto", "segmenter": {"rounds": 1}}
    run = Run(checkout, "voc", dataset=voc.config["dataset"], **config)
    plan = run.planned("all")
    assert plan["choose_layer"] == 1 and plan["estimate_masks"] == 2
    assert not plan.keys() & {"train_classifier", "extract_features", "find_patterns"}
    run.snakemake("all")
    rows = run.table("tables/layers.csv")
    (chosen,) = [row["layer"] for row in rows if row["choice"] == "chosen"]
    assert [row["layer"] for row in rows] == LAYERS
    assert read_patterns(run.results / "patterns" / "auto")[1] == chosen
    auto, same = run.masks("seed_masks/auto"), run.masks(f"seed_masks/{chosen}")
    assert [(name, auto[name].sha256) for name in sorted(auto)] == [(n, same[n].sha256) for n in sorted(same)]
