"""Devkits of the genuine forms through the whole workflow: VOC with SBD and test photographs, and COCO."""

import csv
import io
import json
import shutil
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from mini_coco import CATEGORIES, edit, write_mini_coco
from mini_voc import ADDED, TEST, TRAIN, VAL, VOC_CLASSES, mask, size, tags, write_mini_voc
from tagseg.images import VOID, read_mask, voc_palette, write_mask
from tagseg.index import read_index
from tagseg.mask_shards import read_mask_shards
from tagseg.patterns import read_patterns
from tagseg.true_masks import read_true_masks

TRAINAUG = TRAIN | ADDED
UNTAGGED_IF_EASY = "2008_000019"  # its only object is difficult
LAYERS = ["blocks.5.1", "blocks.6"]
LAYER, NETWORK = "blocks.5.1", "blocks.5.1/efficientnet_lite0"


class Run:
    """A checkout, and the configuration of one run in it, which is laid over the overlay `base`."""

    base = ("tests/workflow/mini.yaml",)

    def __init__(self, checkout, name: str, dataset: dict, **more) -> None:
        self.checkout, self.dataset = checkout, dataset
        self.results = checkout.folder / "results" / name
        self.config = {"run": name, "dataset": dataset, **more}
        self.left: Counter[str] | None = None

    def snakemake(self, *targets: str, fails: bool = False, **more) -> str:
        """Run Snakemake and return what it says; `more` is laid over the configuration."""
        done = self.checkout.snakemake("--", *targets, base=self.base, config=self.config | more)
        assert (done.returncode != 0) == fails, done.stdout[-8000:]
        return done.stdout

    def planned(self, *targets: str, **more) -> Counter[str]:
        return self.checkout.planned(*targets, base=self.base, config=self.config | more)

    def index(self):
        return read_index(self.results / "index")

    def masks(self, stage: str, shards: int = 2):
        return read_mask_shards([self.results / stage / f"shard-{shard}" for shard in range(shards)])

    def scores(self, name: str) -> dict:
        return json.loads((self.results / "scores" / f"{name}.json").read_text())

    def table(self, name: str) -> list[dict[str, str]]:
        with open(self.results / name, newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))


class PublishedRun(Run):
    """A run on what has to be a published data set."""

    def __init__(self, checkout, overlay: str, name: str, dataset: dict) -> None:
        super().__init__(checkout, name, dataset)
        self.base = (f"config/{overlay}.yaml",)


