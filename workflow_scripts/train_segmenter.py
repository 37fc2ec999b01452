"""Train DeepLab-LargeFOV on masks of the train photographs: proxy masks, predictions, or true ones.

Writes the checkpoint and the log (a JSON row an epoch). An interrupted run resumes from the state beside
the checkpoint.
"""

from pathlib import Path

import torch

from tagseg import commandline
from tagseg.backbones import weights_files
from tagseg.checkpoints import save_checkpoint
from tagseg.code_digest import code_digest
from tagseg.deeplab import DeepLabLargeFov, SegmenterSettings, without_weights
from tagseg.devices import describe, device, prepare, workers
from tagseg.distributed import is_main, launch, process_group
from tagseg.errors import TagsegError
from tagseg.files import digest, write_json
from tagseg.index import INDEX_FILES, Index, read_index
from tagseg.losses import MaskLoss
from tagseg.mask_shards import MANIFEST, MaskFile, read_mask_shards
from tagseg.photographs import Augmentation, TrainingSet
from tagseg.training import Training, TrainingSettings, fingerprint, resumable_state


def main() -> None:
    arguments = parse_arguments()
    launch(arguments.processes)
    prepare(arguments.threads, arguments.settings["deterministic"])
    index = read_index(arguments.index)
    network = SegmenterSettings(**arguments.settings["network"])
    settings = TrainingSettings(**arguments.settings["training"])
    data = data_of(index, read_mask_shards(arguments.masks), settings)
    torch.manual_seed(settings.random_seed)
    model = DeepLabLargeFov(network, len(index.classes))
    manifests = [Path(shard) / MANIFEST for shard in arguments.masks]
    files = [Path(arguments.index) / name for name in INDEX_FILES]
    files += manifests + weights_files(network.weights)
    identity = fingerprint(arguments.settings, files, code_digest(__file__))
    with device() as where, process_group(where), resumable_state(arguments.checkpoint) as state:
        training = Training(model, data, MaskLoss(), settings, where, workers(where, arguments.threads))
        log = training.run(state, identity)
        if is_main():
            description = {"classes": list(index.classes), "settings": without_weights(network)}
            learnt = {"masks": [digest(manifest) for manifest in manifests]}
            write_json(arguments.log, {"epochs": log, "device": describe(where)})
            save_checkpoint(arguments.checkpoint, model, {"kind": "segmenter", **description, **learnt})


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    commandline.add_threads(parser)
    commandline.add_processes(parser)
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


if __name__ == "__main__":
    commandline.run(main)
