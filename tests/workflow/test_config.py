"""Every layer and module that the shipped configurations name exists; a wrong one ends a run before any job starts."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from tagseg.models.backbones import architecture, build_backbone
from tagseg.training.loop import freeze

ROOT = Path(__file__).parents[2]
STACKS = [
    [],
    ["photos.yaml"],
    ["photos.yaml", "resnet50.yaml"],
    ["photos.yaml", "dinov2.yaml"],
    ["voc2012.yaml"],
    ["coco2017.yaml"],
]


@pytest.fixture(params=STACKS, ids=str)
def config(request):
    content = yaml.safe_load((ROOT / "config.yaml").read_text())
    for name in request.param:
        update_config(content, yaml.safe_load((ROOT / "config" / name).read_text()))
    return content


def test_every_overlay_is_checked_here():
    assert {path.name for path in (ROOT / "config").iterdir()} == set().union(*STACKS)


def test_layers_are_nodes_of_the_classifier(config):
    network = config["classifier"]["network"]
    for layer in {config["layer"], *config["ablation"]["layers"]}:
        assert build_backbone(network["backbone"], None, network["output_stride"], layer).channels > 0


@pytest.mark.parametrize("section", ["classifier", "segmenter"])
def test_frozen_modules_are_in_the_backbone(config, section):
    network = config[section]["network"]
    node = architecture(network["backbone"]).last_block
    backbone = build_backbone(network["backbone"], None, network["output_stride"], node)
    frozen = config[section]["training"]["frozen"]
    freeze(backbone, frozen)
    trained = [parameter.requires_grad for parameter in backbone.parameters()]
    assert any(trained) == (frozen != "all") and not all(trained)


@pytest.mark.parametrize(("overlay", "archives"), [("voc2012", 2), ("coco2017", 3)])
def test_overlays_of_published_sets_fetch_them(checkout, overlay, archives):
    plan = checkout.planned("all", "check_data", base=[f"config/{overlay}.yaml"])
    assert plan["fetch_archive"] == plan["unpack_archive"] == archives
    assert plan["check_data"] == 1 and plan["generate_demo"] == 0


@pytest.mark.parametrize(("overlay", "most"), [("voc2012", 200), ("coco2017", 200)])
def test_published_sets_take_few_submissions_on_a_cluster(checkout, overlay, most):
    components = yaml.safe_load((ROOT / "profiles/slurm/profile.yaml").read_text())["group-components"]
    flags = ("-n", "--group-components", *components)
    output = checkout.make(*flags, "--", "all", base=[f"config/{overlay}.yaml"])
    alone = len(re.findall(r"^Job \d+: ", output, re.MULTILINE))  # some of these are local
    assert 20 < alone + output.count("] Group job ") <= most


FOLDER = {"dataset": {"kind": "photos"}, "photos": "no_such_folder"}


@pytest.mark.parametrize(
    ("arguments", "config", "message"),
    [
        (["--", "all"], {"segmenter": {"training": {"epoch": 3}}}, "Did you mean segmenter.training.epochs?"),
        (["--", "all"], {"shards": "two"}, "shards: "),
        (["--config", "laier=blocks.6", "--", "all"], None, "laier"),
        (["--", "segment"], None, "new_photos=FOLDER"),
        (["--", "all"], FOLDER, "no_such_folder"),
    ],
)
def test_a_mistake_ends_the_run_before_anything_runs(checkout, arguments, config, message):
    done = checkout.snakemake(*arguments, config=config)
    assert done.returncode != 0 and message in done.stdout, done.stdout
    assert "Traceback (most recent call last)" not in done.stdout
    assert not (checkout.folder / "results").exists()


def example(language: str, word: str) -> str:
    """Return the code block of docs/clusters.md that has a word."""
    text = (ROOT / "docs/clusters.md").read_text(encoding="utf-8")
    (found,) = (block for block in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL) if word in block)
    return found


@pytest.mark.parametrize("kind", ["from another folder", "as a module"])
def test_the_workflow_runs_outside_its_clone_as_documented(checkout, tmp_path, kind):
    if kind == "as a module":
        (tmp_path / "Snakefile").write_text(example("python", "module tagseg").replace("CLONE", str(checkout.folder)))
        command, expected = "snakemake --cores 2", "count.txt"
    else:
        command = example("sh", "-s CLONE/Snakefile").replace("CLONE", str(checkout.folder))
        expected = "results/mine/report/report.html"
    line = [checkout.python, "-m", *command.split(), "-n"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert expected in done.stdout + done.stderr and "results/mine/proxy_masks" in done.stdout + done.stderr


def test_segment_needs_a_checkpoint_and_no_training_images(checkout, tmp_path):
    checkpoint = tmp_path / "checkpoint.pth"
    config = {"checkpoint": str(checkpoint), "new_photos": str(tmp_path)}
    done = checkout.snakemake("-n", "segment", config=config)
    assert done.returncode != 0 and f"checkpoint: {checkpoint}: no such file. Correct the path." in done.stdout
    checkpoint.touch()
    assert checkout.planned("segment", config=config) == {"segment_images": 1}
