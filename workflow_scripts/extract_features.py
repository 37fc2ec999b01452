"""Forward one shard of the train images to a node of the classifier, and write the feature maps.

The forward pass stops at the node. Every input size, mirrored or not, is one view.
"""

from pathlib import Path

import torch

from tagseg.models.classifier import feature_extractor, load_classifier
from tagseg.models.inputs import batches
from tagseg.models.views import forward_views
from tagseg.patterns.settings import ForwardStage
from tagseg.runtime import commandline
from tagseg.runtime.devices import device, prepare
from tagseg.storage.feature_shards import views, write_maps
from tagseg.storage.files import digest
from tagseg.storage.index import read_index


@commandline.command
def main(
    index: Path,
    settings: ForwardStage,
    shard: int,
    shards: int,
    node: str,
    checkpoint: Path,
    features: Path,
    threads: int = 1,
) -> None:
    prepare(threads, settings.deterministic)
    known = read_index(index)
    rows = known.shard("train", shard, shards)
    extractor = feature_extractor(load_classifier(checkpoint, known.classes), node)
    ids = [row.id for row in rows]
    with device() as where, write_maps(features, ids, node, digest(checkpoint), settings.bits) as writer:
        extractor.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
        read = batches(rows, settings.batch_size, threads)
        for start, images in commandline.progress(read, "features", -(-len(rows) // settings.batch_size)):
            shown = views(settings.sizes, settings.flip)
            for view, maps in forward_views(extractor, images, shown, settings.precision, where):
                writer.write(view, start, maps.cpu().numpy())


if __name__ == "__main__":
    commandline.run(main)
