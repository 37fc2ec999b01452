"""The kinds of data sets: one line each."""

from tagseg.datasets.base import Adapter
from tagseg.datasets.coco.adapter import CocoAdapter
from tagseg.datasets.demo.adapter import DemoAdapter
from tagseg.datasets.folder.adapter import FolderAdapter
from tagseg.datasets.voc.adapter import VocAdapter

ADAPTERS: dict[str, type[Adapter]] = {
    "demo": DemoAdapter,
    "voc": VocAdapter,
    "coco": CocoAdapter,
    "photos": FolderAdapter,
}
