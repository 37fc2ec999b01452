"""What starting each script loads: jobs of a second should not spend it on libraries that they do not use."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagseg.workflow.code_digest import sources

SCRIPTS = Path(__file__).parents[3] / "workflow_scripts"
SLOW = {"torch", "torchvision", "timm", "scipy", "matplotlib", "requests", "pycocotools", "snakemake"}
"""Libraries that take a tenth of a second or more."""

FIGURES = ("draw_figure_4", "draw_figure_5", "choose_layer", "compare_seeds", "render_report")
NETWORKS = ("train_classifier", "extract_features", "compute_cam", "train_segmenter", "compute_logits")
LOADED = {
    **dict.fromkeys(NETWORKS, {"torch", "torchvision", "timm"}),
    "segment_images": {"torch", "torchvision", "timm"},
    "verify_results": {"torch"},
    **dict.fromkeys(FIGURES, {"matplotlib"}),
    **dict.fromkeys(("draw_figure_1", "draw_figure_3"), {"matplotlib", "scipy"}),
    "find_patterns": {"scipy"},
    "generate_demo": {"scipy"},
    **dict.fromkeys(("build_index", "collect_ground_truth", "check_data"), {"pycocotools"}),
    **dict.fromkeys(("fetch_archive", "unpack_archive"), {"requests"}),
}
"""The slow libraries of each script; the others load none."""


def loaded(statements: list[ast.stmt]) -> Iterator[str]:
    """Yield the top names that a module imports when it is loaded: not those in functions or for types alone."""
    for node in statements:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).partition(".")[0]
        elif isinstance(node, ast.If | ast.Try | ast.With) and "TYPE_CHECKING" not in ast.dump(node):
            yield from loaded(node.body)


@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_a_script_loads_only_the_slow_libraries_that_it_uses(script):
    modules = [path for path in sources(SCRIPTS / f"{script}.py") if path.suffix == ".py"]
    found = {name for path in modules for name in loaded(ast.parse(path.read_bytes()).body)}
    assert found & SLOW == LOADED.get(script, set())
