"""Every module of the library: an edit re-runs the stages whose scripts load it, and no others.

A rule's param is the digest of its script (test_style.py), and another digest re-runs the rule and what
depends on it (test_staleness.py).
"""

import json
import shutil
from pathlib import Path

import pytest

from tagseg.code_digest import code_digest

SCRIPTS = Path(__file__).parents[2] / "workflow_scripts"
MODULES = sorted(path.relative_to(SCRIPTS).as_posix() for path in (SCRIPTS / "tagseg").rglob("*.py"))


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """A copy of the scripts and of the library."""
    return shutil.copytree(SCRIPTS, tmp_path_factory.mktemp("code") / "scripts")


@pytest.fixture(scope="module")
def loaded(checkout) -> dict[str, set[str]]:
    """The files of ours that Python itself has loaded once a script is imported, by script."""
    names = sorted(path.stem for path in SCRIPTS.glob("*.py"))
    found = json.loads(checkout.call("-W", "ignore", "-c", LOADED_FILES, *names).stdout)
    home = checkout.folder / "workflow_scripts"
    return {name: {Path(file).relative_to(home).as_posix() for file in found[name]} for name in names}


LOADED_FILES = """
import importlib, json, sys
sys.path.insert(0, "workflow_scripts")
found = {}
for script in sys.argv[1:]:
    ours = lambda: [name for name in sys.modules if name.split(".")[0] == "tagseg"]
    for name in ours():
        del sys.modules[name]
    importlib.import_module(script)
    found[script] = [sys.modules[name].__file__ for name in ours()]
json.dump(found, sys.stdout)
"""


def digests(folder: Path) -> dict[str, str]:
    return {path.stem: code_digest(path) for path in folder.glob("*.py")}


@pytest.fixture(scope="module")
def digests_before(library) -> dict[str, str]:
    return digests(library)


@pytest.mark.parametrize("module", MODULES)
def test_an_edited_module_changes_the_digests_of_the_scripts_that_load_it(
    library, loaded, digests_before, module
):
    before = (library / module).read_text(encoding="utf-8")
    (library / module).write_text(f"{before}\nedited = True\n", encoding="utf-8")
    try:
        after = digests(library)
    finally:
        (library / module).write_text(before, encoding="utf-8")
    changed = {script for script in after if after[script] != digests_before[script]}
    assert changed == {script for script, files in loaded.items() if module in files}


def test_a_module_that_no_script_loads_is_the_rules_own(loaded, sources, root):
    """It decides what jobs see, which their params tell, and not what they do."""
    idle = set(MODULES).difference(*loaded.values())
    rules = "".join((root / name).read_text() for name in sources if name.endswith(".smk"))
    for module in idle:
        assert f"from {module.removesuffix('.py').replace('/', '.')} import" in rules, module
