"""The adapter of anyone's photographs: labels.csv, seeded splits, masks, every problem at once."""

import os
import random
from pathlib import Path

import pytest
from PIL import Image

from helpers import write_labels, write_photograph, write_zero_mask
from tagseg.datasets.photos import index_photos, index_unlabelled, list_photographs
from tagseg.errors import TagsegError

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "photos15"


def index(folder, random_seed=0, val_share=0.25, **options):
    return index_photos(folder, random_seed=random_seed, val_share=val_share, **options)


def rows_by_id(result):
    return {row.id: row for row in result.photographs}


def problems(folder, **options):
    """Return the lines of the error that the folder causes."""
    with pytest.raises(TagsegError) as caught:
        index(folder, **options)
    return str(caught.value).splitlines()


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
    assert all(row.mask is None for row in rows.values())
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


def test_another_table_and_a_quoted_comma(folder, tmp_path):
    write_photograph(folder / "x, y.jpg")
    write_labels(tmp_path / "elsewhere", '"x, y.jpg",dog,train')
    result = index(folder, labels=tmp_path / "elsewhere" / "labels.csv")
    assert [row.id for row in result.photographs] == ["x, y"]


def test_class_list_fixes_the_order(folder):
    (folder / "classes.txt").write_text("background\nzebra\ndog\ncat\nStraße\n", encoding="utf-8")
    result = index(folder)
    assert result.classes == ("background", "zebra", "dog", "cat", "Straße")
    assert rows_by_id(result)["b/one"].tags == ("dog", "cat")


def test_masks_by_id_and_by_unique_stem(folder):
    masks = folder / "SegmentationClass"
    for name in ("a/one.png", "one.png", "two.png", "two.jpg.png", "Große 犬 1.png"):
        write_zero_mask(masks / name)
    found = {name: row.mask for name, row in rows_by_id(index(folder)).items()}
    assert found == {
        "a/one": str(masks / "a" / "one.png"),
        "b/one": None,  # two photographs have the stem "one"
        "two.jpg": str(masks / "two.jpg.png"),
        "two.png": None,
        "Große 犬 1": str(masks / "Große 犬 1.png"),
    }


def test_mask_fits_the_photograph_after_exif_rotation(tmp_path):
    write_photograph(tmp_path / "a.jpg", width=12, height=8, exif=turned(orientation=6))
    write_zero_mask(tmp_path / "SegmentationClass" / "a.png", width=8, height=12)
    write_labels(tmp_path, "a.jpg,dog,train")
    (row,) = index(tmp_path).photographs
    assert (row.width, row.height) == (8, 12) and row.mask


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_test_photographs_need_no_tag(tmp_path):
    write_photograph(tmp_path / "a.jpg")
    write_photograph(tmp_path / "b.jpg")
    write_labels(tmp_path, "a.jpg,dog,train", "b.jpg,,test")
    assert rows_by_id(index(tmp_path))["b"].tags == ()


# Seeded splits ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Sixty photographs: forty cats, sixteen dogs, four with both."""
    folder = tmp_path_factory.mktemp("many")
    lines = []
    for k in range(60):
        write_photograph(folder / f"{k:02}.png", width=2, height=2)
        lines.append(f"{k:02}.png,{'cat' if k < 40 else 'dog' if k < 56 else 'cat;dog'}")
    write_labels(folder, *lines, head="image,labels")
    return folder


def splits(folder, **options):
    return {row.id: row.split for row in index(folder, **options).photographs}


def test_seeded_split_is_fair_and_depends_on_the_seed(many):
    first = splits(many, random_seed=1)
    val = [name for name, split in first.items() if split == "val"]
    assert set(first.values()) == {"train", "val"} and len(val) == 15
    assert sum(int(name) < 40 for name in val) == 10
    assert splits(many, random_seed=1) == first != splits(many, random_seed=2)
    assert set(splits(many, val_share=0).values()) == {"train"}


def test_seeded_split_does_not_depend_on_the_order_of_the_rows(many, tmp_path):
    head, *lines = (many / "labels.csv").read_text().splitlines()
    random.Random(0).shuffle(lines)
    table = write_labels(tmp_path, *lines, head=head)
    assert splits(many, labels=table) == splits(many)


@pytest.mark.parametrize("seed", range(8))
def test_every_class_stays_in_train(many, tmp_path, seed):
    lines = ["00.png,a;b;c", "01.png,b;c", "02.png,c", "03.png,c;d", "04.png,a;d", "05.png,e"]
    table = write_labels(tmp_path, *lines, head="image,labels")
    result = index(many, labels=table, random_seed=seed, val_share=0.9)
    assert {tag for row in result.of_split("train") for tag in row.tags} == set("abcde")


