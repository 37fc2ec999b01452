"""Links in the folders of users."""

from pathlib import Path

import pytest

from tagseg.datasets.paths import is_loop, is_present


def test_a_broken_link_is_present(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    assert is_present(tmp_path / "link") and is_present(tmp_path / "loop")
    assert is_present(tmp_path) and not is_present(tmp_path / "a")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a", False), ("a/up", True), ("a/root", True), ("a/out", False), ("a/out/back", False), ("a/out/back/out", True)],
)
def test_only_links_to_a_folder_on_the_way_are_loops(tmp_path, path, expected):
    root, other = tmp_path / "root", tmp_path / "other"
    (root / "a").mkdir(parents=True)
    (root / "b").mkdir()
    other.mkdir()
    for link, target in {"up": root, "root": Path("/"), "out": other}.items():
        (root / "a" / link).symlink_to(target)
    (other / "back").symlink_to(root / "b")
    (root / "b" / "out").symlink_to(other)
    assert is_loop(root, root / path) == expected
