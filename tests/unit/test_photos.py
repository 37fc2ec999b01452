"""The adapter of anyone's photographs: ids, tags, class list, every problem at once, photographs alone."""

import os
from pathlib import Path

import pytest

from helpers import write_labels, write_photograph, write_zero_mask
from tagseg.datasets.photos import index_photos, index_unlabelled, list_photographs, photos_true_masks
from tagseg.datasets.problems import DatasetProblems, Problem
from tagseg.datasets.reading import Reading
from tagseg.errors import TagsegError
from tagseg.index import SPLITS

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "photos15"


def index(folder, random_seed=0, val_share=0.25, **options):
    return index_photos(folder, random_seed=random_seed, val_share=val_share, **options)


def rows_by_id(result):
    return {row.id: row for row in result.photographs}


def failure(folder, **options):
    """Return the error that the folder causes."""
    with pytest.raises(TagsegError) as caught:
        index(folder, **options)
    return caught.value


def problems(folder, **options):
    """Return the problems of the folder; one that makes going on impossible is none of them."""
    error = failure(folder, **options)
    assert isinstance(error, DatasetProblems), error
    return list(error.problems)


@pytest.fixture
def folder(tmp_path):
    """Photographs with spaces, other alphabets, one stem in two folders and with two suffixes."""
    folder = tmp_path / "my photos"
    for k, name in enumerate(["a/one.jpg", "b/one.jpg", "two.jpg", "two.png", "Große 犬 1.webp"]):
        write_photograph(folder / name, seed=k)
    write_labels(
        folder, "a/one.jpg,dog,train", "b/one.jpg,cat;dog,val", "two.jpg, cat ; cat;,train",
        "two.png,Straße,", "./Große 犬 1.webp,Straße,test",
    )  # fmt: skip
    return folder


# Good folders -----------------------------------------------------------------------------------


def test_ids_paths_tags_and_sizes(folder):
    result = index(folder)
    rows = rows_by_id(result)
    assert result.classes == ("background", "Straße", "cat", "dog")
    assert list(rows) == sorted(rows) == ["Große 犬 1", "a/one", "b/one", "two.jpg", "two.png"]
    assert rows["a/one"].path == str(folder / "a" / "one.jpg")
    assert rows["Große 犬 1"].path == str(folder / "Große 犬 1.webp")
    assert rows["b/one"].tags == ("cat", "dog") and rows["two.jpg"].tags == ("cat",)
    assert {(row.width, row.height) for row in rows.values()} == {(12, 8)}
    assert rows["Große 犬 1"].split == "test" and rows["b/one"].split == "val"


def test_ids_stay_unique_where_a_name_looks_like_another_id(tmp_path):
    for name in ("a.jpg", "a.png", "a.jpg.png", "a.b.jpg"):
        write_photograph(tmp_path / name)
    assert [row.id for row in list_photographs(tmp_path)] == [
        "a.b", "a.jpg", "a.jpg.png", "a.png",
    ]  # fmt: skip


