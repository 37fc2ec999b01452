"""Forward one shard of the train images to a node of the classifier, and write the feature maps.

The forward pass stops at the node. Every input size, mirrored or not, is one view.
"""

from argparse import Namespace

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


def main() -> None:
    arguments = parse_arguments()
    settings = arguments.settings
    prepare(arguments.threads, settings.deterministic)
    index = read_index(arguments.index)
    rows = index.shard("train", arguments.shard, arguments.shards)
    extractor = feature_extractor(load_classifier(arguments.checkpoint, index.classes), arguments.node)
    shard = (arguments.features, [row.id for row in rows], arguments.node, digest(arguments.checkpoint))
    with device() as where, write_maps(*shard) as writer:
        extractor.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
        read = batches(rows, settings.batch_size, arguments.threads)
        for start, images in commandline.progress(read, "features", -(-len(rows) // settings.batch_size)):
            shown = views(settings.sizes, settings.flip)
            for view, maps in forward_views(extractor, images, shown, settings.precision, where):
                writer.write(view, start, maps.cpu().numpy())


def parse_arguments() -> Namespace:
    parser = commandline.parser(__doc__)
    commandline.add_shard(parser)
    commandline.add_threads(parser)
    commandline.add_settings(parser, ForwardStage)
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="of the classifier")
    parser.add_argument("--node", required=True, metavar="NAME", help="like layer4.0, or C41")
    parser.add_argument("--features", required=True, metavar="FILE", help="output, HDF5")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
