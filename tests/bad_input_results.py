"""Results of earlier stages, and weights: rows of the table of bad input, (what, answer, who feeds it)."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch

from bad_input_places import WORKS, Change, Row
from helpers import MakesFolder
from tagseg.backbones import read_state
from tagseg.cam_shards import read_cam, write_cam
from tagseg.checkpoints import load_checkpoint, save_checkpoint
from tagseg.classifier import Classifier, ClassifierSettings, describe, load_classifier
from tagseg.images import write_mask
from tagseg.map_shards import MapShard, View, write_maps
from tagseg.mask_shards import MANIFEST, read_mask_shards, write_mask_shard
from tagseg.patterns import SUMMARY, ClassPattern, read_patterns, write_patterns

CLASSES = ("background", "cat", "dog")

# Any file -----------------------------------------------------------------------------------------


def cut(path: Path) -> None:
    """Cut off the second half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path, start: bytes) -> None:
    """Flip a bit of a file where these bytes start."""
    content = bytearray(path.read_bytes())
    content[content.index(start)] ^= 1
    path.write_bytes(content)


def edit(path: Path, change: Callable[[dict], object]) -> None:
    """Change a file of JSON."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


# Checkpoints and weights --------------------------------------------------------------------------


def network(classes: tuple[str, ...] = CLASSES, backbone: str = "resnet18") -> tuple[Classifier, dict]:
    """Return a classifier and its description."""
    classifier = Classifier(ClassifierSettings(backbone, None, 32), len(classes))
    return classifier, describe(classifier, classes)


def checkpoint_with_nan(folder: Path) -> None:
    classifier, description = network()
    with torch.no_grad():
        classifier.head.weight[0, 0] = float("nan")
    save_checkpoint(folder / "checkpoint.pth", classifier, description)
    load_classifier(folder / "checkpoint.pth", CLASSES)


def checkpoint_of_another_kind(folder: Path) -> None:
    classifier, description = network()
    save_checkpoint(folder / "checkpoint.pth", classifier, {**description, "kind": "segmenter"})
    load_classifier(folder / "checkpoint.pth", CLASSES)


def checkpoint_of_other_classes(folder: Path) -> None:
    classifier, description = network()
    save_checkpoint(folder / "checkpoint.pth", classifier, description)
    load_classifier(folder / "checkpoint.pth", ("background", "cat", "emu"))


def checkpoint_of_another_network(folder: Path) -> None:
    classifier, _ = network()
    save_checkpoint(folder / "checkpoint.pth", classifier, network(backbone="resnet34")[1])
    load_classifier(folder / "checkpoint.pth", CLASSES)


def checkpoint_that_is_cut_off(folder: Path) -> None:
    path = folder / "checkpoint.pth"
    save_checkpoint(path, torch.nn.Linear(100, 100), {})
    path.write_bytes(path.read_bytes()[:-5000])
    load_checkpoint(path)


def checkpoint_with_a_flipped_bit(folder: Path) -> None:
    path, layer = folder / "checkpoint.pth", torch.nn.Linear(100, 100)
    save_checkpoint(path, layer, {})
    flip(path, layer.bias.detach().numpy().tobytes())
    load_checkpoint(path)


def of_checkpoint(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """Return what reads a classifier's checkpoint after a change of what is in it."""

    def feed(folder: Path) -> None:
        classifier, description = network()
        content = {"description": description, "model": classifier.state_dict()}
        change(content)
        torch.save(content, folder / "checkpoint.pth")
        load_classifier(folder / "checkpoint.pth", CLASSES)

    return feed


def of_setting(name: str, value: object) -> Callable[[Path], None]:
    """Return what reads a classifier's checkpoint with this setting."""
    return of_checkpoint(lambda content: content["description"]["settings"].update({name: value}))


def of_head(weight: torch.Tensor) -> Callable[[Path], None]:
    """Return what reads a classifier's checkpoint with these weights of its head."""
    return of_checkpoint(lambda content: content["model"].update({"head.weight": weight}))