def test_bom_windows_line_ends_and_order_of_columns(folder):
    expected = index(folder)
    lines = [line.split(",") for line in (folder / "labels.csv").read_text("utf-8").splitlines()]
    text = "\r\n".join(",".join([split, image, tags]) for image, tags, split in lines)
    (folder / "labels.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert index(folder) == expected


def test_another_table_and_a_quoted_comma(folder):
    write_photograph(folder / "x, y.jpg")
    write_labels(folder / "tables 1", '"x, y.jpg",dog,train')
    result = index(folder, labels="tables 1/labels.csv")
    assert [row.id for row in result.photographs] == ["x, y"]


def test_progress_sees_every_photograph(folder):
    seen = []

    def progress(items, what, count):
        for item in items:
            seen.append((what, count))
            yield item

    assert index(folder, reading=Reading(progress=progress)) == index(folder)
    assert seen == [("photographs read", 5)] * 5


def test_class_list_fixes_the_order(folder):
    (folder / "classes.txt").write_text("background\nzebra\ndog\ncat\nStraße\n", encoding="utf-8")
    result = index(folder)
    assert result.classes == ("background", "zebra", "dog", "cat", "Straße")
    assert rows_by_id(result)["b/one"].tags == ("dog", "cat")


def test_test_photographs_need_no_tag(tmp_path):
    write_photograph(tmp_path / "a.jpg")
    write_photograph(tmp_path / "b.jpg")
    write_labels(tmp_path, "a.jpg,dog,train", "b.jpg,,test")
    assert rows_by_id(index(tmp_path))["b"].tags == ()


def test_names_of_photographs_may_end_in_jfif(tmp_path):
    write_photograph(tmp_path / "a.jpg").rename(tmp_path / "a.JFIF")
    write_labels(tmp_path, "a.JFIF,dog,train")
    assert rows_by_id(index(tmp_path))["a"].tags == ("dog",)


# Problems ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("line", "message"), [
    ("gone.jpg,dog,train", r"gone.jpg: no such image; restore it"),
    ("text.jpg,dog,train", "text.jpg: not a readable image"),
    ("cut.jpg,dog,train", "cut.jpg: damaged image"),
    ("a/one.jpg,dog,val", "a/one.jpg: already in line 2; remove one"),
    ("./a/one.jpg,dog,train", "a/one.jpg: already in line 2; remove one"),
    ("good.jpg,,train", "good.jpg: no tag; name what is on the photograph"),
    ("good.jpg, ; ", "good.jpg: no tag; name what is on the photograph"),
    ("good.jpg,dog,trian", "good.jpg: split 'trian' is none of train, val, test"),
    ("good.jpg,dog,train,cat", "good.jpg: more cells than columns; separate labels by ;"),
    ("/etc/x.jpg,dog,train", "/etc/x.jpg: an absolute path; write it relative"),
    ("C:/x.jpg,dog,train", "C:/x.jpg: an absolute path; write it relative"),
    ("../x.jpg,dog,train", "../x.jpg: the path leaves the folder by .."),
    ("a/../../x.jpg,dog,train", "a/../../x.jpg: the path leaves the folder by .."),
    ("a\\one.jpg,dog,train", "the path holds \\; write /"),
    (",dog,train", "no path; name the image's file"),
    (".,dog,train", ".: no path; name the image's file"),
    ("out.jpg,dog,train", "outside the folder; copy the file into it"),
    ("outside/x.jpg,dog,train", "outside the folder; copy the file into it"),
    ("loop.jpg,dog,train", "loop.jpg: cannot be read (Too many levels of symbolic links)"),
    ("pipe.jpg,dog,train", "pipe.jpg: not a readable image (no file)"),
    ("a,dog,train", "a: not a readable image (no file)"),
    ("x" * 300 + ".jpg,dog,train", "a name of more than 251 bytes, too long for a mask's; shorten it"),
    ("SegmentationClass/good.png,dog,train", "holds masks; remove the row"),
    ("good.jpg,dog;background,train", "'background' cannot be the name of a class"),
    ("good.jpg,dog;a/b,train", "good.jpg: class 'a/b' holds a sign"),
])  # fmt: skip
def test_bad_row(folder, tmp_path, line, message):
    write_bad_files(folder, tmp_path)
    with open(folder / "labels.csv", "a", encoding="utf-8") as stream:
        stream.write(line + "\n")
    (problem,) = problems(folder)
    assert (problem.place, problem.line) == ("labels.csv", 7)
    assert message in problem.text and str(folder) not in problem.text.split(" (")[0]
    assert str(failure(folder)) == f"{folder}: 1 problem\n  labels.csv, line 7: {problem.text}"


