"""Forward one shard of the train photographs to a node of the classifier; write the feature maps.

The pass stops at the node. Every input size, mirrored or not, is a view of its own.
"""

import torch

from tagseg import commandline
from tagseg.classifier import feature_extractor, load_classifier
from tagseg.devices import autocast, device, prepare
from tagseg.files import digest
from tagseg.index import read_index
from tagseg.map_shards import views, write_maps
from tagseg.photographs import batches, square


@torch.no_grad()
def main() -> None:
    arguments = parse_arguments()
    prepare(arguments.threads, arguments.settings["deterministic"])
    index, settings = read_index(arguments.index), arguments.settings
    rows = index.shard("train", arguments.shard, arguments.shards)
    extractor = feature_extractor(load_classifier(arguments.checkpoint, index.classes), arguments.node)
    size = settings["batch_size"]
    shard = (arguments.features, [row.id for row in rows], arguments.node, digest(arguments.checkpoint))
    with device() as where, write_maps(*shard) as writer:
        extractor.to(where, memory_format=torch.channels_last)
        read = batches(rows, size, arguments.threads)
        for start, images in commandline.progress(read, "features", -(-len(rows) // size)):
            for view in views(settings["sizes"], settings["flip"]):
                batch = torch.stack([square(image, view.size, view.mirrored) for image in images])
                with autocast(where, settings["precision"]):
                    maps = extractor(batch.to(where)).float()
                maps = maps.flip(-1) if view.mirrored else maps
                writer.write(view, start, maps.cpu().numpy())


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    commandline.add_shard(parser)
    commandline.add_threads(parser)
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="of the classifier")
    parser.add_argument("--node", required=True, metavar="NAME", help="like layer4.0, or C41")
    parser.add_argument("--features", required=True, metavar="FILE", help="output, HDF5")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
