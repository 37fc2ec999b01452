"""The paper's experiment: all of it planned at VOC's true size, and run on a devkit of sixty images."""

import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from full_voc import TABLE, read_table, write_full_voc
from helpers import read_csv
from mini_voc import objects_of_train, write_devkit
from tagseg.datasets.voc.devkit import VOC_CLASSES
from tagseg.models.inputs import square
from tagseg.models.torchvision_compat import torchvision
from tagseg.patterns.class_patterns import read_patterns
from tagseg.storage.feature_shards import MapShard
from tagseg.storage.images import VOID, read_image
from tagseg.storage.index import read_index
from tagseg.storage.mask_shards import read_mask_shards

pytestmark = pytest.mark.slow

TRAIN = {f"2007_{number:06}": objects_of_train(number % 20) for number in range(44)}
VAL = {f"2009_{number:06}": ((VOC_CLASSES[number], False),) for number in range(16)}
OVERLAYS = ("config/voc2012.yaml", "tests/workflow/paper.yaml")


@pytest.mark.skipif(not TABLE.is_file(), reason="shared/data/voc12_tags.csv is not beside the repository")
def test_one_command_plans_the_whole_experiment(checkout, tmp_path):
    write_full_voc(tmp_path, read_table())
    folders = {"root": str(tmp_path), "sbd": str(tmp_path / "benchmark_RELEASE")}
    plan = checkout.planned("all", base=("config/voc2012.yaml",), config={"dataset": folders})
    shutil.rmtree(tmp_path)  # 24,000 files
    stages = Counter({rule: n for rule, n in plan.items() if not rule.startswith(("build_table", "draw_"))})
    assert stages == Counter(
        build_index=1, collect_ground_truth=2, sample_subsets=1, train_classifier=1, compute_cam=16,
        extract_features=48, find_patterns=4, estimate_masks=64, threshold_cam=16, refine_masks=80,
        score_masks=8,
        train_segmenter=8,  # ResNet-101 on CAM, C43, C42, our masks and C41, and again; VGG16 on C41, and again
        compute_logits=16 * 9, decide_masks=16 * 9,  # val of seven networks, train of two first rounds
        score_predictions=7, compare_seeds=1, render_report=1,
    )  # fmt: skip


def write_resnet(path: Path, images: list[Path]) -> None:
    """Write random weights with batch norm statistics, which keep the maps in bounds."""
    torch.manual_seed(0)
    network = torchvision.models.resnet101().train()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # the mean over all batches
    batch = torch.stack([square(read_image(image), 96) for image in images])
    with torch.no_grad():
        network(batch / 60 - 2)
    torch.save(network.state_dict(), path)


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> dict:
    """The configuration of the experiment on a devkit of 44 + 16 images, with files of random weights."""
    folder = tmp_path_factory.mktemp("paper")
    write_devkit(folder / "VOC2012", TRAIN, VAL)
    write_resnet(folder / "resnet101.pth", sorted((folder / "VOC2012" / "JPEGImages").glob("*.jpg"))[:24])
    torch.manual_seed(0)
    vgg = torchvision.models.vgg16().half()
    torch.save(vgg.state_dict(), folder / "vgg16.pth")
    weights = {"network": {"weights": str(folder / "resnet101.pth")}}
    networks = {"vgg16": {"network": {"weights": str(folder / "vgg16.pth")}}}
    return {
        "dataset": {"root": str(folder)}, "classifier": weights, "segmenter": weights,
        "tables": {"networks": networks}, "submission": {"split": "val"},
    }  # fmt: skip


def test_a_file_of_weights_is_for_its_own_backbone_alone(checkout, settings):
    """VGG16 starts from its own weights: those of a ResNet would stop it after hours."""
    config = {key: value for key, value in settings.items() if key != "tables"}
    output = checkout.make("-n", "-p", "--", "tables", base=OVERLAYS, config=config)
    trainings = "\n".join(line for line in output.splitlines() if "train_segmenter.py" in line)
    weights = dict(re.findall(r'"backbone": "(\w+)"[^}]*"weights": "([^"]+)"', trainings))
    assert weights == {"resnet101": settings["segmenter"]["network"]["weights"], "vgg16": "imagenet"}


@pytest.fixture(scope="module")
def paper(checkout, settings) -> Path:
    checkout.make("--", *checkout.targets, "submission", base=OVERLAYS, config=settings)
    return checkout.folder / "results" / "paper"


def test_the_tables_have_our_numbers_beside_the_papers_and_the_figures_are_images(paper):
    rows = read_csv(paper / "tables" / "table_1.csv")
    ours = {row["features"]: float(row["mIoU"]) for row in rows if row["by"] == "tagseg"}
    assert list(ours) == ["CAM", "C43", "C42", "C41", "C41, our rules", "C41 + retrain"]
    assert all(0 <= miou <= 100 for miou in ours.values())
    assert [row["mIoU"] for row in rows if row["by"] != "tagseg"] == ["46.0", "52.4", "60.3", "64.5"]
    methods = {row["method"]: row for row in read_csv(paper / "tables" / "table_2.csv")}
    for name in ("tagseg (resnet101)", "tagseg (vgg16)"):
        assert 0 <= float(methods[name]["val"]) <= 100 and methods[name]["test"] == ""
    assert methods["SEC"]["val"] == "50.7"
    assert {row["tagseg"] for row in read_csv(paper / "tables" / "table_3.csv")} == {""}
    for number in (1, 2, 3):
        assert (paper / "tables" / f"table_{number}.tex").stat().st_size > 200

    for number in (1, 3, 4, 5):
        with Image.open(paper / "figures" / f"figure_{number}.png") as image:
            assert min(image.size) > 300 and len(np.unique(np.asarray(image.convert("L")))) > 20
        assert (paper / "figures" / f"figure_{number}.pdf").read_bytes().startswith(b"%PDF")


def test_our_rules_stand_beside_the_papers_and_change_nothing_of_its_rows(paper):
    """Case 3 of the paper makes pixels void; by our default the CAM decides them."""

    def void_of_several(seed):
        masks = read_mask_shards([paper / "seed_masks" / seed / f"shard-{shard}" for shard in (0, 1)])
        return np.mean([np.mean(masks[row.id].read() == VOID) for row in several])

    several = [row for row in read_index(paper / "index").of_split("train") if len(row.tags) > 1]
    assert several and void_of_several("ours") < void_of_several("layer4.0")
    papers, ours = (read_patterns(paper / "patterns" / seed) for seed in ("layer4.0", "ours"))
    assert papers[1] == ours[1] == "layer4.0"
    for tag, pattern in papers[0].items():
        np.testing.assert_array_equal(pattern.eigenvector, ours[0][tag].eigenvector)
        assert pattern.object_threshold == 0
    assert any(pattern.object_threshold != 0 for pattern in ours[0].values())


def test_networks_have_the_strides_and_the_start_of_the_configuration(paper):
    log = paper / "logs" / "train_segmenter" / "layer4.0" / "vgg16" / "round1.log"
    assert "fc6 and fc7 start from the fully connected layers" in log.read_text()
    with MapShard(paper / "features" / "layer4.0" / "shard-0.h5") as shard:
        assert shard.maps(0)["96"].shape == (2048, 6, 6)
    for network in ("resnet101", "vgg16"):
        with MapShard(paper / f"logits/layer4.0/{network}/round2/val/shard-0.h5") as shard:
            shapes = {view: maps.shape for view, maps in shard.maps(0).items()}
            assert shapes == {"72": (21, 9, 9), "96": (21, 12, 12), "120": (21, 15, 15)}
