# What all rules share: the checked configuration, paths, and what a job's params are made of.

import base64
import hashlib
import json
import os
import sys
from functools import cache
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

SCRIPTS = f"{workflow.basedir}/workflow_scripts"
sys.path.insert(0, SCRIPTS)

from tagseg.code_digest import code_digest
from tagseg.configuration import config_problems
from tagseg.datasets.common import CLASS_LIST, MASK_FOLDER
from tagseg.datasets.photos import TABLES as LABEL_TABLES
from tagseg.images import PHOTOGRAPH_SUFFIXES
from tagseg.index import INDEX_FILES
from tagseg.nodes import AUTO, CAM_SEED, PAPER_NODES, TRUE_SEED, canonical_node
from tagseg.seals import RUN as SEALED_RUN
from tagseg.threads import AUTO as AUTO_THREADS, MOST, THREADS

# Jobs run the Python that runs Snakemake, also where its environment was not activated. They are told
# where our scripts are by a variable: a param would re-run everything where the repository moved.
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]),
    TAGSEG_SCRIPTS=SCRIPTS,
)

# Jobs write their stderr to logs; this tells them that a progress bar has a terminal to go to.
if sys.stderr.isatty():
    os.environ.update(TAGSEG_TERMINAL="1")


def check_config(content):
    """Raise one WorkflowError that names every unknown key and bad value, before anything runs."""
    schema = yaml.safe_load(Path(workflow.basedir, "schemas/config.schema.yaml").read_text())
    lines = [f"  {problem}" for problem in config_problems(content, schema)]
    lines += [*folder_problems(content), *upper_bound_problems(content)] if not lines else []
    if lines:
        raise WorkflowError("config:\n" + "\n".join(sorted(lines)))


def folder_problems(content):
    """Return what is wrong with the folders that the configuration names, a line each."""
    kind, dataset = content["dataset"]["kind"], content["dataset"]
    named = {
        "photos": (content["photos"], ("photos",)),
        "dataset.root": (dataset["root"], ("voc", "coco")),
        "dataset.test_root": (dataset["test_root"], ("voc",)),
        "dataset.sbd": (dataset["sbd"], ("voc",)),
        "new_photos": (content["new_photos"], (kind,)),
    }
    return [
        *name_problems(content),
        *(
            f"  {key}: {folder}: is set, but dataset.kind is {kind}; make that {' or '.join(kinds)}, "
            "or name its overlay with --configfile"
            for key, (folder, kinds) in named.items()
            if folder and kind not in kinds
        ),
        *(
            f"  {key}: {folder}: no such folder; name one that exists"
            for key, (folder, kinds) in named.items()
            if kind in kinds and (folder or key == "photos") and not is_folder(folder)
        ),
    ]


def name_problems(content):
    """Return what is wrong with texts that are or become names of files, a line each."""
    written = {
        "results": Path(content["results"], content["run"]),
        "fetch.folder": Path(content["fetch"]["folder"]),
    }
    return [
        *(
            f"  {key}: {text}: braces, which Snakemake takes for wildcards; name something without them"
            for key, text in texts(content)
            if set("{}") & set(text)
        ),
        *(
            f"  {key}: {folder}: begins with '-', as options of commands do; name another folder"
            for key, folder in written.items()
            if str(folder).startswith("-")
        ),
        *(
            f"  {key}: {place}: is a file; name a folder, or a place for one"
            for key, folder in written.items()
            for place in (folder, *folder.parents)
            if place.is_file()
        ),
    ]


def texts(content, prefix=""):
    """Yield (dotted key, text) of every text in a section of the configuration, however deep."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in pairs:
        if isinstance(value, str):
            yield f"{prefix}{key}", value
        elif isinstance(value, (dict, list)):
            yield from texts(value, f"{prefix}{key}.")


def upper_bound_problems(content):
    """Return a line where the report wants an upper bound and no true masks of train are collected."""
    wanted, collected = content["report"]["upper_bound"], content["dataset"]["true_masks"]
    if not wanted or "train" in collected:
        return []
    return ["  report.upper_bound: is true, but no true masks of train; add train to dataset.true_masks"]


def is_folder(name):
    """Say whether a setting names a folder that is there."""
    return bool(name) and Path(name).expanduser().is_dir()


def tidy_folder(folder):
    """Return one spelling of a folder's path: below the working folder relative, else absolute."""
    path = os.path.abspath(os.path.expanduser(folder))
    inside = os.path.relpath(path)
    return path if inside.startswith(os.pardir) else inside


check_config(config)
for section, keys in (
    (config, ("photos", "new_photos")),
    (config["dataset"], ("root", "test_root", "sbd")),
    (config["fetch"], ("folder",)),
):
    section.update({key: tidy_folder(section[key]) for key in keys if section[key] is not None})

# With how many threads jobs compute comes from here and not from --cores, on which no result is to depend. It is no
# param: another number changes last digits only, and re-runs nothing. Snakemake is asked for as many cores.
os.environ.update({THREADS: str(config["threads"])})
COMPUTING = MOST if config["threads"] == AUTO_THREADS else config["threads"]

