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
from tagseg.backbones import architecture, build_backbone, read_state, timm
from tagseg.errors import TagsegError

MILITARY_UNIFORM = 652  # ImageNet's class of the photograph that comes with Matplotlib


@pytest.fixture(scope="module")
def resnet18_state():
    return seeded("resnet18", 32).state_dict()


def saved(path, content):
    torch.save(content, path)
    return str(path)


# ------------------------------------------------------------------------------ ImageNet's weights


@pytest.fixture(scope="module")
def lite0():
    network = architecture("efficientnet_lite0").build(32)
    network.load_state_dict(architecture("efficientnet_lite0").imagenet_weights(), strict=True)
    return network.eval()


def test_lite0_recognises_a_uniform(lite0):
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as stream:
        image = np.asarray(Image.open(stream).convert("RGB").resize((224, 224)))
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None]
    with torch.no_grad():
        logits = lite0(pixels / 127.5 - 1)
    assert MILITARY_UNIFORM in logits[0].topk(3).indices


def test_lite0s_backbone_carries_those_weights(lite0):
    backbone = build_backbone("efficientnet_lite0", "imagenet", 32, "blocks.3").eval()
    random = build_backbone("efficientnet_lite0", None, 32, "blocks.3").eval()
    with torch.no_grad():
        expected = lite0.blocks[:4](lite0.bn1(lite0.conv_stem(noise(64) / 127.5 - 1)))
        torch.testing.assert_close(backbone(noise(64)), expected, rtol=1e-4, atol=1e-4)
        assert (random(noise(64)) - expected).abs().mean() > 0.1


# ----------------------------------------------------------- ImageNet's weights that cannot be had

REMEDY = r".*`weights: FILE`.*internet"


class Answer(io.BytesIO):
    """A server's answer: bytes, and a head that says nothing."""

    def info(self):
        return Message()


NO_ANSWERS = {
    "no network": URLError("Name or service not known"),
    "refused": HTTPError("https://example.org", 403, "Forbidden", {}, None),
    "timed out": TimeoutError("timed out"),
    "cut": ConnectionResetError("Connection reset by peer"),
}


@pytest.mark.parametrize("name", ["resnet18", "vgg16"])
@pytest.mark.parametrize("answer", NO_ANSWERS)
def test_weights_that_no_server_sends(tmp_path, monkeypatch, name, answer):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", Mock(side_effect=NO_ANSWERS[answer]))
    with pytest.raises(TagsegError, match=f"backbone {name}: {REMEDY}") as caught:
        build_backbone(name, "imagenet", 16)
    assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_weights_that_are_not_the_published_ones_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", lambda *_, **__: Answer(b"Log in to use this network."))
    with pytest.raises(TagsegError, match=f"resnet18: .*invalid hash{REMEDY}"):
        build_backbone("resnet18", "imagenet", 16)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_damaged_download_of_earlier_days_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = downloaded(tmp_path)
    file.write_bytes(b"half")
    with pytest.raises(TagsegError, match=f"^{file}: not a file of weights .*replace it"):
        build_backbone("resnet18", "imagenet", 16)


def test_a_download_of_earlier_days_is_read(tmp_path, monkeypatch, resnet18_state):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", Mock(side_effect=NO_ANSWERS["no network"]))
    saved(downloaded(tmp_path), resnet18_state)
    assert_loads("imagenet", resnet18_state)


def downloaded(home):
    """Return the place of ResNet-18's weights below torch's home folder."""
    folder = home / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder / "resnet18-f37072fd.pth"


