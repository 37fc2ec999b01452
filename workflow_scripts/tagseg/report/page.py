"""The content of the page of results, which is one file."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tagseg.models.nodes import AUTO
from tagseg.report.settings import ReportSettings
from tagseg.storage.index import SPLITS, Index

LARGE = 200_000  # bytes above which a PNG is embedded as JPEG, if that is smaller
SECTIONS = {"examples_val": "Examples", "training": "Training", "per_class": "Classes", "best_worst": "Best and worst"}


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI; `name` is the stem of its file, sizes are in pixels."""

    name: str
    uri: str
    width: int
    height: int
    caption: str

    @property
    def title(self) -> str:
        """The heading of the picture."""
        return self.name.replace("_", " ").capitalize()


def read_picture(path: Path, captions: Path) -> Picture:
    """Read a PNG; its caption is the file of the same stem in the folder `captions`, if there is one."""
    content, kind = path.read_bytes(), "png"
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
        if len(content) > LARGE:
            stream = io.BytesIO()
            image.convert("RGB").save(stream, "JPEG", quality=88, subsampling=0, optimize=True)
            content, kind = min((content, "png"), (stream.getvalue(), "jpeg"), key=lambda one: len(one[0]))
    uri = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    source = captions / f"{path.stem}.rst"
    caption = " ".join(source.read_text(encoding="utf-8").split()) if source.exists() else ""
    return Picture(path.stem, uri, width, height, caption)


def in_sections(pictures: Iterable[Picture], tables: Iterable[str]) -> dict[str, list[Picture]]:
    """Return the pictures by the section of the page; those of `tables` stand below the table of their name."""
    sections: dict[str, list[Picture]] = {name: [] for name in (*SECTIONS.values(), "Figures", *tables)}
    for picture in pictures:
        name = picture.name if picture.name in sections else SECTIONS.get(picture.name, "Figures")
        sections[name].append(picture)
    return sections


def lead(index: Index, settings: ReportSettings) -> str:
    """Return the sentences that open the page."""
    chosen = settings.layer == AUTO
    layer = "a layer chosen from tags and images" if chosen else f"the layer {settings.layer}"
    count = {split: len(index.of_split(split)) for split in SPLITS}
    others = [f"{count[split]} images of {split}" for split in ("val", "test") if count[split]]
    return (
        f"A network ({settings.segmenter['network']['backbone']}) that segments {len(index.classes) - 1} "
        f"classes, trained on {count['train']} images and their tags alone; its proxy masks come from "
        f"{layer} of a classifier. {' and '.join(others) or 'No images'} were held out."
    )
