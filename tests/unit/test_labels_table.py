"""Tables of labels in all their formats: the same content, and every way to write it wrong."""

import csv
import io
import json
import random
from pathlib import PurePosixPath

import pytest

from helpers import write_labels, write_photograph
from tagseg.datasets.labels_table import Row, read_rows
from tagseg.datasets.photos import index_photos
from tagseg.datasets.problems import DatasetProblems
from tagseg.errors import TagsegError


def write_table(folder, name, content):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return name


# The same set in all formats --------------------------------------------------------------------


def write_csv(folder, rows, name="labels.csv", delimiter=","):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(("image", "labels", "split"))
    writer.writerows((image, ";".join(tags), split) for image, tags, split in rows)
    write_table(folder, name, text.getvalue())


def write_tsv(folder, rows):
    write_csv(folder, rows, "labels.tsv", "\t")


def write_json_lines(folder, rows):
    lines = (json.dumps({"image": image, "labels": tags, "split": split}) for image, tags, split in rows)
    write_table(folder, "labels.jsonl", "\n".join(lines))


def write_json_lines_otherwise(folder, rows):
    """Write labels as one text, leave empty splits out, keep other alphabets, end lines as Windows does."""
    lines = [
        json.dumps({**({"split": split} if split else {}), "labels": ";".join(tags), "image": image},
                   ensure_ascii=False, indent=None)
        for image, tags, split in rows
    ]  # fmt: skip
    write_table(folder, "labels.jsonl", b"\xef\xbb\xbf" + "\r\n\r\n".join(lines).encode())


FORMATS = {
    "labels.csv": write_csv, "labels.tsv": write_tsv, "labels.jsonl": write_json_lines,
}  # fmt: skip


def draw_set(folder, single, seed=3):
    """Write photographs and return their rows; `single`: of one class, in folders as classes."""
    draw = random.Random(seed)
    rows = []
    for k in range(40):
        tags = draw.sample(["Straße", "犬", "a cat", "x,y"], 1 if single else draw.randint(1, 3))
        image = f'{tags[0] if single else draw.choice(["p", "q r"])}/{k}, "é".png'
        write_photograph(folder / image, 2, 2, seed=k)
        rows.append((image, tags, "" if single else draw.choice(["", "", "val", "test", "train"])))
    return rows


def read(folder, labels=None):
    return index_photos(folder, random_seed=5, val_share=0.3, labels=labels)


def tags_and_splits(index):
    return {row.path: (row.tags, row.split) for row in index.photographs}


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("write", [*FORMATS.values(), write_json_lines_otherwise])
def test_every_format_gives_what_was_written(tmp_path, write, single):
    rows = draw_set(tmp_path, single)
    write(tmp_path, rows)
    found = tags_and_splits(read(tmp_path))
    assert len(found) == len(rows)
    for image, tags, split in rows:
        assert set(found[str(tmp_path / image)][0]) == set(tags)
        assert not split or found[str(tmp_path / image)][1] == split


@pytest.mark.parametrize("single", [False, True])
def test_all_formats_give_the_same_index(tmp_path, single):
    rows = draw_set(tmp_path, single)
    for write in FORMATS.values():
        write(tmp_path, rows)
    first, *others = (read(tmp_path, name) for name in FORMATS)
    assert len({row.split for row in first.photographs}) > 1
    assert all(other == first for other in others)
    if single:
        assert read(tmp_path, "folders") == first


def test_null_is_nothing(tmp_path):
    first = '{"image": "a.jpg", "labels": null, "split": "test"}'
    second = '{"image": "b.jpg", "labels": "x", "split": null}'
    rows, problems = read_rows(tmp_path, write_table(tmp_path, "x.NDJSON", f"{first}\n{second}"))
    assert not problems
    assert rows == [
        Row(PurePosixPath("a.jpg"), frozenset(), "test", "x.NDJSON", 1),
        Row(PurePosixPath("b.jpg"), frozenset({"x"}), "", "x.NDJSON", 2),
    ]


def test_blanks_are_of_no_account(tmp_path):
    line = ' {"image": " a.jpg ", "labels": [" x ", "x", ""], "split": " val "} '
    (row,), problems = read_rows(tmp_path, write_table(tmp_path, "x.jsonl", line))
    assert (str(row.image), row.tags, row.split, problems) == ("a.jpg", {"x"}, "val", [])


def test_a_line_separator_inside_a_json_text_ends_no_line(tmp_path):
    line = '{"image": "a\u2028b.jpg", "labels": ["x"]}\n{"image": "c.jpg", "labels": []}'
    rows, (problem,) = read_rows(tmp_path, write_table(tmp_path, "x.jsonl", line))
    assert [str(row.image) for row in rows] == ["a\u2028b.jpg", "c.jpg"]
    assert problem == ("x.jsonl", 2, "c.jpg: no tag; name what is on the photograph or remove the row")


# Lines written wrong ----------------------------------------------------------------------------

GOOD = '{"image": "good.jpg", "labels": ["dog"]}'
ONE_OBJECT = "; write one JSON object a line"


