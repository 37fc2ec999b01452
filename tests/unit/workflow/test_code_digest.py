"""The digest of a stage's code: it changes with what the stage imports, and with nothing else."""

import ast
import os
from pathlib import Path

import pytest

import tagseg
from tagseg.workflow.code_digest import code_digest, sources

SCRIPTS = Path(tagseg.__file__).parents[1]

TREE = {
    "run_stage.py": "import json\nfrom tagseg.first import thing\n",
    "run_other.py": "import tagseg.datasets.voc\n", "run_plain.py": "from tagseg import leaf\n",
    "tagseg/__init__.py": '"""A package."""\n', "tagseg/first.py": "import os\nfrom tagseg import second\n",
    "tagseg/second.py": "def late():\n    from tagseg.third import thing\n",
    "tagseg/third.py": "from tagseg.first import thing  # a circle\n", "tagseg/leaf.py": "import torch\n",
    "tagseg/datasets/__init__.py": "from tagseg.leaf import x\n", "tagseg/datasets/voc.py": "",
    "tagseg/datasets/known.csv": "a,b\n1,2\n", "tagseg/datasets/page.html.j2": "<p>\n",
    "tagseg/datasets/notes.txt": "no table", "tagseg/datasets/deeper/no_package.csv": "a\n",
    "json.py": "raise RuntimeError('not ours: no module of the package')\n",
}  # fmt: skip
OF_STAGE = {"run_stage.py", *(f"tagseg/{name}.py" for name in ("__init__", "first", "second", "third"))}
OF_OTHER = {
    "run_other.py", "tagseg/__init__.py", "tagseg/leaf.py",
    *(f"tagseg/datasets/{name}" for name in ("__init__.py", "voc.py", "known.csv", "page.html.j2")),
}  # fmt: skip


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


@pytest.mark.parametrize(("script", "expected"), [("run_stage.py", OF_STAGE), ("run_other.py", OF_OTHER)])
def test_the_sources_are_what_is_imported_and_the_tables_beside_it(tree, script, expected):
    assert names(tree / script) == expected


@pytest.mark.parametrize("changed", sorted(TREE))
def test_the_digest_changes_with_its_sources_and_with_nothing_else(tree, changed):
    scripts = [tree / name for name in ("run_stage.py", "run_other.py", "run_plain.py")]
    before = {script: code_digest(script) for script in scripts}
    path = tree / changed
    path.write_text(path.read_text() + "edited = True\n")
    for script in scripts:
        assert (code_digest(script) != before[script]) == (changed in names(script))


def test_comments_do_not_count_and_text_that_looks_like_one_does(tree):
    script, digests = tree / "run_plain.py", []
    for text in ('x = """\n# text\n"""\n', '# why\nx = """\n# text\n"""  # so\n', 'x = """\n# other\n"""\n'):
        script.write_text(text)
        digests.append(code_digest(script))
    assert digests[0] == digests[1] != digests[2]


def test_touching_or_moving_changes_nothing(tree, tmp_path, monkeypatch):
    before = code_digest(tree / "run_stage.py")
    for path in tree.rglob("*.*"):
        os.utime(path, (0, 0))
    assert code_digest(tree / "run_stage.py") == before
    assert code_digest(write_tree(tmp_path / "a" / "deeper folder") / "run_stage.py") == before
    monkeypatch.chdir(tree.parent)
    assert code_digest("scripts/run_stage.py") == before


@pytest.mark.parametrize(("script", "module", "depends"), [
    ("build_index", "models/deeplab", False), ("build_index", "datasets/voc/devkit", True),
    ("train_segmenter", "models/deeplab", True), ("train_segmenter", "patterns/class_patterns", False),
    ("score_masks", "evaluation/metrics", True), ("extract_features", "segmentation/crf", False),
    ("decide_masks", "segmentation/crf", True), ("find_patterns", "models/deeplab", False),
])  # fmt: skip
def test_a_stage_depends_on_its_own_modules(script, module, depends):
    assert (f"tagseg/{module}.py" in names(SCRIPTS / f"{script}.py")) == depends


LOW = {"runtime", "storage"}
ROOMS = {
    "runtime": set(), "storage": {"runtime"}, "models": LOW, "datasets": LOW, "evaluation": LOW,
    "patterns": LOW | {"models"}, "training": LOW | {"models"}, "segmentation": LOW | {"models"},
    "report": LOW | {"models", "patterns", "evaluation"},
}  # fmt: skip
ROOMS["workflow"] = set(ROOMS) - {"report"}
"""What the modules of each room may import, beside those of their own."""


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_below_it(room):
    """Relative imports, and imports of one script by another, the digest would not follow."""
    assert {path.parent.name for path in (SCRIPTS / "tagseg").glob("*/__init__.py")} == set(ROOMS)
    scripts = {path.stem for path in SCRIPTS.glob("*.py")}
    for path in (SCRIPTS / "tagseg" / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert node.level == 0 and node.module not in scripts, path.name
                top, *rest = node.module.split(".")
                if top == "tagseg" and rest:
                    assert rest[0] in ROOMS[room] | {room}, f"{path.name} imports {node.module}"
