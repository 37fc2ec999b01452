"""Compute the class activation maps of one shard of the train images, for their tags.

The maps of all views are averaged. They orient the class patterns, and give the seed for comparison.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from tagseg.models.classifier import Classifier, load_classifier
from tagseg.models.inputs import batches
from tagseg.models.views import forward_views
from tagseg.patterns.settings import FeatureSettings, ForwardStage
from tagseg.runtime import commandline
from tagseg.runtime.devices import device, prepare
from tagseg.storage.cam_shards import write_cam
from tagseg.storage.feature_shards import views
from tagseg.storage.files import digest
from tagseg.storage.index import read_index


@commandline.command
def main(
    index: Path, settings: ForwardStage, shard: int, shards: int, checkpoint: Path, cam: Path, threads: int = 1
) -> None:
    prepare(threads, settings.deterministic)
    known = read_index(index)
    rows = known.shard("train", shard, shards)
    classifier = load_classifier(checkpoint, known.classes)

    def maps(where: torch.device) -> Iterator[tuple[str, int, np.ndarray]]:
        """Yield (id, class index, CAM float32 (h, w)) for every tag of every image."""
        read = batches(rows, settings.batch_size, threads)
        for start, images in commandline.progress(read, "CAM", -(-len(rows) // settings.batch_size)):
            for row, cams in zip(rows[start:], mean_cam(classifier, images, settings, where), strict=False):
                for label in known.class_indices(row):
                    yield row.id, label, cams[label - 1]

    with device() as where:
        classifier.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
        write_cam(cam, maps(where), digest(checkpoint))


def mean_cam(
    classifier: Classifier, images: Sequence[np.ndarray], settings: FeatureSettings, where: torch.device
) -> np.ndarray:
    """Return CAM float32 (N, classes - 1, h, w) averaged over views, at the size of the largest."""
    largest_first = sorted(views(settings.sizes, settings.flip), key=lambda view: view.size < max(settings.sizes))
    passes = forward_views(
        lambda batch: classifier.scores_and_cam(batch)[1], images, largest_first, settings.precision, where
    )
    maps = [cam for _, cam in passes]
    size = maps[0].shape[2:]
    same_size = [F.interpolate(cam, size=size, mode="bilinear", align_corners=False) for cam in maps]
    return torch.stack(same_size).mean(dim=0).cpu().numpy()


if __name__ == "__main__":
    commandline.run(main)