def dataset_of(checkout, overlay: str, **changes) -> dict:
    """Return the settings of the data set in a shipped overlay, with changes."""
    text = (checkout.folder / "config" / f"{overlay}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["dataset"] | changes


# VOC with SBD and the test devkit ----------------------------------------------------------------

VOC_TARGETS = ("all", "ablation", "upper_bound", "submission")


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The three archives of VOC, unpacked. Not to be altered."""
    return write_mini_voc(tmp_path_factory.mktemp("voc"))


@pytest.fixture(scope="module")
def voc(checkout, archives) -> Run:
    """All targets on VOC's trainaug, with the masks of SBD, and on the test devkit."""
    folders = {"root": str(archives.trainval), "sbd": str(archives.sbd), "test_root": str(archives.test)}
    changes = {"test_list": "test", "sbd_masks": True, "counts_known": False}
    dataset = dataset_of(checkout, "voc2012", **folders, **changes)
    made = Run(checkout, "voc", dataset, ablation={"layers": LAYERS})
    made.snakemake(*VOC_TARGETS)
    made.left = made.planned(*VOC_TARGETS)
    return made


def test_voc_is_indexed_as_trainaug_val_and_test(voc, archives):
    index = voc.index()
    assert index.classes == ("background", *VOC_CLASSES)
    for split, listed in {"train": TRAINAUG, "val": VAL}.items():
        assert {row.id: row.tags for row in index.of_split(split)} == {
            name: tags(objects) for name, objects in listed.items()
        }
    assert {row.id: row.tags for row in index.of_split("test")} == dict.fromkeys(TEST, ())
    for row in index.photographs:
        assert (row.width, row.height) == size(row.id)
        assert Path(row.path).is_relative_to(archives.test if row.split == "test" else archives.devkit)


def test_several_objects_of_a_class_are_one_tag_and_difficult_ones_count(voc):
    own = {row.id: row.tags for row in voc.index().photographs}
    assert TRAINAUG["2007_000009"] == (("cow", False), ("cow", False), ("dog", False))
    assert own["2007_000009"] == ("cow", "dog")
    assert ("bus", True) in TRAINAUG["2007_000002"] and own["2007_000002"] == ("bird", "bus")


@pytest.mark.parametrize("seed", [*LAYERS, "cam"])
def test_every_photograph_of_trainaug_has_a_proxy_mask_of_its_size(voc, seed):
    masks = voc.masks(f"proxy_masks/{seed}")
    assert set(masks) == set(TRAINAUG)
    for row in voc.index().of_split("train"):
        labels = masks[row.id].read()
        assert labels.shape == (row.height, row.width)
        assert set(np.unique(labels)) <= {0, *voc.index().numbers(row), VOID}


def test_true_masks_are_vocs_own_and_else_sbds(voc):
    truths = read_true_masks(voc.results / "true_masks" / "train")
    copies = voc.masks("proxy_masks/truth")
    assert set(truths) == set(copies) == set(TRAINAUG)
    for name, objects in TRAINAUG.items():
        expected = mask(name, objects, borders=name in TRAIN)
        np.testing.assert_array_equal(read_mask(truths[name], 21), expected)
        np.testing.assert_array_equal(copies[name].read(), expected)
    assert read_true_masks(voc.results / "true_masks" / "val").keys() == VAL.keys()


@pytest.mark.parametrize("stage", ["seed_masks", "proxy_masks"])
@pytest.mark.parametrize("seed", [*LAYERS, "cam"])
def test_scores_of_train_count_vocs_masks_and_sbds(voc, stage, seed):
    scores = voc.scores(f"{stage}/{seed}")
    known = sum((mask(name, objects, name in TRAIN) != VOID).sum() for name, objects in TRAINAUG.items())
    assert scores["photographs"] == len(TRAINAUG) == 20
    assert np.sum(scores["confusion"]) == known
    assert list(scores["iou"]) == ["background", *VOC_CLASSES]


@pytest.mark.parametrize(
    "name", [f"{NETWORK}/round1", f"{NETWORK}/round2", "truth/efficientnet_lite0/round1"]
)
def test_scores_of_val(voc, name):
    scores = voc.scores(f"val/{name}")
    known = sum((mask(one, objects, borders=True) != VOID).sum() for one, objects in VAL.items())
    assert scores["photographs"] == len(VAL) and np.sum(scores["confusion"]) == known


def test_tables_and_report_of_voc(voc):
    assert [row["seed"] for row in voc.table("tables/ablation.csv")] == [*LAYERS, "cam"]
    rows = voc.table("tables/upper_bound.csv")
    assert [row["class"] for row in rows] == ["background", *VOC_CLASSES, "mean"]


def assert_archive(path: Path, folder: str, names: Sequence[str]) -> None:
    """Check an archive for the test server: one indexed PNG a photograph, of its size, and nothing else."""
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        assert sorted(member.name for member in members) == [f"{folder}/{name}.png" for name in sorted(names)]
        for member in members:
            assert member.isfile()
            with Image.open(io.BytesIO(archive.extractfile(member).read())) as image:
                assert image.format == "PNG" and image.mode == "P"
                assert image.size == size(Path(member.name).stem)
                assert image.getpalette("RGB") == voc_palette().ravel().tolist()
                assert np.asarray(image).max() <= len(VOC_CLASSES)


def test_the_archive_for_the_test_server_holds_the_photographs_of_test(voc):
    path = voc.results / "submission" / "comp6_test.tgz"
    assert_archive(path, "results/VOC2012/Segmentation/comp6_test_cls", list(TEST))


def test_nothing_of_voc_re_runs(voc):
    """The run with a chosen layer makes another report in the same place, so this is asked before it."""
    assert voc.left == Counter()


def test_a_rehearsal_of_the_submission_packs_val_and_nothing_else_runs(voc):
    settings = {"competition": "comp5", "split": "val"}
    assert voc.planned("submission", submission=settings) == Counter(pack_submission=1)
    voc.snakemake("submission", submission=settings)
    path = voc.results / "submission" / "comp5_val.tgz"
    assert_archive(path, "results/VOC2012/Segmentation/comp5_val_cls", list(VAL))
    assert voc.planned("submission", submission=settings) == Counter()


def test_masks_of_sbd_are_a_matter_of_scores_and_the_upper_bound(voc):
    """Not of anything that is learnt from tags."""
    plan = voc.planned(*VOC_TARGETS, dataset=voc.dataset | {"sbd_masks": False})
    assert plan == Counter(
        collect_true_masks=2, score_masks=6, score_predictions=3, copy_true_masks=2, train_segmenter=1,
        compute_logits=2, decide_masks=2, compare_seeds=1, compare_upper_bound=1, draw_report=1,
        compose_report=1,
    )  # fmt: skip


def test_difficult_objects_and_the_masks_of_sbd_can_be_left_out(checkout, voc):
    easy = Run(checkout, "easy", voc.dataset | {"difficult": False, "sbd_masks": False})
    easy.snakemake(*(f"results/easy/proxy_masks/truth/shard-{shard}" for shard in (0, 1)))
    assert {row.id: row.tags for row in easy.index().of_split("train")} == {
        name: tags(objects, difficult=False) for name, objects in TRAINAUG.items() if name != UNTAGGED_IF_EASY
    }
    log = (easy.results / "logs" / "build_index.log").read_text()
    assert "left out 1 train photographs without a tag" in log
    assert set(easy.masks("proxy_masks/truth")) == set(TRAIN)


# The layer is chosen -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def auto(checkout, voc) -> tuple[Counter[str], Run]:
    """What was planned with `layer: auto` after the run on VOC, and that run, with one round of training."""
    made = Run(checkout, "voc", voc.dataset, ablation={"layers": LAYERS}, layer="auto")
    made.config |= {"segmenter": {"rounds": 1}}
    plan = made.planned("all")
    made.snakemake("all")
    return plan, made


def test_a_chosen_layer_needs_no_other_classifier_features_or_patterns(auto):
    plan, run = auto
    assert plan == Counter(
        choose_layer=1, estimate_masks=2, refine_masks=2, score_masks=2, train_segmenter=1,
        compute_logits=2, decide_masks=2, score_predictions=1, draw_report=1, compose_report=1,
    )  # fmt: skip
    assert run.planned("all") == Counter()


def test_the_chosen_layer_is_one_of_the_ablation(auto):
    _, run = auto
    (chosen,) = [row["layer"] for row in run.table("tables/layers.csv") if row["choice"] == "chosen"]
    assert [row["layer"] for row in run.table("tables/layers.csv")] == LAYERS
    text = (run.results / "tables" / "layers.md").read_text()
    assert text.startswith("# The choice of the layer") and "| chosen |" in text
    assert (run.results / "tables" / "layers.png").stat().st_size > 1000
    assert read_patterns(run.results / "patterns" / "auto")[1] == chosen
    ours, theirs = run.masks("seed_masks/auto"), run.masks(f"seed_masks/{chosen}")
    assert {name: file.sha256 for name, file in ours.items()} == {
        name: file.sha256 for name, file in theirs.items()
    }


# Copies that are not the published ones, or are broken -------------------------------------------


def test_overlay_of_voc_refuses_a_copy_that_is_not_the_published_one(checkout, archives):
    """The lists have other numbers of photographs, trainaug other numbers of tags."""
    dataset = {"root": str(archives.trainval), "sbd": str(archives.sbd)}
    run = PublishedRun(checkout, "voc2012", "counts", dataset)
    said = run.snakemake("build_index", fails=True)
    told = {
        "train.txt": "12 photographs, where the published set has 1,464",
        "val.txt": "6 photographs, where the published set has 1,449",
        "trainaug": "20 photographs, where the published set has 10,582",
    }
    problems = run.table("index/problems.csv")
    for place, text in told.items():
        assert text in said and "dataset.counts_known: false" in said
        assert any(row["place"].endswith(place) and text in row["problem"] for row in problems)
    assert "1.450 tags a photograph, where the published set has 1.555" in said
    assert "12 photographs of a single class, where the published set has 6,249" in said
    assert len(problems) == 5 and "Traceback" not in said
    assert [path.name for path in (run.results / "index").iterdir()] == ["problems.csv"]


def test_the_check_of_a_sound_devkit_counts_it(voc):
    voc.snakemake("check_data")
    report = (voc.results / "data_report" / "report.md").read_text(encoding="utf-8")
    assert "No problems." in report
    assert "| train | 20 | 0 | 1.450 | 20 | 45 to 64 | 48 to 60 |" in report
    assert "| val | 6 | 0 | 1.167 | 6 | 45 to 64 | 48 to 60 |" in report
    assert "| test | 3 | 3 | 0.000 | 0 | 45 to 64 | 48 to 60 |" in report
    assert voc.table("data_report/problems.csv") == []


def test_the_check_of_a_broken_devkit_ends_well_and_names_everything(checkout, voc, archives, tmp_path):
    """First what keeps the index from being made, all photographs read; then, with that mended, the masks."""
    shutil.copytree(archives.trainval, tmp_path / "broken")
    devkit = tmp_path / "broken" / archives.devkit.relative_to(archives.trainval)
    (devkit / "classes.txt").write_text("\n".join(VOC_CLASSES))
    photograph, annotation = devkit / "JPEGImages/2007_000004.jpg", devkit / "Annotations/2008_000016.xml"
    sound = photograph.read_bytes(), annotation.read_text()
    photograph.write_bytes(b"\xff\xd8\xff no photograph")
    annotation.write_text(sound[1].replace("sheep", "sheap"))
    cut = devkit / "JPEGImages" / "2009_000001.jpg"
    cut.write_bytes(cut.read_bytes()[:-400])
    write_mask(devkit / "SegmentationClass" / "2007_000007.png", np.zeros((60, 44), np.uint8))
    run = Run(checkout, "broken", voc.dataset | {"root": str(tmp_path / "broken")})
    damaged = {"2009_000001.jpg": "damaged image (image file is truncated"}
    told = {
        "2007_000004.jpg": "not a readable image",
        "2008_000016.xml": "class 'sheap' is not in classes.txt",
    }
    assert_told(run, damaged | told)
    photograph.write_bytes(sound[0])
    annotation.write_text(sound[1])
    told = damaged | {
        "2007_000007.png": "44x60 pixels, where the photograph has 45x60",
    }
    assert_told(run, told)


def assert_told(run: Run, expected: dict[str, str]) -> None:
    """Run the check; its table and its report have these problems: a file's name, and how its line begins."""
    run.snakemake("check_data")
    report = (run.results / "data_report" / "report.md").read_text(encoding="utf-8")
    problems = {Path(row["place"]).name: row for row in run.table("data_report/problems.csv")}
    assert problems.keys() == expected.keys()
    for name, text in expected.items():
        assert problems[name]["problem"].startswith(text)
        assert f"    {problems[name]['place']}: {problems[name]['problem']}\n" in report


# COCO --------------------------------------------------------------------------------------------

COCO_TARGETS = ("all", "ablation", "upper_bound")


@pytest.fixture(scope="module")
def coco_root(tmp_path_factory) -> Path:
    """COCO's layout: polygons, run lengths of both forms, and crowds, those of train of another class."""
    root = write_mini_coco(tmp_path_factory.mktemp("coco"), train=9, val=5)
    edit(root, "train", other_crowd)
    return root


def other_crowd(content: dict) -> None:
    """Make crowd regions those of a class that the photograph has not otherwise."""
    for one in content["annotations"]:
        if one["iscrowd"]:
            own = {x["category_id"] for x in content["annotations"] if x["image_id"] == one["image_id"]}
            one["category_id"] = min(CATEGORIES.keys() - own)


@pytest.fixture(scope="module")
def coco(checkout, coco_root) -> Run:
    """All targets on COCO, with true masks of train too and one round."""
    changes = {"root": str(coco_root), "counts_known": False, "true_masks": ["train", "val"]}
    dataset = dataset_of(checkout, "coco2017", **changes)
    made = Run(checkout, "coco", dataset, shards=1, ablation={"layers": [LAYER]}, segmenter={"rounds": 1})
    made.snakemake(*COCO_TARGETS)
    return made


def content_of(root: Path, split: str) -> dict:
    return json.loads((root / "annotations" / f"instances_{split}2017.json").read_text())


def coco_tags(root: Path, split: str, crowd: bool = True) -> dict[str, tuple[str, ...]]:
    """Return the tags of each photograph as the annotations have them, in ascending order of the ids."""
    content = content_of(root, split)
    own = {image["id"]: set() for image in content["images"]}
    for one in content["annotations"]:
        if crowd or not one["iscrowd"]:
            own[one["image_id"]].add(one["category_id"])
    return {f"{number:012}": tuple(CATEGORIES[one] for one in sorted(ids)) for number, ids in own.items()}


def crowds(root: Path, split: str) -> dict[str, np.ndarray]:
    """Return the pixels (height, width) of the crowd of each photograph that has one."""
    regions = {}
    for one in content_of(root, split)["annotations"]:
        if one["iscrowd"]:
            (height, width), counts = one["segmentation"]["size"], one["segmentation"]["counts"]
            runs = np.repeat(np.arange(len(counts)) % 2, counts)
            regions[f"{one['image_id']:012}"] = runs.reshape(width, height).T.astype(bool)
    return regions


def test_the_mini_set_has_every_form_of_annotation(coco_root):
    for split in ("train", "val"):
        forms = Counter(
            "polygons" if isinstance(one["segmentation"], list)
            else "crowd" if one["iscrowd"]
            else type(one["segmentation"]["counts"]).__name__
            for one in content_of(coco_root, split)["annotations"]
        )  # fmt: skip
        assert forms.keys() == {"polygons", "crowd", "list", "str"}


def test_tags_of_coco_are_the_categories_crowd_included(coco, coco_root):
    index = coco.index()
    assert index.classes == ("background", "traffic light", "dog", "bottle")  # by ids: 2, 7, 44
    train, easy = coco_tags(coco_root, "train"), coco_tags(coco_root, "train", crowd=False)
    assert train != easy and () in train.values()
    tagged = {name: own for name, own in train.items() if own}
    assert {row.id: row.tags for row in index.of_split("train")} == tagged
    assert {row.id: row.tags for row in index.of_split("val")} == coco_tags(coco_root, "val")


@pytest.mark.parametrize("split", ["train", "val"])
def test_crowd_is_void_in_cocos_true_masks_where_no_instance_lies(coco, coco_root, split):
    truths, regions = read_true_masks(coco.results / "true_masks" / split), crowds(coco_root, split)
    assert set(truths) == {row.id for row in coco.index().of_split(split)}
    assert regions
    for name, path in truths.items():
        labels = read_mask(path, 4)
        region = regions.get(name, np.zeros(labels.shape, bool))
        assert (labels[region] > 0).all()
        assert not (labels[~region] == VOID).any()
        assert (labels == VOID).any() == (name in regions)


def test_scores_of_coco_are_over_all_photographs_but_not_the_crowd(coco):
    for name, split in {
        f"seed_masks/{LAYER}": "train",
        f"proxy_masks/{LAYER}": "train",
        "proxy_masks/cam": "train",
        f"val/{NETWORK}/round1": "val",
        "val/truth/efficientnet_lite0/round1": "val",
    }.items():
        truths = read_true_masks(coco.results / "true_masks" / split)
        known = sum((read_mask(path) != VOID).sum() for path in truths.values())
        scores = coco.scores(name)
        assert scores["split"] == split and scores["photographs"] == len(truths)
        assert np.sum(scores["confusion"]) == known
    assert scores["photographs"] == 5


def test_tables_and_predictions_of_coco(coco):
    rows = coco.table("tables/upper_bound.csv")
    assert [row["class"] for row in rows] == ["background", "traffic light", "dog", "bottle", "mean"]
    assert [row["seed"] for row in coco.table("tables/ablation.csv")] == [LAYER, "cam"]
    masks = coco.masks(f"predictions/{NETWORK}/round1/val", shards=1)
    assert {name: file.read().shape for name, file in masks.items()} == {
        row.id: (row.height, row.width) for row in coco.index().of_split("val")
    }


def test_nothing_of_coco_re_runs(coco):
    assert coco.planned(*COCO_TARGETS) == Counter()


def test_overlay_of_coco_refuses_a_copy_that_is_not_the_published_one(checkout, coco_root):
    run = PublishedRun(checkout, "coco2017", "counts_coco", {"root": str(coco_root)})
    said = run.snakemake("build_index", fails=True)
    for text in (
        "9 photographs in train, where COCO 2017 has 118,287",
        "5 photographs in val, where COCO 2017 has 5,000",
        "3 classes, where COCO 2017 has 80",
    ):
        assert text in said
        assert any(text in row["problem"] for row in run.table("index/problems.csv"))
