"""Compute the class activation maps of one shard of the train photographs, for the tags they carry.

The maps of all views are averaged. They orient the class patterns, and are the seed to compare with.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional as F

from tagseg import commandline
from tagseg.cam_shards import write_cam
from tagseg.classifier import Classifier, load_classifier
from tagseg.devices import autocast, device, prepare
from tagseg.files import digest
from tagseg.index import Index, Photograph, read_index
from tagseg.map_shards import views
from tagseg.photographs import batches, square


def main() -> None:
    arguments = parse_arguments()
    prepare(arguments.threads, arguments.settings["deterministic"])
    index = read_index(arguments.index)
    rows = index.shard("train", arguments.shard, arguments.shards)
    classifier = load_classifier(arguments.checkpoint, index.classes)
    with device() as where:
        classifier.to(where, memory_format=torch.channels_last)
        read = batches(rows, arguments.settings["batch_size"], arguments.threads)
        maps = cam_of_tags(classifier, index, rows, read, arguments.settings, where)
        write_cam(arguments.cam, maps, digest(arguments.checkpoint))


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    commandline.add_shard(parser)
    commandline.add_threads(parser)
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="of the classifier")
    parser.add_argument("--cam", required=True, metavar="FILE", help="output, HDF5")
    return parser.parse_args()


def cam_of_tags(
    classifier: Classifier,
    index: Index,
    rows: tuple[Photograph, ...],
    read: Iterator[tuple[int, list[np.ndarray]]],
    settings: dict,
    where: torch.device,
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield (id, class number, map float32 (h, w)) for every tag of every photograph; `read` gives them."""
    for start, images in commandline.progress(read, "CAM", -(-len(rows) // settings["batch_size"])):
        maps = mean_cam(classifier, images, settings, where)
        for row, cams in zip(rows[start:], maps, strict=False):
            for number in index.numbers(row):
                yield row.id, number, cams[number - 1]


@torch.no_grad()
def mean_cam(
    classifier: Classifier, images: list[np.ndarray], settings: dict, where: torch.device
) -> np.ndarray:
    """Return CAM float32 (N, classes - 1, h, w) averaged over views, at the largest view's resolution."""
    largest = max(settings["sizes"])
    maps = []
    for view in sorted(views(settings["sizes"], settings["flip"]), key=lambda one: one.size != largest):
        batch = torch.stack([square(image, view.size, view.mirrored) for image in images]).to(where)
        with autocast(where, settings["precision"]):
            cam = classifier.scores_and_cam(batch)[1].float()
        cam = cam.flip(-1) if view.mirrored else cam
        size = maps[0].shape[2:] if maps else cam.shape[2:]
        maps.append(F.interpolate(cam, size=size, mode="bilinear", align_corners=False))
    return torch.stack(maps).mean(dim=0).cpu().numpy()


if __name__ == "__main__":
    commandline.run(main)
