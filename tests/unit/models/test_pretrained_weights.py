"""Weights that networks start from: ImageNet's, which a server sends or not, and those of files."""

import io
import pickle
from email.message import Message
from unittest.mock import Mock
from urllib.error import HTTPError, URLError

import matplotlib.cbook
import numpy as np
import pytest
import torch
from PIL import Image

from helpers import MakesFolder
from seeded_networks import noise, seeded
from tagseg.models.backbones import build_backbone
from tagseg.models.registry import architecture
from tagseg.models.torchvision_compat import timm
from tagseg.runtime.errors import TagsegError

MILITARY_UNIFORM = 652  # ImageNet's class of Matplotlib's sample image


@pytest.fixture(scope="module")
def resnet18_state():
    return seeded("resnet18", 32).state_dict()


def saved(path, content, **options):
    torch.save(content, path, **options)
    return str(path)


def test_lite0_recognises_a_uniform_and_the_backbone_has_its_weights():
    lite0 = architecture("efficientnet_lite0").build(32).eval()
    lite0.load_state_dict(architecture("efficientnet_lite0").imagenet_weights(), strict=True)
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as stream:
        image = np.asarray(Image.open(stream).convert("RGB").resize((224, 224)))
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None]
    backbone = build_backbone("efficientnet_lite0", "imagenet", 32, "blocks.3").eval()
    with torch.no_grad():
        assert MILITARY_UNIFORM in lite0(pixels / 127.5 - 1)[0].topk(3).indices
        expected = lite0.blocks[:4](lite0.bn1(lite0.conv_stem(noise(64) / 127.5 - 1)))
        torch.testing.assert_close(backbone(noise(64)), expected, rtol=1e-4, atol=1e-4)


REMEDY = r".*Set `weights` to a file.*internet"


class Answer(io.BytesIO):
    """A server's answer with an empty header."""

    def info(self):
        return Message()


NO_ANSWERS = {
    "no network": URLError("Name or service not known"),
    "refused": HTTPError("https://example.org", 403, "Forbidden", {}, None),
    "timed out": TimeoutError("timed out"),
    "wrong content": [Answer(b"Log in to use this network.")],
}


@pytest.mark.parametrize("answer", NO_ANSWERS)
def test_a_failed_download_names_the_remedy_and_leaves_no_file(tmp_path, monkeypatch, answer):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", Mock(side_effect=NO_ANSWERS[answer]))
    with pytest.raises(TagsegError, match=f"backbone resnet18: {REMEDY}") as caught:
        build_backbone("resnet18", "imagenet", 16)
    assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_downloaded_weights_are_read_without_internet_and_checked(tmp_path, monkeypatch, resnet18_state):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", Mock(side_effect=NO_ANSWERS["no network"]))
    file = tmp_path / "hub/checkpoints/resnet18-f37072fd.pth"
    file.parent.mkdir(parents=True)
    saved(file, resnet18_state)
    assert_loads("imagenet", resnet18_state, rtol=0, atol=0)
    file.write_bytes(b"half")
    with pytest.raises(TagsegError, match=f"^{file}: not a file of weights .*Replace it"):
        build_backbone("resnet18", "imagenet", 16)


def test_timms_weights_that_do_not_exist_or_cannot_be_downloaded(monkeypatch):
    assert timm.is_model("vovnet39a") and not timm.is_model_pretrained("vovnet39a")
    with pytest.raises(TagsegError, match=f"timm:vovnet39a: .*[Nn]o pretrained weights{REMEDY}"):
        build_backbone("timm:vovnet39a", "imagenet", 32)
    build = timm.create_model

    def offline(name, pretrained=False, **options):
        if pretrained:
            raise ConnectionError("Max retries exceeded")
        return build(name, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(TagsegError, match=rf"timm:resnet10t: .*\(Max retries exceeded\){REMEDY}"):
        build_backbone("timm:resnet10t", "imagenet", 16)


def assert_loads(path, expected, **tolerance):
    state = build_backbone("resnet18", path, 16).network.state_dict()
    assert len(state) > 100
    torch.testing.assert_close(state, {key: expected[key] for key in state}, **tolerance)


def other_last_layer(state):
    kept = {key: value for key, value in state.items() if not key.startswith("fc")}
    return {**kept, "last_linear.weight": torch.zeros(3, 512)}


def in_half_precision(state):
    return {key: value.half() if value.is_floating_point() else value for key, value in state.items()}


FORMS = {"state dict": dict, "wrapped": lambda state: {"state_dict": state, "epoch": 3}}
FORMS |= {"other last layer": other_last_layer, "half precision": in_half_precision}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("archive", [True, False], ids=["archive", "torch before 1.6"])
def test_weights_come_from_a_file_and_become_float32(tmp_path, resnet18_state, form, archive):
    content, exact = FORMS[form](resnet18_state), form != "half precision"
    path = saved(tmp_path / "w.pth", content, _use_new_zipfile_serialization=archive)
    assert_loads(path, resnet18_state, rtol=0 if exact else 1e-3, atol=0 if exact else 1e-4)


OTHERS = ("resnet34", "timm:resnet10t", "vgg16", "efficientnet_lite0")
PAIRS = [(name, "resnet18", "") for name in OTHERS]
PAIRS += [("resnet18", "resnet34", ".*layer1.2")]  # its file has all parameters of ResNet-18, in the same shapes


@pytest.mark.parametrize(("name", "file", "layer"), PAIRS)
def test_weights_of_another_network_are_refused(tmp_path, name, file, layer):
    with pytest.raises(TagsegError, match=f"does not fit the backbone{layer}"):
        build_backbone(name, saved(tmp_path / "w.pth", seeded(file, 32).state_dict()), 16)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("write", [pickle.dump, torch.save])
def test_code_in_a_file_does_not_run(tmp_path, write):
    path, folder = tmp_path / "w.pth", tmp_path / "made by the file"
    with open(path, "wb") as stream:
        write({"conv1.weight": MakesFolder(folder)}, stream)
    with pytest.raises(TagsegError, match="not a file of weights"):
        build_backbone("resnet18", str(path), 16)
    assert not folder.exists()
