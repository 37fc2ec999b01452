"""The paper's experiment: all of it planned at VOC's true size, and run on a devkit of sixty photographs."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from full_voc import TABLE, read_table, write_full_voc
from helpers import read_csv
from mini_voc import objects_of_train, write_devkit
from tagseg.backbones import torchvision
from tagseg.datasets.voc import VOC_CLASSES
from tagseg.images import read_photograph
from tagseg.map_shards import MapShard
from tagseg.photographs import square

TRAIN = {f"2007_{place:06}": objects_of_train(place % 20) for place in range(44)}
VAL = {f"2009_{place:06}": ((VOC_CLASSES[place], False),) for place in range(16)}
OVERLAYS = ("config/voc2012.yaml", "tests/workflow/paper.yaml")


@pytest.mark.skipif(not TABLE.is_file(), reason="shared/data/voc12_tags.csv is not beside the repository")
def test_one_command_plans_the_whole_experiment(checkout, tmp_path):
    write_full_voc(tmp_path, read_table())
    folders = {"root": str(tmp_path), "sbd": str(tmp_path / "benchmark_RELEASE")}
    plan = checkout.planned("all", base=("config/voc2012.yaml",), config={"dataset": folders})
    shutil.rmtree(tmp_path)  # 24,000 files
    assert plan == Counter(
        build_index=1, collect_true_masks=2, draw_subsets=1, train_classifier=1, compute_cam=16,
        extract_features=48, find_patterns=3, estimate_masks=48, threshold_cam=16, refine_masks=64,
        score_masks=8,
        train_segmenter=7,  # ResNet-101 on CAM, C43, C42 and C41, and again; VGG16 on C41, and again
        compute_logits=16 * 8, decide_masks=16 * 8,  # val of six networks, train of the two that go on
        score_predictions=6, compare_seeds=1, build_table_1=1, build_table_2=1, build_table_3=1,
        draw_figure_1=1, draw_figure_3=1, draw_figure_4=1, draw_figure_5=1, draw_report=1, compose_report=1,
    )  # fmt: skip


def test_a_file_of_weights_is_of_the_runs_own_backbone(checkout, tmp_path):
    """VGG16 beside it starts from its own: a ResNet's would stop it after hours."""
    (tmp_path / "resnet101.pth").write_bytes(b"")
    weights = {"network": {"weights": str(tmp_path / "resnet101.pth")}}
    write_devkit(tmp_path / "VOC2012", dict(list(TRAIN.items())[:20]), VAL)
    config = {"dataset": {"root": str(tmp_path)}, "segmenter": weights}
    done = checkout.snakemake("-n", "-p", "--", "tables", base=OVERLAYS, config=config)
    assert done.returncode == 0, done.stdout
    weights_of = dict(re.findall(r'"backbone": "(\w+)"[^}]*"weights": "([^"]+)"', trainings(done.stdout)))
    assert weights_of == {"resnet101": str(tmp_path / "resnet101.pth"), "vgg16": "imagenet"}


def trainings(plan: str) -> str:
    """Return the command lines of a plan that train a segmenter."""
    return "\n".join(line for line in plan.splitlines() if "train_segmenter.py" in line)


def test_rows_that_the_same_command_makes_are_not_left_empty(checkout):
    config = {"run": "empty", "tables": {"missing": "empty"}}
    done = checkout.snakemake("-n", "-p", "--", "all", "tables", config=config)
    (table,) = [line for line in done.stdout.splitlines() if "build_table_1.py" in line]
    rows = json.loads(re.search(r"--settings '([^']*)'", table)[1])["rows"]
    scores = {row["name"]: row["scores"] for row in rows}
    assert scores["blocks.5.1 + retrain"].endswith("blocks.5.1/efficientnet_lite0/round2.json")
    assert scores["blocks.5.1"] and scores["CAM"] is None


# The whole experiment in small -------------------------------------------------------------------


def write_resnet(path: Path, photographs: list[Path]) -> None:
    """Write weights of a ResNet-101 whose random layers keep their maps in bounds, as trained ones do."""
    torch.manual_seed(0)
    network = torchvision.models.resnet101().train()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # the mean over all that it sees
    images = torch.stack([square(read_photograph(photograph), 96) for photograph in photographs])
    with torch.no_grad():
        network(images / 60 - 2)
    torch.save(network.state_dict(), path)


def write_vgg(path: Path) -> None:
    """Write weights of a VGG16 with its fully connected layers, in half the bytes."""
    torch.manual_seed(0)
    network = torchvision.models.vgg16()
    torch.save({key: value.half() for key, value in network.state_dict().items()}, path)