def test_given_splits_are_kept(many, tmp_path):
    lines = [f"{k:02}.png,cat,{'val' if k % 2 else ''}" for k in range(20)]
    result = splits(many, labels=write_labels(tmp_path, *lines), val_share=0)
    assert all(result[f"{k:02}"] == ("val" if k % 2 else "train") for k in range(20))


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_share_out_of_range(many, share):
    assert problems(many, val_share=share)[0].startswith("val_share: ")


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
    ("loop.jpg,dog,train", "loop.jpg: not a readable image"),
    ("SegmentationClass/good.png,dog,train", "holds masks; remove the row"),
    ("small.jpg,dog,train", "small.png: 5x5 pixels, where the photograph has 12x8"),
    ("good.jpg,dog;background,train", "'background' cannot be the name of a class"),
    ("good.jpg,dog;a/b,train", "class 'a/b' holds a sign"),
])  # fmt: skip
def test_bad_row(folder, tmp_path, line, message):
    write_bad_files(folder, tmp_path)
    with open(folder / "labels.csv", "a", encoding="utf-8") as stream:
        stream.write(line + "\n")
    first, *rest = problems(folder)
    assert first == f"{folder / 'labels.csv'}: 1 problem"
    assert len(rest) == 1 and message in rest[0]
    assert rest[0].startswith("  line 7: ") or "labels.csv: " in rest[0]


def write_bad_files(folder, tmp_path):
    for name in ("good.jpg", "small.jpg", "cut.jpg"):
        write_photograph(folder / name)
    write_photograph(tmp_path / "elsewhere" / "x.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:-60])
    (folder / "text.jpg").write_text("not an image")
    (folder / "out.jpg").symlink_to(tmp_path / "elsewhere" / "x.jpg")
    (folder / "outside").symlink_to(tmp_path / "elsewhere")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    write_zero_mask(folder / "SegmentationClass" / "small.png", width=5, height=5)
    write_zero_mask(folder / "SegmentationClass" / "good.png")


def test_class_outside_the_list(folder):
    (folder / "classes.txt").write_text("dog\nStraße\n", encoding="utf-8")
    assert problems(folder) == [
        f"{folder / 'labels.csv'}: 2 problems",
        *(
            f"  line {line}: {image}: class 'cat' is not in the class list; add it to classes.txt "
            "or mend the row"
            for line, image in [(3, "b/one.jpg"), (4, "two.jpg")]
        ),
    ]


def test_all_problems_of_all_rows_are_told(folder):
    write_labels(folder, "gone.jpg,dog,trian", "a/one.jpg,,train,x", "../x.jpg,,val")
    lines = [line.partition(": ")[0].strip() for line in problems(folder)[1:]]
    assert lines == ["line 2"] * 2 + ["line 3"] * 2 + ["line 4"] * 2


def test_at_most_fifty_problems_are_told(folder):
    write_labels(folder, *(f"gone{k}.jpg,dog,train" for k in range(70)))
    first, *rest = problems(folder)
    assert first.endswith("labels.csv: 70 problems") and len(rest) == 51
    assert rest[49].startswith("  line 51: ") and rest[-1] == "  and 20 more problems"


@pytest.mark.parametrize(("content", "message"), [
    (b"picture,labels\na/one.jpg,dog\n", "no column 'image'; the first line has to be"),
    (b"image;labels\na/one.jpg;dog\n", "no column 'image'; .*separated by commas"),
    (b"image,labels,splits\na/one.jpg,dog,val\n", "column 'splits' is unknown"),
    (b"image,labels,labels\na/one.jpg,dog,cat\n", "column 'labels' is unknown or doubled"),
    (b"", "no column 'image'"),
    (b"image,labels\n", "no row below the head"),
    (b"image,labels\n\xfc.jpg,dog\n", "not UTF-8"),
    (b'image,labels\n"' + b"x" * 200_000, "below line 1: not CSV"),
])  # fmt: skip
def test_bad_table(folder, content, message):
    (folder / "labels.csv").write_bytes(content)
    with pytest.raises(TagsegError, match=rf"labels\.csv: {message}"):
        index(folder)


def test_missing_table_and_folder(folder):
    (folder / "labels.csv").unlink()
    assert "labels.csv: no such file; write a table there" in problems(folder)[0]
    assert "gone: no such folder; name the one" in problems(folder / "gone")[0]


def test_nothing_but_untagged_test_photographs(folder):
    write_labels(folder, "a/one.jpg,,test")
    assert "labels.csv: 0 classes" in problems(folder)[1]


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
    assert {(row.split, row.tags, row.mask, row.width) for row in rows} == {("test", (), None, 12)}


def test_list_photographs_refuses_links_out_and_damage(folder, tmp_path):
    write_bad_files(folder, tmp_path)
    with pytest.raises(TagsegError) as caught:
        list_photographs(folder)
    text = str(caught.value)
    assert "5 problems" in text
    assert all(name in text for name in ("out.jpg", "outside", "cut.jpg", "text.jpg", "loop.jpg"))


def test_index_unlabelled_leaves_out_what_cannot_be_read(folder, tmp_path):
    good = list_photographs(folder)
    assert index_unlabelled(folder, ("background", "dog"))[1] == []
    write_bad_files(folder, tmp_path)
    result, messages = index_unlabelled(folder, ("background", "dog"))
    assert result.classes == ("background", "dog")
    assert {row.id for row in result.photographs} == {row.id for row in good} | {"good", "small"}
    assert len(messages) == 5 and all("; " in message for message in messages)


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
    assert all(row.mask for row in result.photographs)
    assert result.classes[1:] == tuple((REAL / "classes.txt").read_text().split()[1:])
