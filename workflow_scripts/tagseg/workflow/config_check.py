"""The check of a configuration: all its problems are reported together, each with its dotted key."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from tagseg.datasets.base import Adapter, Surroundings
from tagseg.datasets.registry import ADAPTERS
from tagseg.models.nodes import AUTO, OUR_SEED
from tagseg.runtime.errors import TagsegError
from tagseg.workflow.configuration import Config

RENAMED = {
    "dataset.true_masks": "dataset.ground_truth",
    "dataset.unreadable_share": "dataset.max_unreadable_fraction",
    "dataset.val_share": "dataset.val_fraction",
    "dataset.demo.multi_class_share": "dataset.demo.multi_class_fraction",
    "figures.photographs": "figures.images",
    "patterns.boundary": "patterns.threshold",
}
"""Old keys and their new names."""


def parse_config(
    content: Mapping[str, Any], command_line: Sequence[str] = (), shared_disk: bool = True, is_job: bool = False
) -> Config:
    """Return the checked configuration.

    Raises TagsegError with every unknown key and bad value, before anything runs, with values of the `command_line`
    that YAML has shortened, and without a `shared_disk` with files that jobs on other machines would need.
    `is_job`: this is a job, perhaps on such a machine, whose run has already found the user's folders.
    """
    dataset = content.get("dataset", {})
    kind = dataset.get("kind", "demo") if isinstance(dataset, Mapping) else dataset
    adapter = ADAPTERS.get(str(kind))
    if adapter is None or not isinstance(dataset, Mapping):
        raise _error([f"dataset.kind: {kind!r}: unknown. Use one of {', '.join(ADAPTERS)}."])
    own, problems = _own_keys(dataset, adapter)
    problems += _shortened(content, command_line)
    try:
        config = Config[adapter.settings_type].model_validate({**content, "dataset": own})  # type: ignore
    except ValidationError as error:
        raise _error([*problems, *_problems_of(error, adapter)]) from None
    problems += [] if is_job else _folder_problems(config, adapter)
    problems += [] if shared_disk else _unseen_files(config)
    if problems:
        raise _error(problems)
    return config


def _shortened(content: Mapping[str, Any], command_line: Sequence[str]) -> Iterator[str]:
    """Yield a line for each `KEY=VALUE` of the command line whose end YAML takes for a comment."""
    for word in command_line:
        key, sign, value = word.partition("=")
        if sign and " #" in value and isinstance(content.get(key), str) and " #" not in content[key]:
            yield f"{key}: {value}: YAML reads it as {content[key]!r} and a comment. {_in_a_file(key, value)}"


def _in_a_file(key: str, value: str) -> str:
    """Return the remedy for a value that is no text in YAML: Snakemake removes quotes from `--config`."""
    *sections, name = key.split(".")
    line = "".join(f"{section}: {{" for section in sections) + f'{name}: "{value}"' + "}" * len(sections)
    return f"Write it into a file, as the line {line}, and add that file to --configfile."


def surroundings(config: Config) -> Surroundings:
    """Return what an adapter needs to know of the run."""
    return Surroundings(f"{config.results}/{config.run}", config.fetch.folder, config.photos, config.random_seed)


def _error(problems: list[str]) -> TagsegError:
    return TagsegError("\n".join(["config:", *sorted(f"  {problem}" for problem in problems)]))


def _own_keys(dataset: Mapping[str, Any], adapter: type[Adapter]) -> tuple[dict[str, Any], list[str]]:
    """Return the keys of `dataset` without those of other kinds, and a problem for each of these that is set."""
    fields, own, problems = adapter.settings_type.model_fields, {}, []
    for key, value in dataset.items():
        others = {
            kind: other.settings_type.model_fields[key]
            for kind, other in ADAPTERS.items()
            if key in other.settings_type.model_fields
        }
        if key in fields or not others:
            own[key] = value
        elif value not in [field.get_default() for field in others.values()] and not isinstance(value, dict):
            kinds = " or ".join(others)
            problems.append(
                f"dataset.{key}: not a key of dataset.kind {dataset.get('kind', 'demo')}. Remove it, "
                f"set dataset.kind to {kinds}, or pass its overlay with --configfile."
            )
    return own, problems


def _problems_of(error: ValidationError, adapter: type[Adapter]) -> Iterator[str]:
    model = Config[adapter.settings_type]  # type: ignore[name-defined]
    for detail in error.errors(include_url=False, include_context=False):
        key = ".".join(part for part in map(str, detail["loc"]) if "[" not in part)  # no names of a union's types
        if detail["type"] == "extra_forbidden":
            yield f"{key}: unknown key. {_remedy(key, model)}"
        elif detail["type"] == "missing":
            yield f"{key}: missing. Add it."
        elif detail["type"] == "string_type" and not isinstance(detail["input"], list | None):
            kind = type(detail["input"]).__name__
            yield f"{key}: {detail['input']}: YAML reads this as {kind}, not as text. {_in_a_file(key, 'NAME')}"
        else:
            text = detail["msg"].removeprefix("Value error, ")
            yield f"{key}: {detail['input']!r}: {text[:1].lower()}{text[1:]}. Correct the value."


def _remedy(key: str, model: type[BaseModel]) -> str:
    """Return what to write in place of an unknown key: its new name, or the nearest key."""
    if key in RENAMED:
        return f"It is now called {RENAMED[key]}."
    section, _, name = key.rpartition(".")
    known = list(_keys(model))
    siblings = [other.rpartition(".")[2] for other in known if other.rpartition(".")[0] == section]
    if nearest := difflib.get_close_matches(name, siblings, 1):
        return f"Did you mean {section + '.' if section else ''}{nearest[0]}?"
    elsewhere = [other for other in known if other.rpartition(".")[2] == name]
    if elsewhere:
        return f"Did you mean {elsewhere[0]}?"
    return f"Remove it; known here: {', '.join(siblings) or 'nothing'}."


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of a model, sections and what is in them."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _keys(part, f"{prefix}{name}.")


def _folder_problems(config: Config, adapter: type[Adapter]) -> list[str]:
    """Return a line for each folder that does not exist or cannot be used, and each setting that needs another."""
    named = adapter(config.dataset, surroundings(config)).folders()
    required = {"photos"} & set(named)
    named["new_photos"] = config.new_photos
    lines = [
        f"{key}: {folder}: no such folder. Correct the path."
        if folder
        else f"{key}: not set. Add --config {key}=FOLDER."
        for key, folder in named.items()
        if (folder or key in required) and not (folder and Path(folder).is_dir())
    ]
    if config.checkpoint and not Path(config.checkpoint).is_file():
        lines.append(f"checkpoint: {config.checkpoint}: no such file. Correct the path.")
    if config.photos and "photos" not in named:
        lines.append(
            f"photos: set, but dataset.kind is {config.dataset.kind}. "
            "Set dataset.kind to photos, or pass its overlay with --configfile."
        )
    if config.report.upper_bound and "train" not in config.dataset.ground_truth:
        lines.append("report.upper_bound: requires ground truth of train. Add train to dataset.ground_truth.")
    if OUR_SEED in config.tables.seeds and config.layer == AUTO:
        lines.append(f"tables.seeds: {OUR_SEED}: requires a layer that is not chosen. Set layer to a node.")
    return [*lines, *_output_problems(config), *_brace_problems(config.model_dump())]


def _unseen_files(config: Config) -> Iterator[str]:
    """Yield a line for each file of this machine that jobs on other machines would read."""
    weights = {
        "classifier.network.weights": config.classifier.network.weights,
        "segmenter.network.weights": config.segmenter.network.weights,
    }
    for name, row in config.tables.networks.items():
        weights[f"tables.networks.{name}.network.weights"] = row.changes("network").get("weights")
    for key, value in weights.items():
        if value not in (None, "imagenet"):
            yield (
                f"{key}: {value}: jobs without a shared disk do not see this file. "
                "Set imagenet or null, or run on a shared disk."
            )


def _output_problems(config: Config) -> Iterator[str]:
    written = {"results": Path(config.results, config.run), "fetch.folder": Path(config.fetch.folder)}
    for key, folder in written.items():
        if str(folder).startswith("-"):
            yield f"{key}: {folder}: starts with '-', which commands read as an option. Rename the folder."
        for path in (folder, *folder.parents):
            if path.is_file():
                yield f"{key}: {path}: is a file. Name a folder."


def _brace_problems(content: Any, key: str = "") -> Iterator[str]:
    if isinstance(content, str) and set("{}") & set(content):
        yield f"{key}: {content}: has braces, which Snakemake reads as wildcards. Use a name without them."
    elif isinstance(content, Mapping):
        for name, value in content.items():
            yield from _brace_problems(value, f"{key}.{name}".lstrip("."))
    elif isinstance(content, list):
        for position, value in enumerate(content):
            yield from _brace_problems(value, f"{key}.{position}")
