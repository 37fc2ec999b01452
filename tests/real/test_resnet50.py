"""A ResNet-50 from a local file on real photographs: the order of the paper's table 1, and its figures."""

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from whole_runs import ROOT, snakemake

pytestmark = pytest.mark.slow

SHARED = ROOT.parent / "shared" / "data"
WEIGHTS = SHARED / "weights" / "resnet50_photos_fp16.pth"
OVERLAYS = ("config/photos.yaml", "config/resnet50.yaml", "tests/real/resnet50.yaml")
FIGURES = [f"figures/figure_{number}.png" for number in (1, 3, 4)]


def proxy_masks(results: Path, stride: int, *targets: str) -> dict[str, float]:
    """Return the mIoU of the proxy masks by seed, at an output stride of the classifier."""
    if not WEIGHTS.is_file():
        pytest.skip("the weights of a ResNet-50 are not beside the repository")
    run = results / f"resnet50_{stride}"
    network = {"backbone": "resnet50", "weights": str(WEIGHTS), "output_stride": stride}
    overlay = results / f"{run.name}.yaml"
    overlay.write_text(yaml.safe_dump({"classifier": {"network": network}}))
    files = (*(str(ROOT / name) for name in OVERLAYS), str(overlay))
    settings = (f"photos={SHARED / 'photos15'}", f"results={results}", f"run={run.name}")
    made = (str(run / target) for target in targets)
    snakemake("--configfile", *files, "--config", *settings, "--", "ablation", *made)
    scores = (run / "scores" / "proxy_masks").glob("*.json")
    return {path.stem: json.loads(path.read_text())["miou"] for path in scores}


@pytest.fixture(scope="module")
def at_32(results) -> dict[str, float]:
    return proxy_masks(results, 32, *FIGURES)


def test_at_stride_32_a_lower_block_beats_the_last_one(at_32):
    """C41 is layer4.0, C43 layer4.2."""
    assert at_32["layer4.0"] >= at_32["layer4.2"] + 5


def test_every_block_beats_class_activation_maps(at_32):
    assert min(at_32[f"layer4.{block}"] for block in range(3)) > at_32["cam"]


def test_at_stride_16_the_lower_block_is_better_still(results, at_32):
    seeds = proxy_masks(results, 16)
    assert seeds["layer4.0"] >= 66
    assert seeds["layer4.0"] > at_32["layer4.0"]


@pytest.mark.parametrize("name", FIGURES)
def test_the_figures_are_drawn_from_that_run(results, at_32, name):
    with Image.open(results / "resnet50_32" / name) as image:
        assert min(image.size) > 400
