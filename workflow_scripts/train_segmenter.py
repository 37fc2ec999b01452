"""Train DeepLab-LargeFOV on masks of the train images: proxy masks, predictions, or ground truth.

Writes the checkpoint and the log (a JSON row per epoch). An interrupted run resumes from the state beside
the checkpoint.
"""

import argparse
from pathlib import Path

import torch

from tagseg.models.deeplab import DeepLabLargeFov
from tagseg.models.weights import weights_files
from tagseg.runtime import commandline, devices
from tagseg.runtime.errors import TagsegError
from tagseg.storage.checkpoints import describe, save_checkpoint
from tagseg.storage.files import digest, write_json
from tagseg.storage.index import INDEX_FILES, Index, read_index
from tagseg.storage.mask_shards import MANIFEST, MaskFile, read_mask_shards
from tagseg.training.augmentation import Augmentation, TrainingSet
from tagseg.training.distributed import is_main, launch, process_group
from tagseg.training.loop import Training
from tagseg.training.losses import MaskLoss
from tagseg.training.resume import fingerprint, resumable_state
from tagseg.training.settings import SegmenterStage
from tagseg.workflow.code_digest import code_digest


def main() -> None:
    arguments = parse_arguments()
    stage: SegmenterStage = arguments.settings
    launch(arguments.processes)
    devices.prepare(arguments.threads, stage.deterministic)
    index = read_index(arguments.index)
    data = data_of(index, read_mask_shards(arguments.masks), stage)
    torch.manual_seed(stage.random_seed)
    model = DeepLabLargeFov(stage.network, len(index.classes))
    manifests = [Path(shard) / MANIFEST for shard in arguments.masks]
    files = [*(Path(arguments.index) / name for name in INDEX_FILES), *manifests]
    files += map(Path, weights_files(stage.network.weights))
    identity = fingerprint(stage.model_dump(), files, code_digest(__file__))
    with devices.device() as where, process_group(where), resumable_state(arguments.checkpoint) as state:
        workers = devices.workers(where, arguments.threads)
        epochs = Training(model, data, MaskLoss(), stage.training, where, workers).run(state, identity)
        if is_main():
            description = describe("segmenter", index.classes, stage.network)
            description["masks"] = [digest(manifest) for manifest in manifests]
            write_json(arguments.log, {"epochs": epochs, "device": devices.describe(where)})
            save_checkpoint(arguments.checkpoint, model, description)


def parse_arguments() -> argparse.Namespace:
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser, SegmenterStage)
    commandline.add_threads(parser)
    commandline.add_processes(parser)
    parser.add_argument("--masks", required=True, nargs="+", metavar="FOLDER", help="all shards")
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="output")
    parser.add_argument("--log", required=True, metavar="FILE", help="output, JSON")
    return parser.parse_args()


def data_of(index: Index, masks: dict[str, MaskFile], stage: SegmenterStage) -> TrainingSet:
    """Return the train images that have a mask, with it. Raises TagsegError if none has.

    They repeat up to the number of train images, so every training takes the same number of steps.
    """
    train = index.of_split("train")
    rows = [row for row in train if row.id in masks]
    if not rows:
        raise TagsegError(
            "train: no image has a mask. For the upper bound, add ground truth of train images."
        )
    training = stage.training
    return TrainingSet(
        [rows[turn % len(rows)] for turn in range(len(train))],
        Augmentation(training.input_size, training.scales, training.flip),
        stage.random_seed,
        lambda row: masks[row.id].read(),
    )


if __name__ == "__main__":
    commandline.run(main)
