"""Train the multi-label classifier on the tags of the train images.

Writes the checkpoint, the log (a JSON row per epoch) and the average precision of each class on val
(on train if there is no val). An interrupted run resumes from the state beside the checkpoint.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tagseg.evaluation import metrics
from tagseg.models.classifier import Classifier
from tagseg.models.inputs import batches, square
from tagseg.runtime import commandline, devices
from tagseg.storage.checkpoints import describe, save_checkpoint
from tagseg.storage.files import write_json
from tagseg.storage.index import Index, read_index
from tagseg.training.augmentation import Augmentation, TrainingSet, tag_vector
from tagseg.training.distributed import is_main, launch, process_group
from tagseg.training.loop import Training
from tagseg.training.losses import TagLoss
from tagseg.training.pooled import HeadAlone, PooledSet, pooled_features
from tagseg.training.resume import fingerprint, resumable_state
from tagseg.training.settings import ClassifierStage, TrainingSettings
from tagseg.workflow.code_digest import code_digest

logger = logging.getLogger(__name__)


@commandline.command
def main(
    index: Path,
    settings: ClassifierStage,
    checkpoint: Path,
    log: Path,
    average_precision: Path,
    threads: int = 1,
    processes: int = 1,
) -> None:
    launch(1 if settings.training.frozen == "all" else processes)  # a head alone takes seconds
    devices.prepare(threads, settings.deterministic)
    known = read_index(index)
    torch.manual_seed(settings.random_seed)
    classifier = Classifier(settings.network, len(known.classes))
    identity = fingerprint(settings, index, code_digest(__file__))
    with devices.device() as where, process_group(where), resumable_state(checkpoint) as state:
        training = training_of(classifier, known, settings, where, threads)
        epochs = training.run(state, identity)
        if isinstance(training.model, HeadAlone):
            training.model.fold()
        if is_main():
            precision = evaluate(classifier, known, settings.training, where)
            write_json(log, {"epochs": epochs, "device": devices.describe(where)})
            write_json(average_precision, precision)
            save_checkpoint(checkpoint, classifier, describe("classifier", known.classes, settings.network))
            logger.info("mean average precision on %s: %.1f", precision["split"], precision["mean"])


def training_of(
    classifier: Classifier, index: Index, stage: ClassifierStage, where: torch.device, threads: int
) -> Training:
    """Return the training of the classifier on the train images and their tags.

    If the whole backbone is frozen, its pooled features are computed once, and the head learns from them.
    """
    settings, rows = stage.training, index.of_split("train")
    targets = {row.id: tag_vector(index.class_indices(row), len(index.classes)) for row in rows}
    if settings.frozen == "all":
        features = pooled_features(classifier.backbone, rows, settings, where, threads)
        vectors = torch.from_numpy(np.stack([targets[row.id] for row in rows]))
        pooled = PooledSet(features, vectors, stage.random_seed)
        return Training(HeadAlone(classifier, features), pooled, TagLoss(), settings, where)
    augmentation = Augmentation(settings.input_size, settings.scales, settings.flip)
    data = TrainingSet(rows, augmentation, stage.random_seed, lambda row: targets[row.id])
    return Training(classifier, data, TagLoss(), settings, where, devices.workers(where, threads))


@torch.no_grad()
def evaluate(classifier: Classifier, index: Index, settings: TrainingSettings, where: torch.device) -> dict[str, Any]:
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
    scores = {tag: metrics.average_precision(column, score) for tag, column, score in columns}
    by_class = {tag: score if np.isfinite(score) else None for tag, score in scores.items()}
    mean = np.mean([score for score in by_class.values() if score is not None])
    return {"split": split, "mean": float(mean), "by_class": by_class}


if __name__ == "__main__":
    commandline.run(main)