def of_pickle(name: str, read: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what reads a file that runs code where it is unpickled."""

    def feed(folder: Path) -> None:
        torch.save({"description": {}, "model": MakesFolder(folder / "executed")}, folder / name)
        read(folder / name)

    return feed


def compressed_weights(folder: Path) -> None:
    torch.save({"a": torch.zeros(10**6)}, folder / "plain.pth")
    with (
        zipfile.ZipFile(folder / "plain.pth") as plain,
        zipfile.ZipFile(folder / "weights.pth", "w", zipfile.ZIP_DEFLATED) as compressed,
    ):
        for name in plain.namelist():
            compressed.writestr(name, plain.read(name))
    read_state(folder / "weights.pth")


def expanded_weights(folder: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(4 * 10**9)}, folder / "weights.pth")
    read_state(folder / "weights.pth")


# Patterns -----------------------------------------------------------------------------------------


def of_patterns(name: str, change: Change) -> Callable[[Path], None]:
    """Return what reads patterns after a change of one of their files."""

    def feed(folder: Path) -> None:
        pattern = ClassPattern(np.eye(4)[0], np.zeros(4), np.array([0.5]), 9)
        write_patterns(folder / "patterns", {"cat": pattern}, "layer4")
        change(folder / "patterns" / name)
        read_patterns(folder / "patterns")

    return feed


def of_array(change: Change) -> Callable[[Path], None]:
    """Return what reads patterns after a change of the eigenvector's file."""
    return of_patterns("cat/eigenvector.npy", change)


def of_summary(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """Return what reads patterns after a change of what their summary says of the classes."""
    return of_patterns(SUMMARY, lambda path: edit(path, lambda content: change(content["classes"])))


def pickled_array(path: Path) -> None:
    np.save(path, np.array([MakesFolder(path.parents[2] / "executed")], object), allow_pickle=True)


def array_of_terabytes(path: Path) -> None:
    """Write a few numbers below a header that says that they are ten million million."""
    with open(path, "wb") as stream:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**13,)}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(np.eye(4)[0].tobytes())


# Shards -------------------------------------------------------------------------------------------


def of_maps(change: Change) -> Callable[[Path], None]:
    """Return what reads a shard of features after a change of the file."""

    def feed(folder: Path) -> None:
        with write_maps(folder / "shard.h5", ["a", "b"], "layer4") as writer:
            writer.write(View(32), 0, np.zeros((2, 64, 30, 30), np.float32))
        change(folder / "shard.h5")
        MapShard(folder / "shard.h5")

    return feed


def of_cam(change: Change) -> Callable[[Path], None]:
    """Return what reads a shard of CAM after a change of the file."""

    def feed(folder: Path) -> None:
        write_cam(folder / "cam.h5", [("a", 1, np.ones((30, 30), np.float32))])
        change(folder / "cam.h5")
        read_cam(folder / "cam.h5")

    return feed


def replaced(name: str, data: np.ndarray | None = None, **form) -> Change:
    """Return what replaces a dataset by another; without `data`, by one that is never written."""

    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file[name]
            file.create_dataset(name, data=data, **form)

    return change


def linked(name: str) -> Change:
    """Return what moves a dataset to another file and puts a link there."""

    def change(path: Path) -> None:
        with h5py.File(path.with_name("other.h5"), "w") as other, h5py.File(path, "r+") as file:
            file.copy(name, other)
            del file[name]
            file[name] = h5py.ExternalLink(other.filename, name)

    return change


def stored_elsewhere(path: Path) -> None:
    """Replace the maps by ones whose values are the bytes of another file."""
    other = path.with_name("other.bin")
    other.write_bytes(bytes(2 * 2 * 64 * 30 * 30))
    place = (str(other), 0, other.stat().st_size)
    replaced("32", shape=(2, 64, 30, 30), dtype=np.float16, external=[place])(path)


