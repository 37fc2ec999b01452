"""Tables of labels: the same content in every format, tables of other programs, problems by line; the split."""

import csv
import json
import random
import unicodedata
from pathlib import PurePosixPath

import pytest

from helpers import write_image
from tagseg.datasets.folder.labels_table import Row, read_rows
from tagseg.datasets.folder.reader import index_photos
from tagseg.datasets.folder.splits import choose_splits
from tagseg.datasets.image_checks import Reading
from tagseg.datasets.problems import DatasetProblems
from tagseg.runtime.errors import TagsegError


def write_table(folder, name, content):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return name


def read(folder, labels=None):
    return index_photos(folder, random_seed=5, val_fraction=0.3, labels=labels)


def write_formats(folder, rows):
    """Write the rows as CSV, TSV and JSON lines."""
    for name, delimiter in {"labels.csv": ",", "labels.tsv": "\t"}.items():
        with open(folder / name, "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, delimiter=delimiter)
            writer.writerow(("image", "labels", "split"))
            writer.writerows((image, ";".join(tags), split) for image, tags, split in rows)
    lines = (json.dumps({"image": image, "labels": tags, "split": split}) for image, tags, split in rows)
    write_table(folder, "labels.jsonl", "\n".join(lines))
    return ["labels.csv", "labels.tsv", "labels.jsonl"]


@pytest.mark.parametrize("single", [False, True])
def test_all_formats_give_the_index_that_was_written(tmp_path, single):
    """`single`: images of one class, so that the folders as classes give the same index."""
    draw = random.Random(3)
    rows = []
    for k in range(40):
        tags = draw.sample(["Straße", "犬", "a cat", "x,y"], 1 if single else draw.randint(1, 3))
        image = f'{tags[0] if single else draw.choice(["p", "q r"])}/{k}, "é".png'
        write_image(tmp_path / image, 2, 2, seed=k)
        rows.append((image, tags, "" if single else draw.choice(["", "", "val", "test", "train"])))
    formats = write_formats(tmp_path, rows)
    first, *others = (read(tmp_path, name) for name in [*formats, *["folders"] * single])
    assert all(other == first for other in others) and len({row.split for row in first.images}) > 1
    found = {row.path: (set(row.tags), row.split) for row in first.images}
    assert len(found) == len(rows)
    for image, tags, split in rows:
        assert found[str(tmp_path / image)] == (set(tags), split or found[str(tmp_path / image)][1])


def test_spaces_nulls_and_line_separators_in_json_lines(tmp_path):
    content = """\ufeff{"image": " a\u2028b.jpg ", "labels": [" x ", "x", ""], "split": " val "}\r\n\r
{"image": "b.jpg", "labels": "x;y", "split": null}\r\n{"image": "c.jpg", "labels": null, "split": "test"}"""
    rows, problems = read_rows(tmp_path, write_table(tmp_path, "x.NDJSON", content), [])
    expected = [("a\u2028b.jpg", {"x"}, "val", 1), ("b.jpg", {"x", "y"}, "", 3), ("c.jpg", set(), "test", 4)]
    assert not problems and rows == [
        Row(PurePosixPath(image), frozenset(tags), split, "x.NDJSON", line) for image, tags, split, line in expected
    ]


@pytest.mark.parametrize("content", [
    "\ufeffimage,labels,split\r\na.jpg,cat;dog,\r\nb.jpg,dog,\r\n",
    "split,image,labels\n,a.jpg,cat;dog\n,b.jpg,dog\n",
    "Image, Labels \na.jpg,cat;dog\nb.jpg,dog\n",
    "\ufeffimage;labels;split\r\na.jpg;\"cat;dog\";\r\nb.jpg;dog;\r\n",
    "image,labels,split\na.jpg,cat; dog;,\nb.jpg,dog,\n,,\n , ,\n",
    'image,labels\na.jpg,"[""cat"", ""dog""]"\nb.jpg,"[""dog""]"\n',
    "image,labels\na.jpg,\"['cat', 'dog']\"\nb.jpg,[dog]\n",
    ",filename,Tags,remark\n0,a.jpg,cat;dog,x\n1,b.jpg,dog,\n",
    "image\tlabels\na.jpg\tcat;dog\nb.jpg\tdog\n",
    "image,labels\na.jpg,cat\na.jpg,dog\nb.jpg,dog\n",
    "Image,cat,dog,score\na.jpg,1,1,0.3\nb.jpg,0,1.0,0.7\n",
    "image,labels\na.jpg,cat;dog\nb.jpg,dog\n".encode("utf-16"),
    "image,labels\na.jpg,cat; Dog \nb.jpg,dog\nb.jpg,dog\n",
    'image,labels\na.jpg,"cat, dog"\nb.jpg,dog\na.jpg,cat\n',
    "image,labels\na.jpg,cat dog\nb.jpg,dog\na.jpg,cat\n",
], ids=[
    "Windows", "order of columns", "capitals", "semicolons", "empty rows", "JSON", "Python", "other columns", "tabs",
    "one row per label", "one column per class", "UTF-16", "spellings", "commas", "blanks",
])  # fmt: skip
def test_tables_of_other_programs(tmp_path, content):
    for name in ("a.jpg", "b.jpg"):
        write_image(tmp_path / name)
    write_table(tmp_path, "labels.csv", content)
    index = read(tmp_path)
    assert index.classes == ("background", "cat", "dog")
    assert [row.tags for row in index.images] == [("cat", "dog"), ("dog",)]


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_in_another_unicode_form_are_found(tmp_path, forms):
    on_disk, in_table = (unicodedata.normalize(form, "Käfer.jpg") for form in forms)
    write_image(tmp_path / on_disk)
    write_table(tmp_path, "labels.csv", f"image,labels\n{in_table},beetle\n")
    assert [row.path for row in read(tmp_path).images] == [str(tmp_path / on_disk)]


@pytest.mark.parametrize(("joined", "doubtful"), [("cat dog", False), ("cat,cow", True), ("cat | cow", True)])
def test_labels_that_join_other_classes(tmp_path, joined, doubtful):
    """They are split, refused where a part is no class by itself, and kept where they are listed."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        write_image(tmp_path / name, seed=ord(name[0]))
    write_table(tmp_path, "labels.csv", f'image,labels,split\na.jpg,"{joined}",\nb.jpg,dog,\nc.jpg,cat,\n')
    reading = Reading()
    if doubtful:
        with pytest.raises(DatasetProblems, match=f"line 2: a.jpg: class {joined!r} looks like".replace("|", r"\|")):
            read(tmp_path)
    else:
        index = index_photos(tmp_path, random_seed=5, val_fraction=0.3, reading=reading)
        assert index.classes == ("background", "cat", "dog") and index.images[0].tags == ("cat", "dog")
        assert reading.notes == [f"class {joined!r} is read as 'cat' and 'dog' (1 image)"]
    (tmp_path / "classes.txt").write_text(f"{joined}\ncat\ndog\n")
    assert read(tmp_path).classes == ("background", joined, "cat", "dog")


def test_labels_beside_the_class_list_are_ignored_and_misspelt_ones_refused(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        write_image(tmp_path / name, seed=ord(name[0]))
    (tmp_path / "classes.txt").write_text("horse\ncow\n")
    write_table(tmp_path, "labels.csv", "image,labels\na.jpg,Horse;bird\nb.jpg,cow\nc.jpg,bird\n")
    reading = Reading()
    index = index_photos(tmp_path, random_seed=5, val_fraction=0.3, reading=reading)
    assert [row.tags for row in index.images] == [("horse",), ("cow",), ()]
    assert reading.notes == [
        "class 'Horse' is read as 'horse' (1 image)", "class 'bird' is not in classes.txt: ignored (2 images)",
    ]  # fmt: skip
    write_table(tmp_path, "labels.csv", "image,labels\na.jpg,horsse\nb.jpg,cow\nc.jpg,horse\n")
    with pytest.raises(
        DatasetProblems, match="line 2: a.jpg: class 'horsse' is not in classes.txt. Correct it to 'hor"
    ):
        read(tmp_path)
    (tmp_path / "classes.txt").write_text("horse\nHORSE\n")
    with pytest.raises(DatasetProblems, match="classes.txt: class 'HORSE' differs from 'horse' in capitals"):
        read(tmp_path)


def test_what_a_table_makes_tagseg_assume_is_noted(tmp_path):
    for name in ("ü.jpg", "b.jpg"):
        write_image(tmp_path / name, seed=ord(name[0]))
    write_table(tmp_path, "labels.csv", "image,labels,n\nü.jpg,cat,1\nb.jpg,cat,2\nb.jpg,dog,3\n".encode("cp1252"))
    reading = Reading()
    index_photos(tmp_path, random_seed=5, val_fraction=0.3, reading=reading)
    assert reading.notes == [
        "labels.csv: not UTF-8, read as cp1252 (Windows)", "labels.csv: ignored columns: n",
        "labels.csv: the labels of several rows of an image are merged (1 image)",
    ]  # fmt: skip


GOOD = '{"image": "good.jpg", "labels": ["dog"], "split": "train"}'


@pytest.mark.parametrize(("line", "text"), [
    ('{"image": "a.jpg", "labels": ["dog"]', "Invalid JSON: EOF while parsing"),
    ("3", "should be an object"),
    ('{"image": "a.jpg", "labels": ' + "[" * 100_000 + "]" * 100_000 + "}", "recursion limit exceeded"),
    ('{"image": "a.jpg", "label": ["dog"]}', "label: Extra inputs are not permitted. Write it like {"),
    ('{"image": "a.jpg", "labels": ["dog", 3]}', "labels: Input should be a valid string"),
    ('{"image": null, "labels": ["dog"]}', "no path. Name the image's file"),
    ('{"image": "a\\u0000.jpg", "labels": ["dog"]}', "a\\x00.jpg: the path is not UTF-8 text"),
    ('{"image": "../a\\n.jpg", "labels": ["dog"]}', "../a\\n.jpg: the path points outside the folder"),
    ('{"image": "./good.jpg", "labels": ["cat"], "split": "val"}', "good.jpg: split val, but train in line 1. Write"),
    ("a.jpg\tdog\tval\tcat",
     'a.jpg: more cells than columns. Write the labels into one cell with quotes: "dog;person".'),
    ("a.jpg\tdog\tdev", "a.jpg: split 'dev' is unknown. Use train, val, test, or leave it empty."),
    ("\tdog\tval", "no path. Name the image's file."),
])  # fmt: skip
def test_bad_line(tmp_path, line, text):
    for name in ("good.jpg", "a.jpg"):
        write_image(tmp_path / name)
    tsv = f"image\tlabels\tsplit\r\n{line}\r\ngood.jpg\tdog\ttrain\r\n"
    table = ("labels.tsv", tsv) if "\t" in line else ("labels.jsonl", f"{GOOD}\n{line}\n")
    write_table(tmp_path, *table)
    with pytest.raises(DatasetProblems) as caught:
        read(tmp_path)
    assert {tuple(problem[:2]) for problem in caught.value.problems} == {(table[0], 2)}
    assert any(text in problem.text for problem in caught.value.problems)


def test_problems_of_all_lines_are_reported_together(tmp_path):
    write_image(tmp_path / "good.jpg")
    wrong = '{"image": 1, "labels": 2, "split": 3, "x": 4}'
    lines = ["nonsense", "", GOOD, wrong, GOOD, '{"image": "gone.jpg"}']
    write_table(tmp_path, "labels.jsonl", "\n".join(lines))
    with pytest.raises(DatasetProblems, match="\n  labels.jsonl, line 1: Invalid JSON") as caught:
        read(tmp_path)
    assert [problem.line for problem in caught.value.problems] == [1, 4, 4, 4, 4, 4, 6]


@pytest.mark.parametrize(("name", "content", "message"), [
    ("labels.csv", "picture,labels\na.jpg,dog\n", "no column 'image'. Start with the line 'image,labels,split'"),
    ("labels.csv", "image,cat,dog\na.jpg,0,2\n", "no column 'labels'. .*, or with one column of 0 and 1 per class"),
    ("labels.csv", "image,labels,splits\na.jpg,dog,val\n", "column 'splits' is unknown"),
    ("labels.csv", "image,labels,Labels\na.jpg,dog,cat\n", "columns labels and Labels are both labels. Keep one"),
    ("labels.csv", "", "no column 'image'"),
    ("labels.csv", "a.jpg,cat\nb.jpg,dog\n", "no column 'image'"),
    ("labels.csv", "image,labels,split", "no rows. Add one"),
    ("labels.csv", "image,labels\n,\n", "no rows. Add one for each image"),
    ("labels.csv", b"image,labels\n\x81.jpg,dog\n", "not a text in UTF-8, UTF-16 or cp1252. Save it again"),
    ("labels.csv", b"image,labels\na\0.jpg,dog\n", "not a text in UTF-8, UTF-16 or cp1252. Save it again"),
    ("labels.csv", 'image,labels\n"a.jpg,dog\nb.jpg,dog\n', "after line 1: unexpected end"),
    ("labels.jsonl", b"\xef\xbb\xbf\r\n \r\n", "no rows"),
])  # fmt: skip
def test_unreadable_table(tmp_path, name, content, message):
    write_table(tmp_path, name, content)
    with pytest.raises(TagsegError, match=rf"{name}: {message}") as caught:
        read(tmp_path)
    assert not isinstance(caught.value, DatasetProblems)


def rows_of(*tags: str) -> list[Row]:
    """Return rows without a split; each letter is a class."""
    return [Row(PurePosixPath(f"{k:02}.jpg"), frozenset(letters), "") for k, letters in enumerate(tags)]


def test_the_split_is_even_over_the_classes_and_depends_on_the_seed():
    rows = rows_of(*["c"] * 40, *["d"] * 16, *["cd"] * 4)
    first = choose_splits(rows, 1, 0.25)
    assert first.count("val") == 15 and first[:40].count("val") == 10 and set(first) == {"train", "val"}
    assert choose_splits(rows, 1, 0.25) == first != choose_splits(rows, 2, 0.25)
    assert set(choose_splits(rows, 1, 0)) == {"train"}


def random_row(rng, name):
    """Return a row of one to three of five classes, with a split or without."""
    tags, split = rng.sample("abcde", rng.randint(1, 3)), rng.choice(["", "", "", "train", "val", "test"])
    return Row(PurePosixPath(name), frozenset(tags), split)


@pytest.mark.parametrize("seed", range(60))
def test_random_rows_keep_their_splits_every_class_in_train_and_the_fraction(seed):
    rng = random.Random(seed)
    rows, fraction = [random_row(rng, f"{k}.jpg") for k in range(rng.choice([8, 12, 60]))], rng.random() * 0.9
    splits = dict(zip(rows, choose_splits(rows, seed, fraction), strict=True))
    assert all(split == row.split for row, split in splits.items() if row.split)
    free = [row for row in rows if not row.split]
    assert all(splits[row] in ("train", "val") for row in free)
    for tag in {tag for row in free for tag in row.tags}:
        assert any(tag in row.tags and split == "train" for row, split in splits.items())
    # Each of at most five groups is rounded by at most a half, and each class takes back at most one.
    expected, found = fraction * len(free), sum(splits[row] == "val" for row in free)
    assert expected - 5 * 1.5 - 5 <= found <= expected + 5 * 0.5
    shuffled = rng.sample(rows, len(rows))
    assert dict(zip(shuffled, choose_splits(shuffled, seed, fraction), strict=True)) == splits
