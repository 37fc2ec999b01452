"""Train DeepLab-LargeFOV on masks of the train photographs: proxy masks, predictions, or true ones.

Writes the checkpoint and the log (a JSON row an epoch). An interrupted run resumes from the state beside
the checkpoint.
"""

from pathlib import Path

import torch
from torch import nn

from tagseg import commandline
from tagseg.backbones import weights_files
from tagseg.code_digest import code_digest
from tagseg.deeplab import DeepLabLargeFov, SegmenterSettings, without_weights
from tagseg.devices import device, set_threads
from tagseg.errors import TagsegError
from tagseg.files import write_json
from tagseg.images import VOID
from tagseg.index import INDEX_FILES, Index, read_index
from tagseg.mask_shards import MANIFEST, MaskFile, read_mask_shards
from tagseg.photographs import Augmentation, TrainingSet
from tagseg.training import (
    Training,
    TrainingSettings,
    fingerprint,
    resumable_state,
    save_checkpoint,
)


def main() -> None:
    arguments = parse_arguments()
    set_threads(arguments.threads)
    index = read_index(arguments.index)
    network = SegmenterSettings(**arguments.settings["network"])
    settings = TrainingSettings(**arguments.settings["training"])
    data = data_of(index, read_mask_shards(arguments.masks), settings)
    torch.manual_seed(settings.random_seed)
    model = DeepLabLargeFov(network, len(index.classes))
    files = [Path(arguments.index) / name for name in INDEX_FILES]
    files += [Path(shard) / MANIFEST for shard in arguments.masks] + weights_files(network.weights)
    identity = fingerprint(arguments.settings, files, code_digest(__file__))
    with device() as where, resumable_state(arguments.checkpoint) as state:
        workers = arguments.threads if where.type == "cuda" else 0
        log = Training(model, data, loss, settings, where, workers).run(state, identity)
        description = {"classes": list(index.classes), "settings": without_weights(network)}
        write_json(arguments.log, {"epochs": log})
        save_checkpoint(arguments.checkpoint, model, {"kind": "segmenter", **description})


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    commandline.add_threads(parser)
    parser.add_argument("--masks", required=True, nargs="+", metavar="FOLDER", help="all shards")
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="output")
    parser.add_argument("--log", required=True, metavar="FILE", help="output, JSON")
    return parser.parse_args()


def data_of(index: Index, masks: dict[str, MaskFile], settings: TrainingSettings) -> TrainingSet:
    """Return the train photographs that have a mask, with it. Raises TagsegError where none has.

    The others' turns go to those that have one: every training takes the same number of steps.
    """
    train = index.of_split("train")
    rows = [row for row in train if row.id in masks]
    if not rows:
        raise TagsegError("no train photograph has a mask to train on; for the upper bound add some")
    return TrainingSet(
        [rows[turn % len(rows)] for turn in range(len(train))],
        Augmentation(settings.input_size, tuple(settings.scales), settings.flip),
        settings.random_seed,
        mask_of=lambda row: masks[row.id].read(),
    )


def loss(scores: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return the cross entropy of scores (N, classes, h, w) and masks uint8 (N, H, W), void left out.

    The labels are shrunk to the scores' grid with nearest neighbours, as DeepLab does.
    """
    small = nn.functional.interpolate(masks[:, None].float(), scores.shape[2:], mode="nearest-exact")
    labels = small[:, 0].long()
    total = nn.functional.cross_entropy(scores, labels, ignore_index=VOID, reduction="sum")
    return total / (labels != VOID).sum().clamp(min=1)


if __name__ == "__main__":
    commandline.run(main)