def told(folder, name, content):
    """Return the problems of the set; each has to be of the table, and in its second line of content."""
    write_photograph(folder / "good.jpg")
    write_photograph(folder / "a.jpg")
    write_table(folder, name, content)
    with pytest.raises(DatasetProblems) as caught:
        read(folder)
    assert {(problem.place, problem.line) for problem in caught.value.problems} == {(name, 2)}
    return [problem.text for problem in caught.value.problems]


@pytest.mark.parametrize(("line", "texts"), [
    ('{"image": "a.jpg", "labels": ["dog"]', [
        f"not JSON (Expecting ',' delimiter at column 37){ONE_OBJECT}"
    ]),
    ("a.jpg,dog", [f"not JSON (Expecting value at column 1){ONE_OBJECT}"]),
    (GOOD + GOOD, [f"not JSON (Extra data at column 41){ONE_OBJECT}"]),
    ('["a.jpg", ["dog"]]', [f"no JSON object{ONE_OBJECT}"]),
    ("3", [f"no JSON object{ONE_OBJECT}"]),
    ("null", [f"no JSON object{ONE_OBJECT}"]),
    ("[" * 100 + "]" * 100, [f"no JSON object{ONE_OBJECT}"]),
    ("[" * 100_000 + "]" * 100_000, [f"not JSON that can be read (nested too deeply){ONE_OBJECT}"]),
    ('{"image":' * 100_000, [f"not JSON that can be read (nested too deeply){ONE_OBJECT}"]),
    ('{"image": NaN, "labels": ["dog"]}', [f"not JSON (NaN){ONE_OBJECT}"]),
    ('{"image": "a.jpg", "labels": [-Infinity]}', [f"not JSON (-Infinity){ONE_OBJECT}"]),
    ('{"image": "a.jpg", "labels": ["dog"], "image": "good.jpg"}', [f"key 'image' comes twice{ONE_OBJECT}"]),
    ('{"image": "a.jpg", "label": ["dog"]}', [
        "a.jpg: key 'label' is unknown; known are image, labels, split",
        "a.jpg: no tag; name what is on the photograph or remove the row",
    ]),
    ('{"image": "a.jpg", "labels": "dog", "x\\n\\ud800": ' + "[" * 100 + "]" * 100 + "}", [
        "a.jpg: key 'x\\n\\ud800' is unknown; known are image, labels, split",
    ]),
    ('{"image": 3, "labels": ["dog"]}', ["'image' has to be a string in quotes; mend it"]),
    ('{"image": ["a.jpg"], "labels": ["dog"]}', ["'image' has to be a string in quotes; mend it"]),
    ('{"image": ' + "9" * 5000 + ', "labels": ["dog"]}', ["'image' has to be a string in quotes; mend it"]),
    ('{"image": "a.jpg", "labels": ["dog"], "split": 1}', [
        "a.jpg: 'split' has to be a string in quotes; mend it"
    ]),
    ('{"labels": ["dog"]}', ["no path; name the image's file"]),
    ('{"image": null, "labels": ["dog"]}', ["no path; name the image's file"]),
    ('{"image": "a.jpg"}', ["a.jpg: no tag; name what is on the photograph or remove the row"]),
    ('{"image": "a.jpg", "labels": []}', ["a.jpg: no tag; name what is on the photograph or remove the row"]),
    ('{"image": "a.jpg", "labels": ["dog"], "split": "dev"}', [
        "a.jpg: split 'dev' is none of train, val, test; mend it or leave it empty"
    ]),
    ('{"image": "a.jpg", "labels": ["dog", "a;b"]}', [
        "a.jpg: class 'a;b' holds a sign that file names cannot; rename it"
    ]),
    ('{"image": "a.jpg", "labels": ["dog", "\\ud800"]}', [
        "a.jpg: class '\\ud800' holds a sign that file names cannot; rename it"
    ]),
    ('{"image": "\\ud800.jpg", "labels": ["dog"]}', ["\\ud800.jpg: the path is not UTF-8; mend it"]),
    ('{"image": "a\\u0000.jpg", "labels": ["dog"]}', ["a\\x00.jpg: the path holds a null sign; remove it"]),
    ('{"image": "../a\\n.jpg", "labels": ["dog"]}', [
        "../a\\n.jpg: the path leaves the folder by ..; move the file into the folder"
    ]),
    ('{"image": "./good.jpg", "labels": ["dog"]}', ["good.jpg: already in line 1; remove one of the two"]),
    ('{"image": "gone.jpg", "labels": ["dog"]}', [
        "gone.jpg: no such image; restore it or take it out of the data set"
    ]),
])  # fmt: skip
def test_bad_json_line(tmp_path, line, texts):
    assert told(tmp_path, "labels.jsonl", f"{GOOD}\n{line}\n") == texts