RUN = f"{config['results']}/{config['run']}"
os.environ.update({SEALED_RUN: RUN})  # jobs seal what they make in there, whatever script makes it
LAYER = canonical_node(config["layer"])
ABLATION_LAYERS = [canonical_node(layer) for layer in config["ablation"]["layers"]]
FIGURE_LAYERS = [canonical_node(layer) for layer in config["figures"]["layers"]]
TABLE_SEEDS = [canonical_node(seed) for seed in config["tables"]["seeds"]]
NODE = rf"(?!(?:{CAM_SEED}|{TRUE_SEED}|{AUTO})(?:/|$))[A-Za-z][A-Za-z0-9_.]*"
BACKBONE = config["segmenter"]["network"]["backbone"]
ROUNDS = config["segmenter"]["rounds"]
FETCHED = config["fetch"]["folder"]
# Files of other forms (JSON, tables, lists of classes) are named one by one: notes beside photographs are no data.
DATA_SUFFIXES = {"voc": PHOTOGRAPH_SUFFIXES | {".xml", ".txt", ".mat"}}.get(
    config["dataset"]["kind"], PHOTOGRAPH_SUFFIXES
)
SHARDS = range(config["shards"])
# The last one changes with the photographs, even where the tables stay the same to the byte.
INDEX = [f"{RUN}/index/{name}" for name in INDEX_FILES]
TRUE_MASKS = f"{RUN}/true_masks/{{split}}"


# Whether results are taken over as they are. `workflow.touch` says so only after the rules were read.
TAKEN_OVER = not {"--touch", "-t"}.isdisjoint(sys.argv)


@cache
def is_recorded(output):
    """Say whether Snakemake has a record of how an output was made, or a mark that a job is making it.

    A database of records is taken to have it: it is not opened before the rules are read.
    """
    records = [record_path(f".snakemake/{kind}", output) for kind in ("metadata", "incomplete")]
    return any(map(os.path.exists, [".snakemake/metadata.db", *records]))


def record_path(folder, output):
    """Return where Snakemake keeps an output's record in a folder (its FilePersistence): in a file named by the
    output's path in base64, or, where that is longer than names may be, in folders that are parts of it.
    """
    name = base64.urlsafe_b64encode(output.encode()).decode()
    longest = os.pathconf(folder, "PC_NAME_MAX") - 1 if os.path.isdir(folder) else len(name)
    parts = [name[start : start + longest] for start in range(0, len(name), longest)]
    return os.path.join(folder, *(f"@{part}" for part in parts[:-1]), parts[-1])


def check_records():
    """Raise WorkflowError where results lie without Snakemake's records: it would trust them as they are."""
    if workflow.is_main_process and os.path.exists(INDEX[0]) and not (TAKEN_OVER or is_recorded(INDEX[0])):
        raise WorkflowError(
            f"{RUN}: these results came without the records of how they were made; copy the folder .snakemake "
            f"of the place where they were made as well, or delete {RUN} (docs/changing.md says more)"
        )


check_records()


def code(script):
    """Return the digest of a script and of the modules of ours that it imports."""
    return code_digest(f"{SCRIPTS}/{script}.py")


@cache
def file_digest(path):
    """Return the SHA-256 of a file; "" where it cannot be read, which Snakemake or its reader tells."""
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def settings(**content):
    """Return the slice of the configuration that a job may see, as JSON for its command line."""
    return json.dumps(content, sort_keys=True)


def shards(pattern):
    """Return the paths of all shards: `pattern` with `{shard}` filled in, other wildcards kept."""
    return [pattern.replace("{shard}", str(shard)) for shard in SHARDS]


def checkpoint(seed, number):
    """Return the segmenter's checkpoint of a seed and a round."""
    return f"{RUN}/segmenter/{seed}/{BACKBONE}/round{number}/checkpoint.pth"


def entries(folder):
    """Return what lies in a folder and is not hidden; nothing where it cannot be read: its reader says so."""
    try:
        with os.scandir(folder) as found:
            return [entry for entry in found if not entry.name.startswith(".")]
    except OSError:
        return []


def data_files(place, suffixes, left_out=()):
    """Yield (path, size, time) of the data files at or below a place; of none where it is not there.

    The runs' results and the folders `left_out` are not looked into, nor are linked folders: of those the path is
    told and where the link leads, "" for the time.
    """
    if os.path.isfile(place):
        yield place, *size_and_time(place)
    closed = {tidy_folder(folder) for folder in (config["results"], *left_out)}
    waiting = [place]
    while waiting:
        for entry in entries(waiting.pop()):
            folder = entry.is_dir(follow_symlinks=False)
            linked = entry.is_symlink() and os.path.isdir(entry.path)
            if (folder or linked) and tidy_folder(entry.path) in closed:
                continue
            if folder:
                waiting.append(entry.path)
            elif linked:
                yield entry.path, os.readlink(entry.path), ""
            elif os.path.splitext(entry.name)[1].lower() in suffixes:
                yield entry.path, *size_and_time(entry.path)


def size_and_time(path):
    """Return a file's size in bytes and its time in nanoseconds; of a link that leads nowhere, -1 and -1."""
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def listing(*places, suffixes=DATA_SUFFIXES, left_out=(), drawn=""):
    """Return a digest over names, sizes and times of the data files at or below several places, and `drawn`.

    Of linked folders it is over names and where they lead.
    """
    rows = (
        f"{number}\0{path.removeprefix(place)}\0{size}\0{time}"
        for number, place in enumerate(places)
        for path, size, time in data_files(place, suffixes, left_out)
    )
    return hashlib.sha256("\n".join([drawn, *sorted(rows)]).encode(errors="surrogateescape")).hexdigest()[:16]