def of_manifest(change: Change) -> Callable[[Path], None]:
    """Return what reads a shard of masks after a change of its manifest."""

    def feed(folder: Path) -> None:
        write_mask_shard(folder / "shard", [("a", np.zeros((2, 2), np.uint8))])
        change(folder / "shard" / MANIFEST)
        read_mask_shards([folder / "shard"])

    return feed


def of_mask_id(name: str) -> Callable[[Path], None]:
    """Return what reads a shard of masks whose manifest has this id."""
    return of_manifest(lambda path: edit(path, lambda content: content["masks"][0].update(id=name)))


def mask_altered_by_hand(folder: Path) -> None:
    write_mask_shard(folder / "shard", [("a", np.zeros((2, 2), np.uint8))])
    write_mask(folder / "shard/a.png", np.ones((2, 2), np.uint8))
    read_mask_shards([folder / "shard"])["a"].read()


# The rows -----------------------------------------------------------------------------------------

NOT_OURS = "checkpoint.pth: not a checkpoint of tagseg"
ANOTHER = "checkpoint.pth: not a classifier of these classes; delete it and train again"
TWICE = np.array([b"a", b"a"], h5py.string_dtype("utf-8", 1))
SHAPE = (2, 64, 30, 30)
RESULTS: list[Row] = [
    ("checkpoint with NaN", "checkpoint.pth: holds values that are not finite", checkpoint_with_nan),
    ("checkpoint of a segmenter for a classifier's", ANOTHER, checkpoint_of_another_kind),
    ("checkpoint of other classes", ANOTHER, checkpoint_of_other_classes),
    ("checkpoint without classes", ANOTHER,
     of_checkpoint(lambda content: content["description"].pop("classes"))),
    ("checkpoint with the weights of another network", "checkpoint.pth: weights of another network (",
     checkpoint_of_another_network),
    ("checkpoint that is cut off", f"{NOT_OURS} (", checkpoint_that_is_cut_off),
    ("checkpoint with a flipped bit", f"{NOT_OURS} (damaged, the checksum of", checkpoint_with_a_flipped_bit),
    ("checkpoint whose description is text", f"{NOT_OURS} (its description is malformed); delete it",
     of_checkpoint(lambda content: content.update(description="classifier"))),
    ("checkpoint with an unknown setting",
     f"{NOT_OURS} (its settings are not those of a classifier); delete it", of_setting("sigma", 1)),
    ("checkpoint with a number for the backbone",
     f"{NOT_OURS} (its setting backbone has another type); delete it", of_setting("backbone", 5)),
    ("checkpoint with a dropout of 5",
     f"{NOT_OURS} (no network can be built of it, dropout probability", of_setting("dropout", 5)),
    ("checkpoint whose settings name a file of weights (is not opened)", WORKS,
     of_setting("weights", "/etc/passwd")),
    ("checkpoint whose state is a tensor", f"{NOT_OURS} (no state dict); delete it",
     of_checkpoint(lambda content: content.update(model=torch.zeros(3)))),
    ("checkpoint with a sparse tensor", f"{NOT_OURS} (head.weight is no plain tensor); delete it",
     of_head(torch.eye(2).to_sparse())),
    ("checkpoint with complex numbers", f"{NOT_OURS} (head.weight is no plain tensor); delete it",
     of_head(torch.zeros(2, 512, dtype=torch.complex64))),
    ("checkpoint of one number that says it is a million million",
     f"{NOT_OURS} (head.weight is no plain tensor); delete it",
     of_head(torch.zeros(1).expand(10**6, 10**6))),
    ("checkpoint with int8 weights", f"{NOT_OURS} (head.weight is torch.int8); delete it",
     of_head(torch.zeros(2, 512, dtype=torch.int8))),
    ("malicious pickle as checkpoint (is not run)",
     f"{NOT_OURS} (damaged, or more than data, which could run as a program)",
     of_pickle("checkpoint.pth", load_checkpoint)),
    ("malicious pickle as weights (is not run)",
     "weights.pth: not a file of weights (damaged, or more than data, which could run as a program)",
     of_pickle("weights.pth", read_state)),
    ("weights in a compressed archive",
     "weights.pth: not a file of weights (compressed, as torch writes no file); replace it",
     compressed_weights),
    ("weights of one number that says it is four thousand million",
     "weights.pth: not a state dict of tensors (a is no plain tensor); save", expanded_weights),
    ("malicious pickle as .npy (is not run)", "eigenvector.npy: not an array (", of_array(pickled_array)),
    (".npy that is cut off", "eigenvector.npy: not an array (", of_array(cut)),
    (".npy with a flipped bit in its header", "eigenvector.npy: not an array (",
     of_array(lambda path: flip(path, b"'descr"))),
    (".npy that says it has terabytes",
     "eigenvector.npy: not an array (mmap length is greater than file size); delete",
     of_array(array_of_terabytes)),
    (".npy of text", "eigenvector.npy: not an array (<U1 (4,), or not finite); delete",
     of_array(lambda path: np.save(path, np.array(["a"] * 4)))),
    (".npy of another length", "cat: eigenvector and mean differ in size; delete it and run again",
     of_array(lambda path: np.save(path, np.ones(5)))),
    ("pattern of the class `../../x`", "patterns.json: not a summary of patterns; delete",
     of_summary(lambda classes: classes.update({"../../x": classes.pop("cat")}))),
    ("pattern with text for a boundary", "patterns.json: not a summary of patterns; delete",
     of_summary(lambda classes: classes["cat"].update(boundary="high"))),
    ("HDF5 of features that is cut off", "shard.h5: not a shard of feature maps (", of_maps(cut)),
    ("HDF5 of features of another shape",
     "shard.h5: view 32 has shape (3, 64, 30) for 2 photographs; delete it and run again",
     of_maps(replaced("32", np.zeros((3, 64, 30), np.float16)))),
    ("HDF5 of features with an external link",
     "shard.h5: not a shard of feature maps (32 is a link); delete it", of_maps(linked("32"))),
    ("HDF5 of features with external storage",
     "shard.h5: not a shard of feature maps (32 lies in another file); delete it", of_maps(stored_elsewhere)),
    ("HDF5 of features in float32", "shard.h5: view 32 is float32, not float16; delete it",
     of_maps(replaced("32", np.zeros(SHAPE, np.float32)))),
    ("HDF5 of features that were never written",
     "shard.h5: view 32 has not a chunk a photograph; delete it",
     of_maps(replaced("32", shape=SHAPE, dtype=np.float16, chunks=(1, *SHAPE[1:])))),
    ("HDF5 of features with an id twice", "shard.h5: a photograph twice in the shard; delete it",
     of_maps(replaced("ids", TWICE))),
    ("HDF5 of CAM that is cut off", "cam.h5: not a shard of CAMs (", of_cam(cut)),
    ("HDF5 of CAM of another shape",
     "cam.h5: not a shard of CAMs (1 ids, 1 classes, maps (4, 30, 30)); delete it",
     of_cam(replaced("maps", np.zeros((4, 30, 30), np.float16)))),
    ("HDF5 of CAM whose classes are NaN",
     "cam.h5: not a shard of CAMs (classes are float64, maps float32); delete it",
     of_cam(replaced("classes", np.array([np.nan])))),
    ("HDF5 of CAM that says it has terabytes",
     "cam.h5: not a shard of CAMs (maps says that it holds more than it does); delete it",
     of_cam(replaced("maps", shape=(10**7, 10**4, 10**4), dtype=np.float32, chunks=(1, 100, 100)))),
    ("manifest of 100 levels", "manifest.json: not a manifest; delete",
     of_manifest(lambda path: path.write_text('{"masks": [' + "[" * 100 + "]" * 100 + "]}"))),
    ("manifest with an id of a NUL", "manifest.json: not a manifest; delete", of_mask_id("a\0b")),
    ("manifest with an id that is no text", "manifest.json: not a manifest; delete", of_mask_id("\ud800")),
    ("mask altered by hand", "a.png: altered since it was made; delete the folder", mask_altered_by_hand),
]  # fmt: skip
