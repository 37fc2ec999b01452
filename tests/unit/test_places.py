"""What lies in anyone's folder: there, not there, or not to be told."""

import errno
import os

import pytest

from tagseg.datasets import places
from tagseg.datasets.common import read_class_list
from tagseg.errors import TagsegError


def test_a_link_that_leads_nowhere_lies_there(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    assert places.lies_there(tmp_path / "link") and places.lies_there(tmp_path / "loop")
    assert places.lies_there(tmp_path) and not places.lies_there(tmp_path / "a")


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_what_the_machine_does_not_say_is_no_absence(tmp_path, monkeypatch, number):
    def fail(path):
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(places.os, "lstat", fail)
    with pytest.raises(TagsegError, match=rf"a: cannot be read \({os.strerror(number)}\); see to its"):
        places.lies_there(tmp_path / "a")
    with pytest.raises(TagsegError, match=r"classes\.txt: cannot be read"):
        read_class_list(tmp_path)