def test_weights_of_timm_that_no_server_sends(monkeypatch):
    build = timm.create_model

    def offline(name, pretrained=False, **options):
        if pretrained:
            raise ConnectionError("Max retries exceeded")
        return build(name, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(TagsegError, match=rf"timm:resnet10t: .*\(Max retries exceeded\){REMEDY}"):
        build_backbone("timm:resnet10t", "imagenet", 16)


def test_a_network_of_which_timm_has_no_weights_is_told():
    assert timm.is_model("vovnet39a") and not timm.is_model_pretrained("vovnet39a")
    with pytest.raises(TagsegError, match=f"timm:vovnet39a: .*[Nn]o pretrained weights{REMEDY}"):
        build_backbone("timm:vovnet39a", "imagenet", 32)


# --------------------------------------------------------------------------------- weights in files


def assert_loads(path, expected):
    state = build_backbone("resnet18", path, 16).network.state_dict()
    assert len(state) > 100
    for key, value in state.items():
        torch.testing.assert_close(value, expected[key], rtol=0, atol=0)


def test_weights_come_from_a_file(tmp_path, resnet18_state):
    assert_loads(saved(tmp_path / "w.pth", resnet18_state), resnet18_state)


def test_a_checkpoint_around_the_state_is_unwrapped(tmp_path, resnet18_state):
    content = {"state_dict": resnet18_state, "epoch": 3}
    assert_loads(saved(tmp_path / "w.pth", content), resnet18_state)


def test_the_classification_layer_may_be_absent_or_of_other_classes_name(tmp_path, resnet18_state):
    state = {key: value for key, value in resnet18_state.items() if not key.startswith("fc")}
    state["last_linear.weight"] = torch.zeros(3, 512)
    assert_loads(saved(tmp_path / "w.pth", state), resnet18_state)


def test_halves_become_float32(tmp_path, resnet18_state):
    halves = {
        key: value.half() if value.dtype == torch.float32 else value for key, value in resnet18_state.items()
    }
    backbone = build_backbone("resnet18", saved(tmp_path / "w.pth", halves), 16)
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}
    torch.testing.assert_close(
        backbone.network.conv1.weight.data, resnet18_state["conv1.weight"], rtol=1e-3, atol=1e-4
    )


def test_a_file_of_torch_before_1_6_is_read(tmp_path, resnet18_state):
    torch.save(resnet18_state, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    assert_loads(str(tmp_path / "w.pth"), resnet18_state)


def test_a_file_that_would_fill_the_memory_is_refused(tmp_path):
    saved(tmp_path / "w.pth", {"conv1.weight": torch.zeros(1).expand(4 * 10**9)})
    with pytest.raises(TagsegError, match="w.pth: not a state dict .*conv1.weight is no plain tensor"):
        read_state(tmp_path / "w.pth")


def test_a_flipped_bit_is_told(tmp_path):
    path = tmp_path / "w.pth"
    saved(path, {"conv1.weight": torch.arange(12.0)})
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(12.0).numpy().tobytes()) + 6] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        TagsegError, match="w.pth: not a file of weights .damaged, the checksum .*; replace it"
    ):
        read_state(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(TagsegError, match="no such weights file"):
        build_backbone("resnet18", str(tmp_path / "absent.pth"), 16)


@pytest.mark.parametrize(
    "content", [b"", b"These are weights.\n", b"PK\x03\x04 and no more", b"\x80\x02}q\x00"]
)
def test_a_file_of_something_else_is_told_in_one_line(tmp_path, content):
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(TagsegError, match="not a file of weights") as caught:
        read_state(path)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_file_of_weights(tmp_path):
    with pytest.raises(TagsegError, match="not a file of weights"):
        read_state(tmp_path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("write", [pickle.dumps, None], ids=["pickle", "torch.save"])
def test_a_malicious_file_runs_nothing(tmp_path, write):
    path, folder = tmp_path / "w.pth", tmp_path / "made by the file"
    if write:
        path.write_bytes(write({"conv1.weight": MakesFolder(folder)}))
    else:
        torch.save({"conv1.weight": MakesFolder(folder)}, path)
    with pytest.raises(TagsegError, match="not a file of weights"):
        build_backbone("resnet18", str(path), 16)
    assert not folder.exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3, "state_dict": 4}, torch.zeros(2)])
def test_tensors_under_no_names_are_no_state(tmp_path, content):
    with pytest.raises(TagsegError, match="not a state dict"):
        read_state(saved(tmp_path / "w.pth", content))


@pytest.mark.parametrize("name", ["resnet34", "timm:resnet10t", "vgg16", "efficientnet_lite0"])
def test_weights_of_another_network_are_refused(tmp_path, resnet18_state, name):
    with pytest.raises(TagsegError, match="of another network"):
        build_backbone(name, saved(tmp_path / "w.pth", resnet18_state), 16)


def test_weights_of_a_deeper_sibling_are_refused(tmp_path):
    """All that ResNet-18 looks for is in ResNet-34's file, in the same shapes."""
    with pytest.raises(TagsegError, match="of another network.*layer1.2"):
        build_backbone("resnet18", saved(tmp_path / "w.pth", seeded("resnet34", 32).state_dict()), 16)


def test_an_empty_state_is_refused(tmp_path):
    with pytest.raises(TagsegError, match="of another network"):
        build_backbone("resnet18", saved(tmp_path / "w.pth", {}), 16)
