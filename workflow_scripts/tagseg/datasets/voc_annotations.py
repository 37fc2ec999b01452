"""PASCAL VOC's annotations: an XML file a photograph, of which the names of the objects are read."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from tagseg.datasets.places import check_inside, read_text
from tagseg.errors import TagsegError

MAX_ANNOTATION_BYTES = 1_000_000

_DECLARATION = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def read_tags(path: Path, devkit: Path, missing: str, difficult: bool) -> frozenset[str]:
    """Return the names of the objects in a photograph's annotation, those marked difficult too if asked for.

    Raises TagsegError where the annotation is no good or a link out of the `devkit`; where it is missing,
    with the remedy `missing`.
    """
    objects = _parse(path, devkit, missing).findall("object")
    return frozenset(_object_name(path, thing) for thing in objects if difficult or _is_easy(thing))


def _parse(path: Path, devkit: Path, missing: str) -> ElementTree.Element:
    """Return the root of an annotation. Raises TagsegError on malformed, huge or unsafe XML.

    The parser gets text, so that the encoding that the file declares cannot hide a document type,
    whose entities may expand to gigabytes.
    """
    check_inside(devkit, path)
    if path.exists() and path.stat().st_size > MAX_ANNOTATION_BYTES:
        raise TagsegError(f"{path}: more than {MAX_ANNOTATION_BYTES:,} bytes for one annotation; replace it")
    text = read_text(path, missing)
    if _DECLARATION.search(text):
        raise TagsegError(f"{path}: declares a DOCTYPE or ENTITY; remove the declaration")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise TagsegError(f"{path}: not valid XML ({error}); replace it") from None


def _is_easy(thing: ElementTree.Element) -> bool:
    return thing.findtext("difficult", "0").strip() != "1"


def _object_name(path: Path, thing: ElementTree.Element) -> str:
    """Return an object's class. Parts of a person have names too, which are not looked at."""
    name = thing.findtext("name", "").strip()
    if not name:
        raise TagsegError(f"{path}: an object without a name; add <name>class</name> to it")
    return name
