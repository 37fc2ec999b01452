"""Checkpoints: ours are read back; anything else gets one line that names the file and the remedy."""

import pytest
import torch

from helpers import MakesFolder
from tagseg.models.classifier import Classifier, load_classifier
from tagseg.models.settings import ClassifierSettings
from tagseg.runtime.errors import TagsegError
from tagseg.storage.checkpoints import describe, load_checkpoint, save_checkpoint
from tagseg.storage.torch_files import NotData, read_data, read_state

CLASSES = ("background", "cat", "dog")
NOT_OURS = "not a checkpoint of tagseg, or damaged. Delete it and run again."
OTHER_CLASSES = "not a classifier of these classes. Name another one, or delete a result and run again."


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The content of a checkpoint of a classifier."""
    torch.manual_seed(0)
    settings = ClassifierSettings(backbone="timm:resnet10t", weights=None, output_stride=32)
    path = tmp_path_factory.mktemp("sound") / "checkpoint.pth"
    save_checkpoint(path, Classifier(settings, len(CLASSES)), describe("classifier", CLASSES, settings))
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize(("part", "changes", "message"), [
    (None, [1, 2], NOT_OURS),
    (None, {"model": {}}, NOT_OURS),
    ("description", {"settings": {}}, NOT_OURS),
    ("description", {"kind": "segmenter"}, OTHER_CLASSES),
    ("description", {"classes": ["background", "dog", "cat"]}, OTHER_CLASSES),
    ("model", {"head.weight": torch.zeros(9, 9)}, NOT_OURS),
    ("model", {"head.bias": torch.tensor([0, torch.nan])}, "not finite"),
], ids=["list", "no description", "no settings", "kind", "classes", "shape", "NaN"])  # fmt: skip
def test_a_checkpoint_that_does_not_fit_has_one_line(tmp_path, sound, part, changes, message):
    path = tmp_path / "checkpoint.pth"
    torch.save({**sound, part: {**sound[part], **changes}} if part else changes, path)
    with pytest.raises(TagsegError) as error:
        load_classifier(str(path), CLASSES)
    assert str(error.value).startswith(f"{path}: ") and message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["flipped bit", "truncated", "text", "folder", "code"])
def test_a_damaged_checkpoint_is_refused_and_never_run(tmp_path, sound, damage):
    path = tmp_path / "checkpoint.pth"
    torch.save({**sound, "extra": MakesFolder(tmp_path / "executed")} if damage == "code" else sound, path)
    content = bytearray(path.read_bytes())
    if damage == "flipped bit":
        content[content.index(sound["model"]["head.weight"].numpy().tobytes())] ^= 1
    if damage == "folder":
        path.unlink()
        path.mkdir()
    elif damage != "code":
        path.write_bytes({"truncated": content[:10_000], "text": b"a text\n"}.get(damage, content))
    with pytest.raises(TagsegError, match=f"^{path}: {NOT_OURS}"):
        load_checkpoint(path)
    with pytest.raises(TagsegError, match="no such checkpoint. Train the network first."):
        load_checkpoint(tmp_path / "absent.pth")
    assert not (tmp_path / "executed").exists()


STATE = {"weight": torch.arange(12.0).reshape(3, 4), "count": torch.tensor(7)}


def test_damage_anywhere_is_read_whole_or_refused(tmp_path):
    """Every 29th bit flipped, or the file cut every 50 bytes. Torch alone would accept flipped weights."""
    path = tmp_path / "w.pth"
    torch.save(STATE, path)
    content = path.read_bytes()
    damaged = [bytearray(content) for _ in range(0, 8 * len(content), 29)]
    for number, one in enumerate(damaged):
        one[29 * number // 8] ^= 1 << 29 * number % 8
    refused = 0
    for one in (*damaged, *(content[:length] for length in range(0, len(content), 50))):
        path.write_bytes(one)
        try:
            torch.testing.assert_close(read_data(path), STATE, rtol=0, atol=0)
        except NotData:
            refused += 1
    assert refused > len(damaged) / 2


NOT_WEIGHTS = {
    "empty": (b"", "not a file of weights"),
    "text": (b"These are weights.\n", "not a file of weights"),
    "cut archive": (b"PK\x03\x04 and no more", "not a file of weights"),
    "list": ([1, 2], "not a state dict of tensors. Save model.state_dict"),
    "no tensors": ({"state_dict": {"epoch": 4}}, "not a state dict"),
    "no names": ({5: torch.zeros(2)}, "not a state dict"),
    "sparse": ({"weight": torch.eye(3).to_sparse()}, "not a state dict"),
    "complex": ({"weight": torch.zeros(2, dtype=torch.complex64)}, "not a state dict"),
    "would fill the memory": ({"weight": torch.zeros(1).expand(4 * 10**9)}, "not a state dict"),
}


@pytest.mark.parametrize("case", NOT_WEIGHTS)
def test_a_users_file_without_weights_has_one_line(tmp_path, case):
    content, message = NOT_WEIGHTS[case]
    path = tmp_path / "w.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(TagsegError, match=f"^{path}: {message}") as error:
        read_state(path)
    assert "\n" not in str(error.value)
    with pytest.raises(TagsegError, match="no such weights file. Correct the path"):
        read_state(tmp_path / "absent.pth")
