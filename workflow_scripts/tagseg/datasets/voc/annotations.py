"""PASCAL VOC's annotations: one XML file per image; only the names of its objects are used."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from tagseg.datasets.paths import read_text, user_error

MAX_ANNOTATION_BYTES = 1_000_000

_DECLARATION = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def read_tags(path: Path, remedy: str, difficult: bool) -> frozenset[str]:
    """Return the names of the objects in an annotation; `difficult` includes those marked difficult.

    Raises TagsegError where the annotation is invalid; `remedy` is for a missing one.
    """
    objects = _parse(path, remedy).findall("object")
    kept = [one for one in objects if difficult or one.findtext("difficult", "0").strip() != "1"]
    names = frozenset(one.findtext("name", "").strip() for one in kept)
    if "" in names:
        raise user_error(path, "an object has no name", "add <name>class</name> to it")
    return names


def _parse(path: Path, remedy: str) -> ElementTree.Element:
    """Return the root element; entities are refused in any encoding, since they can expand to gigabytes."""
    text = read_text(path, remedy)
    if len(text) > MAX_ANNOTATION_BYTES:
        raise user_error(path, f"more than {MAX_ANNOTATION_BYTES:,} bytes for one annotation", "replace it")
    if _DECLARATION.search(text):
        raise user_error(path, "declares a DOCTYPE or ENTITY", "remove the declaration")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise user_error(path, f"not valid XML ({error})", "replace it") from None
