"""The digest of a stage's code: its script and every module of tagseg that it imports, transitively.

Tables and templates, the `*.csv` and `*.j2` beside the `__init__.py` of a package, are part of its source.

Snakemake's own triggers use time stamps of scripts and ignore imported modules. A stage has this digest in
its params instead: a touched file re-runs nothing, a changed module re-runs exactly the stages that import it.
Comments do not count.
"""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = "tagseg"


def code_digest(script: str | Path) -> str:
    """Return 16 hexadecimal digits over the sources on which `script` depends, including itself."""
    sha = hashlib.sha256()
    for source in sorted(sources(Path(script)), key=lambda path: path.as_posix()):
        sha.update(source.relative_to(Path(script).parent).as_posix().encode() + b"\0")
        sha.update(_content_digest(source))
    return sha.hexdigest()[:16]


def _content_digest(source: Path) -> bytes:
    """Return the SHA-256 of a file's bytes; of a Python file, of its bytes without comments."""
    content = source.read_bytes()
    return hashlib.sha256(_without_comments(content) if source.suffix == ".py" else content).digest()


@cache
def _without_comments(content: bytes) -> bytes:
    """Return a Python source without its comments, and without the lines that hold nothing else."""
    if b"#" not in content:
        return content
    lines: list[str | None] = list(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    for token in tokenize.tokenize(io.BytesIO(content).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            before = (lines[row - 1] or "")[:column].rstrip()
            lines[row - 1] = f"{before}\n" if before else None
    return "".join(line for line in lines if line is not None).encode()


def sources(script: Path) -> frozenset[Path]:
    """Return `script` and the files of all modules of ours that it imports, directly or not, with tables."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        source = waiting.pop()
        if source not in found:
            found.add(source)
            waiting.extend(_imported_files(source, script.parent))
    return frozenset(found)


@cache
def _imported_files(source: Path, root: Path) -> tuple[Path, ...]:
    """Return the files of ours that `source` imports, packages' `__init__` on the way included."""
    if source.suffix != ".py":
        return ()
    names = set(_imported_names(ast.parse(source.read_bytes(), filename=str(source))))
    files = (file for name in names if name.split(".")[0] == PACKAGE for file in _files(name, root))
    return tuple(sorted(set(files)))


def _imported_names(tree: ast.Module) -> Iterator[str]:
    """Yield every dotted name that may be a module: `from a import b` may import the module a.b."""
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        for part in ("body", "orelse", "handlers", "finalbody", "cases"):  # expressions import nothing
            nodes.extend(getattr(node, part, ()))
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def _files(name: str, root: Path) -> tuple[Path, ...]:
    """Return the files that importing the dotted name runs, and the tables and templates of its packages."""
    folder = root
    files: list[Path] = []
    for part in name.split("."):
        module, folder = folder / f"{part}.py", folder / part
        if module.is_file():
            files.append(module)
        if (folder / "__init__.py").is_file():
            files += [folder / "__init__.py", *folder.glob("*.csv"), *folder.glob("*.j2")]
    return tuple(files)