def write_bad_files(folder, tmp_path):
    for name in ("good.jpg", "cut.jpg"):
        write_photograph(folder / name)
    write_photograph(tmp_path / "elsewhere" / "x.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:-60])
    (folder / "text.jpg").write_text("not an image")
    (folder / "out.jpg").symlink_to(tmp_path / "elsewhere" / "x.jpg")
    (folder / "outside").symlink_to(tmp_path / "elsewhere")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    os.mkfifo(folder / "pipe.jpg")
    write_zero_mask(folder / "SegmentationClass" / "good.png")


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_share_out_of_range(folder, share):
    assert str(failure(folder, val_share=share)).startswith("val_share: ")


def test_class_outside_the_list(folder):
    (folder / "classes.txt").write_text("dog\nStraße\n", encoding="utf-8")
    remedy = "is not in the class list; add it to classes.txt or mend the row"
    assert problems(folder) == [
        Problem("labels.csv", 3, f"b/one.jpg: class 'cat' {remedy}"),
        Problem("labels.csv", 4, f"two.jpg: class 'cat' {remedy}"),
    ]


def test_bad_class_list_is_told_with_all_else(folder):
    (folder / "classes.txt").write_text("dog\ndog\n", encoding="utf-8")
    write_labels(folder, "gone.jpg,cat,train")
    first, second = problems(folder)
    assert first == ("classes.txt", 0, "class 'dog' is listed twice; remove one")
    assert (second.place, second.line) == ("labels.csv", 2) and "no such image" in second.text


def test_every_name_that_cannot_be_a_class_is_told_once(folder):
    write_labels(folder, "a/one.jpg,.x;a/b,train", "b/one.jpg,Background;.x,train")
    found = [(problem.line, problem.text.split(": ")[1].split("'")[1]) for problem in problems(folder)]
    assert found == [(2, ".x"), (2, "a/b"), (3, "Background")]


def test_too_many_classes(folder):
    write_labels(folder, f"a/one.jpg,{';'.join(f'c{k}' for k in range(255))},train")
    assert problems(folder) == [Problem("", 0, "255 classes, where 1 to 254 are possible")]


def test_all_problems_of_all_rows_are_told(folder):
    write_labels(folder, "gone.jpg,dog,trian", "a/one.jpg,,train,x", "../x.jpg,,val")
    assert [problem.line for problem in problems(folder)] == [2, 2, 3, 3, 4, 4]


def test_at_most_fifty_problems_are_told(folder):
    write_labels(folder, *(f"gone{k}.jpg,dog,train" for k in range(70)))
    first, *rest = str(failure(folder)).splitlines()
    assert first == f"{folder}: 70 problems" and len(rest) == 51
    assert rest[49].startswith("  labels.csv, line 51: ") and rest[-1] == "  and 20 more problems"
    assert len(problems(folder)) == 70


def test_missing_table_and_folder(folder, tmp_path):
    write_photograph(tmp_path / "flat" / "a.jpg")
    text = str(failure(tmp_path / "flat"))
    assert "flat/labels.csv: no such file; write a table there" in text and "one folder a class" in text
    assert "gone: no such folder; name the one" in str(failure(folder / "gone"))
    assert "gone.csv: no such file; write a table" in str(failure(folder, labels="gone.csv"))


def test_several_tables_want_a_name(folder):
    expected = index(folder)
    (folder / "labels.jsonl").write_text("{}")
    assert "labels.csv and labels.jsonl are there; name one of them" in str(failure(folder))
    assert index(folder, labels="labels.csv") == expected


@pytest.mark.parametrize(("labels", "message"), [
    ("../labels.csv", "leaves the folder by .."),
    ("/etc/labels.csv", "an absolute path"),
    ("a\\labels.csv", "write / between folders"),
    ("out.csv", "out.csv: a link to .*, outside the folder; copy the file into it"),
    ("labels.xlsx", r"labels\.xlsx: no table of labels; its name has to end in \.csv, \.tsv, \.jsonl, "),
    ("", "no path"),
    ("a", "a: no table of labels"),
])  # fmt: skip
def test_bad_name_of_a_table(folder, tmp_path, labels, message):
    (tmp_path / "labels.csv").write_text("image,labels\n")
    (folder / "out.csv").symlink_to(tmp_path / "labels.csv")
    with pytest.raises(TagsegError, match=message):
        index(folder, labels=labels)


def test_nothing_but_untagged_test_photographs(folder):
    write_labels(folder, "a/one.jpg,,test")
    assert problems(folder) == [Problem("", 0, "0 classes, where 1 to 254 are possible")]


# Photographs without a table --------------------------------------------------------------------


def test_list_photographs(folder):
    write_photograph(folder / "c" / "d" / "LOUD.JPG", format="JPEG")
    write_photograph(folder / ".hidden.jpg")
    write_photograph(folder / ".cache" / "x.jpg")
    write_zero_mask(folder / "SegmentationClass" / "two.png")
    (folder / "inside").symlink_to(folder / "a")
    rows = list_photographs(folder)
    assert [row.id for row in rows] == [
        "Große 犬 1", "a/one", "b/one", "c/d/LOUD", "two.jpg", "two.png",
    ]  # fmt: skip
    assert {(row.split, row.tags, row.width) for row in rows} == {("test", (), 12)}


def test_list_photographs_refuses_links_out_and_damage(folder, tmp_path):
    write_bad_files(folder, tmp_path)
    with pytest.raises(TagsegError) as caught:
        list_photographs(folder)
    text = str(caught.value)
    assert "6 problems" in text
    names = ("out.jpg", "outside", "cut.jpg", "text.jpg", "loop.jpg", "pipe.jpg")
    assert all(f"\n  {name}: " in text for name in names)


def test_index_unlabelled_leaves_out_what_cannot_be_read(folder, tmp_path):
    good = list_photographs(folder)
    assert index_unlabelled(folder, ("background", "dog"))[1] == []
    write_bad_files(folder, tmp_path)
    result, messages = index_unlabelled(folder, ("background", "dog"))
    assert result.classes == ("background", "dog")
    assert {row.id for row in result.photographs} == {row.id for row in good} | {"good"}
    assert len(messages) == 6 and all("; " in message for message in messages)


@pytest.mark.parametrize("suffix", [".heic", ".GIF", ".avif"])
def test_index_unlabelled_tells_images_of_a_kind_that_is_not_read(tmp_path, suffix):
    write_photograph(tmp_path / "a.jpg")
    (tmp_path / f"phone{suffix}").write_bytes(b"")
    index, (message,) = index_unlabelled(tmp_path, ("background", "dog"))
    assert [row.id for row in index.photographs] == ["a"]
    assert message.startswith(f"phone{suffix}: a kind of image that is not read; convert it (to one of .bmp")


def test_index_unlabelled_does_not_look_into_our_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "results/photos/segmented/x/overlays/a.jpg"):
        write_photograph(tmp_path / name)
    index, messages = index_unlabelled(Path(), ("background", "dog"), Path("results"))
    assert [row.id for row in index.photographs] == ["a"] and messages == []


