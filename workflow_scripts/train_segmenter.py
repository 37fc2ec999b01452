"""Train DeepLab-LargeFOV on masks of the train images: proxy masks, predictions, or ground truth.

Writes the checkpoint and the log (a JSON row per epoch). An interrupted run resumes from the state beside
the checkpoint.
"""

from pathlib import Path

import torch

from tagseg.models.deeplab import DeepLabLargeFov
from tagseg.runtime import commandline, devices
from tagseg.runtime.errors import TagsegError
from tagseg.storage.checkpoints import describe, save_checkpoint
from tagseg.storage.files import digest, write_json
from tagseg.storage.index import Index, read_index
from tagseg.storage.mask_shards import MANIFEST, MaskFile, read_mask_shards
from tagseg.training.augmentation import Augmentation, TrainingSet
from tagseg.training.distributed import is_main, launch, process_group
from tagseg.training.loop import Training
from tagseg.training.losses import MaskLoss
from tagseg.training.resume import fingerprint, resumable_state
from tagseg.training.settings import SegmenterStage
from tagseg.workflow.code_digest import code_digest


@commandline.command
def main(
    index: Path,
    settings: SegmenterStage,
    masks: list[Path],
    checkpoint: Path,
    log: Path,
    threads: int = 1,
    processes: int = 1,
) -> None:
    launch(processes)
    devices.prepare(threads, settings.deterministic)
    known = read_index(index)
    data = data_of(known, read_mask_shards(masks), settings)
    torch.manual_seed(settings.random_seed)
    model = DeepLabLargeFov(settings.network, len(known.classes))
    manifests = [shard / MANIFEST for shard in masks]
    identity = fingerprint(settings, index, code_digest(__file__), manifests)
    with devices.device() as where, process_group(where), resumable_state(checkpoint) as state:
        workers = devices.workers(where, threads)
        epochs = Training(model, data, MaskLoss(), settings.training, where, workers).run(state, identity)
        if is_main():
            description = describe("segmenter", known.classes, settings.network)
            description["masks"] = [digest(manifest) for manifest in manifests]
            write_json(log, {"epochs": epochs, "device": devices.describe(where)})
            save_checkpoint(checkpoint, model, description)


def data_of(index: Index, masks: dict[str, MaskFile], stage: SegmenterStage) -> TrainingSet:
    """Return the train images that have a mask, with it. Raises TagsegError if none has.

    They repeat up to the number of train images, so every training takes the same number of steps.
    """
    train = index.of_split("train")
    rows = [row for row in train if row.id in masks]
    if not rows:
        raise TagsegError("train: no image has a mask. For the upper bound, add ground truth of train images.")
    training = stage.training
    return TrainingSet(
        [rows[turn % len(rows)] for turn in range(len(train))],
        Augmentation(training.input_size, training.scales, training.flip),
        stage.random_seed,
        lambda row: masks[row.id].read(),
    )


if __name__ == "__main__":
    commandline.run(main)
