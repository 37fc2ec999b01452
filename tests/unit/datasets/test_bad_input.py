"""Bad input, one table for all of it: each row is fed to the reader that a stage reads it by."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from bad_input_images import IMAGES, TABLES
from bad_input_paths import PLACES, WORKS
from tagseg.runtime.errors import TagsegError


class Case(NamedTuple):
    """One input: its section, what it is, what is answered (a part), and who feeds it."""

    section: str
    what: str
    answer: str
    feed: Callable[[Path], object]

    @property
    def short(self) -> str:
        return re.sub(r"\W+", " ", self.what).strip()


# The table -----------------------------------------------------------------------------------------

SECTIONS = {"Images": IMAGES, "Tables of labels and class lists": TABLES, "Links, pipes and names": PLACES}
CASES = [Case(section, *row) for section, rows in SECTIONS.items() for row in rows]


@pytest.mark.timeout(60)  # what waits for a named pipe waits forever
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.short)
def test_bad_input(case, tmp_path):
    if case.answer == WORKS:
        case.feed(tmp_path)
        return
    with pytest.raises(TagsegError) as caught:
        case.feed(tmp_path)
    assert case.answer in str(caught.value)
    assert not (tmp_path / "executed").exists()
