"""The digest of a stage's code: it moves with what the stage imports, and with nothing else."""

import ast
import hashlib
import os
import shutil
from pathlib import Path

import pytest

import tagseg
from tagseg.code_digest import code_digest, sources

SCRIPTS = Path(tagseg.__file__).parents[1]

TREE = {
    "run_stage.py": "import json\nfrom tagseg.first import thing\n",
    "run_other.py": "import tagseg.datasets.voc\n",
    "run_plain.py": "from tagseg import leaf\n",
    "tagseg/__init__.py": '"""A package."""\n',
    "tagseg/first.py": "import os\nfrom tagseg import second\n",
    "tagseg/second.py": "def late():\n    from tagseg.third import thing\n",
    "tagseg/third.py": "from tagseg.first import thing  # a circle\n",
    "tagseg/leaf.py": "import torch\n",
    "tagseg/datasets/__init__.py": "from tagseg.leaf import x\n",
    "tagseg/datasets/voc.py": "",
    "tagseg/datasets/known.csv": "a,b\n1,2\n",
    "tagseg/datasets/notes.txt": "no table",
    "tagseg/datasets/deeper/no_package.csv": "a\n",
    "json.py": "raise RuntimeError('not ours: no module of the package')\n",
}


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "scripts")


def write_tree(root):
    for name, content in TREE.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def names(script):
    return {source.relative_to(script.parent).as_posix() for source in sources(script)}


def append(path, text="edited = True\n"):
    path.write_text(path.read_text() + text)


def test_imports_are_followed_through_functions_and_circles(tree):
    expected = {"run_stage.py", *(f"tagseg/{name}.py" for name in ("__init__", "first", "second", "third"))}
    assert names(tree / "run_stage.py") == expected


def test_a_module_taken_from_the_package_is_found(tree):
    assert names(tree / "run_plain.py") == {"run_plain.py", "tagseg/__init__.py", "tagseg/leaf.py"}


def test_packages_on_the_way_count_with_what_they_import(tree):
    assert names(tree / "run_other.py") == {
        "run_other.py",
        "tagseg/__init__.py",
        "tagseg/datasets/__init__.py",
        "tagseg/datasets/known.csv",
        "tagseg/datasets/voc.py",
        "tagseg/leaf.py",
    }


CHANGES = ["run_stage.py", "tagseg/__init__.py", "tagseg/first.py", "tagseg/second.py", "tagseg/third.py"]


@pytest.mark.parametrize("changed", CHANGES)
def test_a_change_of_what_is_imported_changes_the_digest(tree, changed):
    before = code_digest(tree / "run_stage.py")
    append(tree / changed)
    assert code_digest(tree / "run_stage.py") != before


@pytest.mark.parametrize("changed", sorted(set(TREE) - set(CHANGES)))
def test_a_change_of_anything_else_does_not(tree, changed):
    before = code_digest(tree / "run_stage.py")
    append(tree / changed)
    assert code_digest(tree / "run_stage.py") == before


@pytest.mark.parametrize("script", ["run_other.py", "run_plain.py"])
def test_the_tables_of_a_package_are_part_of_its_source(tree, script):
    before = code_digest(tree / script)
    append(tree / "tagseg/datasets/known.csv", "3,4\n")
    assert (code_digest(tree / script) != before) == (script == "run_other.py")


def test_a_table_beside_no_package_does_not_count(tree):
    before = code_digest(tree / "run_other.py")
    append(tree / "tagseg/datasets/deeper/no_package.csv", "3\n")
    append(tree / "tagseg/datasets/notes.txt")
    assert code_digest(tree / "run_other.py") == before


COMMENTED = '''import os  # the system

# Why it is so.
def say():
    # Within a block.
    return """
# no comment, a text
"""
'''
UNCOMMENTED = '''import os

def say():
    return """
# no comment, a text
"""
'''


def test_comments_do_not_count(tree):
    script = tree / "run_plain.py"
    script.write_text(UNCOMMENTED)
    before = code_digest(script)
    script.write_text(COMMENTED)
    assert code_digest(script) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [("# no comment", "# another"), ("    return", "    print()\n    return"), ('"""\n#', '"""#')],
)
def test_what_looks_like_a_comment_and_is_text_counts(tree, old, new):
    script = tree / "run_plain.py"
    script.write_text(COMMENTED)
    before = code_digest(script)
    script.write_text(COMMENTED.replace(old, new))
    assert code_digest(script) != before


def test_touching_changes_nothing(tree):
    before = code_digest(tree / "run_stage.py")
    for path in tree.rglob("*.*"):
        os.utime(path, (0, 0))
    assert code_digest(tree / "run_stage.py") == before


def test_content_that_moves_between_modules_changes_the_digest(tree):
    before = code_digest(tree / "run_stage.py")
    first, third = tree / "tagseg/first.py", tree / "tagseg/third.py"
    texts = first.read_text(), third.read_text()
    first.write_text(texts[1] + texts[0])
    third.write_text("from tagseg.first import thing")
    assert code_digest(tree / "run_stage.py") != before


def test_the_folder_does_not_count(tree, tmp_path):
    other = write_tree(tmp_path / "a" / "deeper folder")
    assert code_digest(other / "run_stage.py") == code_digest(tree / "run_stage.py")


def test_a_relative_path_gives_the_same(tree, monkeypatch):
    before = code_digest(tree / "run_stage.py")
    monkeypatch.chdir(tree.parent)
    assert code_digest("scripts/run_stage.py") == before
    monkeypatch.chdir(tree)
    assert code_digest("run_stage.py") == before


def test_the_digest_is_that_of_names_and_contents(tree):
    sha = hashlib.sha256()
    for name in ("run_plain.py", "tagseg/__init__.py", "tagseg/leaf.py"):
        sha.update(name.encode() + bytes(1) + hashlib.sha256((tree / name).read_bytes()).digest())
    assert code_digest(str(tree / "run_plain.py")) == sha.hexdigest()[:16]


# ------------------------------------------------------------------------------------ the real scripts


@pytest.mark.parametrize(
    ("script", "module", "depends"),
    [
        ("build_index", "deeplab", False),
        ("build_index", "datasets/voc", True),
        ("train_segmenter", "deeplab", True),
        ("train_segmenter", "backbones", True),
        ("train_segmenter", "patterns", False),
        ("score_masks", "backbones", False),
        ("score_masks", "metrics", True),
        ("extract_features", "classifier", True),
        ("extract_features", "crf", False),
        ("decide_masks", "crf", True),
        ("find_patterns", "deeplab", False),
    ],
)
def test_a_stage_depends_on_its_own_modules(script, module, depends):
    assert (f"tagseg/{module}.py" in names(SCRIPTS / f"{script}.py")) == depends


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_table_of_the_paper_depends_on_its_numbers(number):
    assert f"tagseg/paper/table{number}.csv" in names(SCRIPTS / f"build_table_{number}.py")


def test_the_real_digests_do_not_depend_on_where_the_repository_lies(tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(SCRIPTS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for script in ("train_segmenter.py", "build_index.py"):
        assert code_digest(copy / script) == code_digest(SCRIPTS / script)


def test_no_module_imports_in_a_way_the_digest_does_not_see():
    """Relative imports, and imports of one script by another, would go unnoticed."""
    scripts = {path.stem for path in SCRIPTS.glob("*.py")}
    for path in SCRIPTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0 and node.module not in scripts, path.name
            elif isinstance(node, ast.Import):
                assert not scripts & {alias.name for alias in node.names}, path.name
