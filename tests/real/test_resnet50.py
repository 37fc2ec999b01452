"""A ResNet-50 from a local file on real images: the order of the paper's table 1, and its figures."""

import pytest
import yaml
from PIL import Image

from whole_runs import ROOT, mious, snakemake

pytestmark = pytest.mark.slow

WEIGHTS = ROOT.parent / "shared" / "data" / "weights" / "resnet50_photos_fp16.pth"
TRAINING = {"epochs": 3, "input_size": 256, "frozen": ["conv1", "bn1", "layer1", "layer2", "layer3"]}
FIGURES = [f"figures/figure_{number}.png" for number in (1, 3, 4)]


def proxy_masks(results, photos15, stride: int, *targets: str) -> dict[str, float]:
    """Return the mIoU of the proxy masks by seed, at an output stride of the classifier."""
    folder = results / f"resnet50_{stride}"
    network = {"backbone": "resnet50", "weights": str(WEIGHTS), "output_stride": stride}
    config = {"classifier": {"network": network, "training": TRAINING}, "features": {"sizes": [256]}}
    overlay = folder.with_suffix(".yaml")
    overlay.write_text(yaml.safe_dump(config))
    files = (ROOT / "config" / "photos.yaml", ROOT / "config" / "resnet50.yaml", overlay)
    settings = (f"photos={photos15}", f"results={results}", f"run={folder.name}")
    made = (str(folder / target) for target in targets)
    snakemake("--configfile", *map(str, files), "--config", *settings, "--", "ablation", *made)
    return mious(folder / "scores" / "proxy_masks")


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="shared/data/weights is not beside the repository")
def test_lower_blocks_and_smaller_strides_are_better(results, photos15):
    """C41 is layer4.0, C43 layer4.2."""
    at_32, at_16 = proxy_masks(results, photos15, 32, *FIGURES), proxy_masks(results, photos15, 16)
    assert at_32["layer4.0"] >= at_32["layer4.2"] + 5
    assert min(at_32[f"layer4.{block}"] for block in range(3)) > at_32["cam"]
    assert at_16["layer4.0"] >= max(66, at_32["layer4.0"])
    for name in FIGURES:
        with Image.open(results / "resnet50_32" / name) as image:
            assert min(image.size) > 400