def test_index_unlabelled_without_any_photograph(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(TagsegError, match=r"no photograph that can be read: put images there \(\.b"):
        index_unlabelled(tmp_path, ("background", "dog"))
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(TagsegError, match=r"no photograph that can be read: .*a\.jpg: not a read"):
        index_unlabelled(tmp_path, ("background", "dog"))
    with pytest.raises(TagsegError, match="no such folder"):
        index_unlabelled(tmp_path / "gone", ("background", "dog"))


def test_file_name_that_is_not_utf8(tmp_path):
    good = write_photograph(tmp_path / "a.jpg")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xfc.jpg")).write_bytes(good.read_bytes())
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    result, messages = index_unlabelled(tmp_path, ("background", "dog"))
    assert [row.id for row in result.photographs] == ["a"]
    assert len(messages) == 1 and "not UTF-8; rename it" in messages[0]


# Real photographs -------------------------------------------------------------------------------


@pytest.mark.skipif(not REAL.is_dir(), reason="the real photographs are not on this machine")
def test_real_photographs():
    result = index(REAL)
    assert len(result.photographs) == 447 and len(result.classes) == 16
    assert (len(result.of_split("train")), len(result.of_split("val"))) == (337, 110)
    assert sum(len(photos_true_masks(REAL, result, split, REAL)) for split in SPLITS) == 447
    assert result.classes[1:] == tuple((REAL / "classes.txt").read_text().split()[1:])