@pytest.mark.parametrize(
    "value", ["3", "true", "{}", '{"dog": 1}', '["dog", 3]', '[["dog"]]', '["dog", null]', "1e999"]
)
def test_labels_of_another_type(tmp_path, value):
    text = 'a.jpg: \'labels\' has to be a list of strings, like ["dog", "person"]; mend it'
    line = f'{{"image": "a.jpg", "labels": {value}}}'
    assert told(tmp_path, "labels.jsonl", f"{GOOD}\n{line}\n") == [text]


@pytest.mark.parametrize(("line", "texts"), [
    ("a.jpg\tdog\tval\tcat", ["a.jpg: more cells than columns; separate labels by ;, not by tabs"]),
    ("a.jpg,dog,val", [
        "a.jpg,dog,val: no such image; restore it or take it out of the data set",
        "a.jpg,dog,val: no tag; name what is on the photograph or remove the row",
    ]),
    ("a.jpg\t;\t", ["a.jpg: no tag; name what is on the photograph or remove the row"]),
    ("a.jpg\tdog\tdev", ["a.jpg: split 'dev' is none of train, val, test; mend it or leave it empty"]),
    ("\tdog\tval", ["no path; name the image's file"]),
])  # fmt: skip
def test_bad_tsv_line(tmp_path, line, texts):
    content = f"image\tlabels\tsplit\r\n{line}\r\ngood.jpg\tdog\ttrain\r\n"
    assert told(tmp_path, "labels.tsv", content) == texts


def test_problems_of_all_lines_are_told_with_their_numbers(tmp_path):
    write_photograph(tmp_path / "good.jpg")
    lines = [
        "nonsense",
        "",
        GOOD,
        '{"image": 1, "labels": 2, "split": 3, "x": 4}',
        GOOD,
        '{"image": "gone.jpg"}',
    ]
    write_table(tmp_path, "labels.jsonl", "\n".join(lines))
    with pytest.raises(DatasetProblems) as caught:
        read(tmp_path)
    assert [problem.line for problem in caught.value.problems] == [1, 4, 4, 4, 4, 5, 6, 6]


def test_nothing_but_bad_lines(tmp_path):
    write_table(tmp_path, "labels.jsonl", "x\ny\n")
    with pytest.raises(DatasetProblems, match=f"{tmp_path}: 2 problems\n  labels.jsonl, line 1: not JSON"):
        read(tmp_path)


# Tables that cannot be read ---------------------------------------------------------------------


@pytest.mark.parametrize(("name", "content", "message"), [
    ("labels.csv", "picture,labels\na.jpg,dog\n", "no column 'image'; .* has to be 'image,labels,split'"),
    ("labels.csv", "image;labels\na.jpg;dog\n", "no column 'image'; .*separated by commas"),
    ("labels.csv", "image,labels,splits\na.jpg,dog,val\n", "column 'splits' is unknown"),
    ("labels.csv", "image,labels,labels\na.jpg,dog,cat\n", "column 'labels' is unknown or doubled"),
    ("labels.csv", "", "no column 'image'"),
    ("labels.csv", "image,labels\n", "no row in it; add one for each photograph"),
    ("labels.csv", b"image,labels\n\xfc.jpg,dog\n", "not UTF-8; save it again"),
    ("labels.csv", 'image,labels\n"' + "x" * 200_000, "below line 1: not CSV"),
    ("labels.csv", 'image,labels\n"a.jpg,dog\nb.jpg,dog\n', r"below line 1: not CSV \(unexpected end"),
    ("labels.tsv", "image,labels\na.jpg,dog\n", r"no column 'image'; .* 'image\\tlabels\\tsplit'.* by tabs"),
    ("labels.tsv", "image\tlabels\tx\na.jpg\tdog\t\n", "column 'x' is unknown"),
    ("labels.tsv", 'image\tlabels\n"a.jpg\tdog', "below line 1: not TSV"),
    ("labels.tsv", "image\tlabels\n", "no row in it"),
    ("labels.jsonl", "", "no row in it"),
    ("labels.jsonl", b"\xef\xbb\xbf\r\n \r\n", "no row in it"),
    ("labels.jsonl", GOOD.encode("utf-16"), "not UTF-8"),
])  # fmt: skip
def test_unreadable_table(tmp_path, name, content, message):
    write_table(tmp_path, name, content)
    with pytest.raises(TagsegError, match=rf"{name}: {message}") as caught:
        read(tmp_path)
    assert not isinstance(caught.value, DatasetProblems)


def test_a_folder_in_the_place_of_the_table(tmp_path):
    (tmp_path / "labels.csv").mkdir()
    with pytest.raises(TagsegError, match=r"labels\.csv: cannot be read \(no regular file\)"):
        read(tmp_path)


def test_the_helper_of_other_tests_writes_the_same(tmp_path):
    write_labels(tmp_path / "a", "x.jpg,dog;cat,val")
    (tmp_path / "b").mkdir()
    write_csv(tmp_path / "b", [("x.jpg", ["dog", "cat"], "val")])
    assert read_rows(tmp_path / "a", "labels.csv") == read_rows(tmp_path / "b", "labels.csv")
