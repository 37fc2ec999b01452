"""Seals: what is altered, gone or new in an output since it was made is told; and `sha256sum` agrees."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tagseg.errors import TagsegError
from tagseg.files import atomic_file, atomic_folder, read_json, write_json
from tagseg.index import Index, read_index, write_index
from tagseg.map_shards import View, write_maps
from tagseg.seals import FOLDER, RUN, broken, check_seal, seal, sealed
from tagseg.subsets import write_subsets

ODD_NAMES = ("plain.txt", "two  blanks.txt", "Größe.txt", "back\\slash.txt", "line\nbreak.txt", "\\n\\.txt")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The folder of a run whose outputs are sealed."""
    monkeypatch.setenv(RUN, str(tmp_path / "run"))
    return tmp_path / "run"


def write(path: Path, text: str = "made") -> Path:
    with atomic_file(path) as aside:
        aside.write_text(text)
    return path


def write_folder(folder: Path, names=ODD_NAMES) -> Path:
    with atomic_folder(folder) as aside:
        (aside / "deep").mkdir()
        for name in names:
            (aside / "deep" / name).write_text(name)
    return folder


def told(run: Path, name: str) -> list[str]:
    return list(broken(run, name))


def test_what_was_just_made_is_sound(run):
    write(run / "scores" / "a.json")
    write_folder(run / "masks" / "shard-0")
    assert sealed(run) == ["masks/shard-0", "scores/a.json"]
    assert told(run, "scores/a.json") == told(run, "masks/shard-0") == []
    check_seal(run / "masks" / "shard-0")


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="wants coreutils")
def test_sha256sum_reads_every_seal(run):
    write(run / "a.json")
    folder = write_folder(run / "masks")
    seals = [str(path) for path in (run / FOLDER).rglob("*.sha256")]
    command = ["sha256sum", "--strict", "-c", *seals]
    assert subprocess.run(command, cwd=run, capture_output=True).returncode == 0
    (folder / "deep" / "back\\slash.txt").write_text("altered")
    assert subprocess.run(command, cwd=run, capture_output=True).returncode == 1


def test_an_altered_file_is_told(run):
    path = write(run / "scores" / "a.json")
    path.write_text("mad3")
    assert told(run, "scores/a.json") == [f"{path}: altered since it was made; delete {path} and run again"]
    with pytest.raises(TagsegError, match="a.json: altered since it was made; delete .*a.json and run again"):
        check_seal(path)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_every_file_of_a_folder_is_watched(run, name):
    folder = write_folder(run / "masks")
    file = folder / "deep" / name
    remedy = f"delete {folder} and run again"
    file.write_text("altered")
    assert told(run, "masks") == [f"{file}: altered since it was made; {remedy}"]
    file.unlink()
    assert told(run, "masks") == [f"{file}: gone since it was made; {remedy}"]
    (folder / "new").touch()
    assert f"{folder / 'new'}: not there when {folder} was made; {remedy}" in told(run, "masks")


def test_outputs_within_a_folder_are_looked_at_with_it(run):
    for name in ("index.csv", "classes.csv"):
        write(run / "index" / name)
    (run / "index" / "classes.csv").write_text("altered")
    (text,) = told(run, "index")
    assert text.startswith(f"{run}/index/classes.csv: altered") and told(run, "index/index.csv") == []


def test_what_snakemake_puts_into_a_folder_does_not_count(run):
    (write_folder(run / "masks") / ".snakemake_timestamp").touch()
    assert told(run, "masks") == []


def test_an_output_that_is_made_again_is_sealed_again(run):
    for text in ("first", "second"):
        write(run / "a.txt", text)
        write_folder(run / "masks", names=(text,))
    assert told(run, "a.txt") == told(run, "masks") == []


def test_an_output_whose_writing_failed_keeps_its_seal(run):
    write(run / "a.txt")
    with pytest.raises(RuntimeError), atomic_file(run / "a.txt") as aside:
        aside.write_text("half")
        raise RuntimeError
    assert sealed(run) == ["a.txt"] and told(run, "a.txt") == []


@pytest.mark.parametrize("kind", [write, write_folder])
def test_no_seal_of_the_one_before_outlives_a_kill_between_output_and_seal(run, monkeypatch, kind):
    kind(run / "a")
    monkeypatch.setattr("tagseg.files.seal", lambda output: None)
    kind(run / "a")
    assert sealed(run) == []


def test_an_output_that_is_gone_is_not_missed(run):
    write(run / "a.txt").unlink()
    assert told(run, "a.txt") == []


def test_parts_of_an_output_have_no_seal_of_their_own(run):
    with atomic_folder(run / "patterns") as aside:
        write_json(aside / "patterns.json", {})
    assert sealed(run) == ["patterns"]


def test_what_has_checksums_of_its_own_or_lies_elsewhere_is_not_sealed(run, tmp_path):
    with write_maps(run / "shard-0.h5", ["a"]) as writer:
        writer.write(View(2), 0, np.ones((1, 1, 1, 1)))
    write(tmp_path / "runaway" / "a.txt")
    write(tmp_path / "b.txt")
    assert sealed(run) == [] and not (tmp_path / FOLDER).exists()


def test_without_a_run_nothing_is_sealed_or_checked(tmp_path, monkeypatch):
    monkeypatch.delenv(RUN, raising=False)
    write(tmp_path / "a.txt")
    check_seal(tmp_path / "a.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_of_a_run_below_the_working_folder_is_named_as_jobs_name_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(RUN, "results/mini")
    write_subsets("results/mini/./subsets", {"dog": ("a", "b")})
    text = (tmp_path / "results/mini/seals/subsets.sha256").read_text()
    assert text.endswith("  subsets/dog.txt\n")
    Path("results/mini/subsets/dog.txt").write_text("b\n")
    with pytest.raises(TagsegError, match="^results/mini/subsets/dog.txt: altered since it was made"):
        check_seal("results/mini/subsets")


@pytest.mark.parametrize("content", ["", "no seal\n", "5eed  a.txt\n"])
def test_a_seal_that_is_none_is_told(run, content):
    write(run / "a.txt")
    (run / FOLDER / "a.txt.sha256").write_text(content)
    with pytest.raises(TagsegError, match="a.txt.sha256: not a seal; delete it"):
        told(run, "a.txt")


def test_an_edited_score_or_index_is_refused_by_whoever_reads_it(run):
    write_json(run / "scores/a.json", {"miou": 50})
    write_index(run / "index", Index(("background", "dog"), ()))
    assert read_json(run / "scores/a.json") == {"miou": 50} and read_index(run / "index").classes[1] == "dog"
    (run / "scores/a.json").write_text('{"miou": 99}')
    (run / "index/classes.csv").write_text((run / "index/classes.csv").read_text().replace("dog", "cat"))
    with pytest.raises(TagsegError, match="scores/a.json: altered since it was made"):
        read_json(run / "scores/a.json")
    with pytest.raises(TagsegError, match="index/classes.csv: altered since it was made"):
        read_index(run / "index")


def test_sealing_by_hand_is_what_writers_do(run):
    path = write(run / "a.txt")
    before = (run / FOLDER / "a.txt.sha256").read_bytes()
    path.write_text("other")
    seal(path)
    assert told(run, "a.txt") == [] and (run / FOLDER / "a.txt.sha256").read_bytes() != before
