"""The forms that the project keeps to: lint, format, complete rules, nothing of one machine."""

import re
import subprocess
import sys

import pytest

DIRECTIVES = ("log", "benchmark", "message", "threads", "resources", "conda", "params", "shell")
TARGET_RULES = {"all", "ablation", "upper_bound", "tables", "figures", "segment", "submission", "verify"}
WITHOUT_CODE = {"fetch_archive", "unpack_archive"}  # an edited script is no reason to fetch 20 GB again
HOME_FOLDER = re.compile(r"(?<![\w.~-])/(home|Users|root)/\w")
TEXT_SUFFIXES = ("", ".py", ".smk", ".yaml", ".yml", ".toml", ".md", ".rst", ".txt", ".cff", ".sh", ".csv")


def call(root, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=root, capture_output=True, text=True)


def rules_of(text: str) -> dict[str, str]:
    """Return the body of each rule by its name."""
    found = re.findall(r"^rule (\w+):\n((?:(?: {4}.*)?\n)+)", text, re.M)
    return dict(found)


@pytest.fixture(scope="module")
def rules(root) -> dict[str, str]:
    files = [root / "Snakefile", *sorted((root / "rules").glob("*.smk"))]
    return {name: body for path in files for name, body in rules_of(path.read_text() + "\n").items()}


def test_snakemake_has_nothing_to_criticise(checkout):
    done = checkout.call("-m", "snakemake", "--lint")
    assert done.returncode == 0 and "Congratulations" in done.stdout, done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("snakefmt", "--check", "Snakefile", "rules"),
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
    ],
    ids=" ".join,
)
def test_formatters_have_nothing_to_change(root, command):
    done = call(root, *command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_relative_import_is_criticised(root):
    """The digest of a stage's code does not follow it."""
    ruff = [sys.executable, "-m", "ruff", "check", "--stdin-filename", "workflow_scripts/tagseg/new.py", "-"]
    text = "from .errors import TagsegError\n\nprint(TagsegError)\n"
    done = subprocess.run(ruff, cwd=root, input=text, capture_output=True, text=True)
    assert done.returncode != 0 and "TID252" in done.stdout


def test_every_rule_is_complete(rules):
    assert len(rules) > 15
    for name in rules.keys() - TARGET_RULES:
        missing = [word for word in DIRECTIVES if not re.search(rf"^    {word}:", rules[name], re.M)]
        assert not missing, f"rule {name} lacks {missing}"
        for word in () if name in WITHOUT_CODE else ("code=code(",):
            assert word in rules[name], f"rule {name} lacks {word}"
        assert "2> {log" in rules[name], f"rule {name} lacks a log of its errors"


def test_every_rule_says_what_it_is_for(rules):
    assert rules.keys() >= TARGET_RULES
    for name, body in rules.items():
        assert re.match(r' {4}"""[A-Z].*\.', body), f"rule {name} has no docstring"


def test_the_digest_is_of_the_script_that_the_rule_calls(rules):
    for name in rules.keys() - TARGET_RULES - WITHOUT_CODE:
        called = re.search(r"/(\w+)\.py", rules[name])[1]
        assert f'code=code("{called}")' in rules[name], f"rule {name} calls {called}.py"


def test_every_script_has_a_rule(root, rules):
    scripts = {path.name for path in (root / "workflow_scripts").glob("*.py")}
    assert scripts == {name for body in rules.values() for name in re.findall(r"/(\w+\.py)", body)}


def test_every_report_figure_has_a_caption(root):
    names = re.findall(r'"(\w+)": "[\w.]+"', (root / "rules" / "report.smk").read_text())
    assert names and all((root / "docs" / "report" / f"{name}.rst").is_file() for name in names)


def test_no_file_names_a_home_folder(root, sources):
    for name in sources:
        path = root / name
        if path.suffix in TEXT_SUFFIXES:
            found = HOME_FOLDER.search(path.read_text(encoding="utf-8", errors="replace"))
            assert not found, f"{name}: {found[0]}"


def test_relative_links_lead_somewhere(root, sources):
    for name in sources:
        if name.endswith(".md"):
            text = (root / name).read_text(encoding="utf-8")
            for link in re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text):
                assert (root / name).parent.joinpath(link).exists(), f"{name}: {link}"


def test_every_key_of_the_configuration_is_in_the_schema_and_back(root):
    import yaml

    schema = yaml.safe_load((root / "schemas" / "config.schema.yaml").read_text())
    config = yaml.safe_load((root / "config.yaml").read_text())
    assert list(dotted_keys(config)) and set(dotted_keys(config)) == set(schema_keys(schema))


def dotted_keys(content: dict, prefix: str = ""):
    for key, value in content.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from dotted_keys(value, f"{prefix}{key}.")


def schema_keys(schema: dict, prefix: str = ""):
    for key, part in schema.get("properties", {}).items():
        yield f"{prefix}{key}"
        yield from schema_keys(part, f"{prefix}{key}.")


def test_no_text_has_a_blank_left_to_fill(root, sources):
    for name in (name for name in sources if name.endswith(".md")):
        assert not re.search(r"@[A-Z_]+@", (root / name).read_text(encoding="utf-8")), name
