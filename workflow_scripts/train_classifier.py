"""Train the multi-label classifier on the tags of the train images.

Writes the checkpoint, the log (a JSON row per epoch) and the average precision of each class on val
(on train if there is no val). An interrupted run resumes from the state beside the checkpoint.
"""

import argparse
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tagseg.evaluation.metrics import average_precision
from tagseg.models.classifier import Classifier
from tagseg.models.inputs import batches, square
from tagseg.models.weights import weights_files
from tagseg.runtime import commandline, devices
from tagseg.storage.checkpoints import describe, save_checkpoint
from tagseg.storage.files import write_json
from tagseg.storage.index import INDEX_FILES, Index, read_index
from tagseg.training.augmentation import Augmentation, TrainingSet, tag_vector
from tagseg.training.distributed import is_main, launch, process_group
from tagseg.training.loop import Training
from tagseg.training.losses import TagLoss
from tagseg.training.resume import fingerprint, resumable_state
from tagseg.training.settings import ClassifierStage, TrainingSettings
from tagseg.workflow.code_digest import code_digest

log = logging.getLogger(__name__)


def main() -> None:
    arguments = parse_arguments()
    stage: ClassifierStage = arguments.settings
    launch(arguments.processes)
    devices.prepare(arguments.threads, stage.deterministic)
    index = read_index(arguments.index)
    torch.manual_seed(stage.random_seed)
    classifier = Classifier(stage.network, len(index.classes))
    files = [Path(arguments.index) / name for name in INDEX_FILES]
    files += map(Path, weights_files(stage.network.weights))
    identity = fingerprint(stage.model_dump(), files, code_digest(__file__))
    data = data_of(index, stage)
    with devices.device() as where, process_group(where), resumable_state(arguments.checkpoint) as state:
        workers = devices.workers(where, arguments.threads)
        epochs = Training(classifier, data, TagLoss(), stage.training, where, workers).run(state, identity)
        if is_main():
            precision = evaluate(classifier, index, stage.training, where)
            write_json(arguments.log, {"epochs": epochs, "device": devices.describe(where)})
            write_json(arguments.average_precision, precision)
            description = describe("classifier", index.classes, stage.network)
            save_checkpoint(arguments.checkpoint, classifier, description)
            log.info("mean average precision on %s: %.1f", precision["split"], precision["mean"])


def parse_arguments() -> argparse.Namespace:
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser, ClassifierStage)
    commandline.add_threads(parser)
    commandline.add_processes(parser)
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="output")
    parser.add_argument("--log", required=True, metavar="FILE", help="output, JSON")
    parser.add_argument("--average-precision", required=True, metavar="FILE", help="output, JSON")
    return parser.parse_args()


def data_of(index: Index, stage: ClassifierStage) -> TrainingSet:
    """Return the train images with their tags as vectors."""
    training, classes = stage.training, len(index.classes)
    return TrainingSet(
        index.of_split("train"),
        Augmentation(training.input_size, training.scales, training.flip),
        stage.random_seed,
        lambda row: tag_vector(index.class_indices(row), classes),
    )


@torch.no_grad()
def evaluate(
    classifier: Classifier, index: Index, settings: TrainingSettings, where: torch.device
) -> dict[str, Any]:
    """Return the average precision of each class in percent, and the mean."""
    split = "val" if any(row.tags for row in index.of_split("val")) else "train"
    rows = [row for row in index.of_split(split) if row.tags]
    classifier.eval()
    scored = []
    for _, images in commandline.progress(batches(rows, 16), split, -(-len(rows) // 16)):
        batch = torch.stack([square(image, settings.input_size) for image in images]).to(where)
        with devices.autocast(where, settings.precision):
            scored.append(classifier(batch).float().cpu().numpy())
    relevant = np.stack([tag_vector(index.class_indices(row), len(index.classes)) for row in rows]) > 0
    columns = zip(index.classes[1:], relevant.T, np.concatenate(scored).T, strict=True)
    scores = {tag: average_precision(column, score) for tag, column, score in columns}
    by_class = {tag: score if np.isfinite(score) else None for tag, score in scores.items()}
    mean = np.mean([score for score in by_class.values() if score is not None])
    return {"split": split, "mean": float(mean), "by_class": by_class}


if __name__ == "__main__":
    commandline.run(main)