@pytest.fixture(scope="module")
def paper(checkout, tmp_path_factory):
    """A checkout with the results of every target on a devkit of 44 + 16 photographs."""
    folder = tmp_path_factory.mktemp("paper")
    write_devkit(folder / "VOC2012", TRAIN, VAL)
    photographs = sorted((folder / "VOC2012" / "JPEGImages").glob("*.jpg"))
    write_resnet(folder / "resnet101.pth", photographs[:24])
    write_vgg(folder / "vgg16.pth")
    weights = {"network": {"weights": str(folder / "resnet101.pth")}}
    networks = {"vgg16": {"network": {"weights": str(folder / "vgg16.pth")}}}
    config = {
        "dataset": {"root": str(folder)},
        "classifier": weights,
        "segmenter": weights,
        "tables": {"networks": networks},
    }
    targets = (*checkout.targets, "submission")
    config["submission"] = {"split": "val"}
    done = checkout.snakemake("--", *targets, base=OVERLAYS, config=config)
    (folder / "vgg16.pth").unlink()
    assert done.returncode == 0, done.stdout[-8000:]
    return checkout.folder / "results" / "paper"


@pytest.mark.slow
@pytest.mark.parametrize("name", [f"table_{number}" for number in (1, 2, 3)])
def test_the_tables_are_there_in_three_forms(paper, name):
    for suffix in ("md", "csv", "tex"):
        assert (paper / "tables" / f"{name}.{suffix}").stat().st_size > 200


@pytest.mark.slow
def test_table_1_has_our_number_beside_each_of_the_papers(paper):
    rows = read_csv(paper / "tables" / "table_1.csv")
    ours = [row for row in rows if row["by"] == "tagseg"]
    theirs = {row["features"]: row["mIoU"] for row in rows if row["by"] != "tagseg"}
    assert [row["features"] for row in ours] == ["CAM", "C43", "C42", "C41", "C41 + retrain"]
    assert list(theirs.values()) == ["46.0", "52.4", "60.3", "64.5"]
    assert all(0 <= float(row["mIoU"]) <= 100 for row in ours)


@pytest.mark.slow
def test_table_2_has_both_networks_and_no_guess_of_the_test_server(paper):
    rows = {row["method"]: row for row in read_csv(paper / "tables" / "table_2.csv")}
    for name in ("tagseg (resnet101)", "tagseg (vgg16)"):
        assert 0 <= float(rows[name]["val"]) <= 100 and rows[name]["test"] == ""
    assert rows["SEC"]["val"] == "50.7"


@pytest.mark.slow
def test_table_3_is_the_papers_with_an_empty_column_of_ours(paper):
    rows = read_csv(paper / "tables" / "table_3.csv")
    assert len(rows) == 82
    assert {row["tagseg"] for row in rows} == {""}


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 3, 4, 5])
def test_the_figures_are_pictures(paper, number):
    with Image.open(paper / "figures" / f"figure_{number}.png") as image:
        assert min(image.size) > 300 and len(np.unique(np.asarray(image.convert("L")))) > 20
    assert (paper / "figures" / f"figure_{number}.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_vgg16_started_from_its_fully_connected_layers(paper):
    log = paper / "logs" / "train_segmenter" / "layer4.0" / "vgg16" / "round1.log"
    assert "fc6 and fc7 start from the fully connected layers" in log.read_text()


@pytest.mark.slow
def test_features_and_logits_have_the_strides_of_the_configuration(paper):
    with MapShard(paper / "features" / "layer4.0" / "shard-0.h5") as shard:
        assert shard.maps(0)["96"].shape == (2048, 6, 6)
    for network in ("resnet101", "vgg16"):
        path = paper / "logits" / "layer4.0" / network / "round2" / "val" / "shard-0.h5"
        with MapShard(path) as shard:
            assert {view: maps.shape for view, maps in shard.maps(0).items()} == {
                "72": (21, 9, 9), "96": (21, 12, 12), "120": (21, 15, 15)
            }  # fmt: skip


@pytest.mark.slow
def test_the_page_of_results_names_run_and_settings(paper):
    page = (paper / "report" / "report.html").read_text(encoding="utf-8")
    for text in ("resnet101", "head_dilation: 12", "Table 1", "Figure 1", "aeroplane"):
        assert text in page, text


def test_the_overlay_changes_sizes_and_weights_alone(root):
    """Else this were another experiment than the paper's."""
    small = yaml.safe_load((root / "tests/workflow/paper.yaml").read_text())
    assert "layer" not in small and "tables" in small
    assert set(small["segmenter"]) == {"training", "inference"}
    assert not {"optimizer", "backbone_lr", "head_lr", "batch_size"} & set(small["segmenter"]["training"])
