# What all rules share: the checked configuration, paths, and what a job's params are made of.

import hashlib
import json
import os
import sys
from pathlib import Path

import jsonschema
import yaml
from snakemake.exceptions import WorkflowError

SCRIPTS = f"{workflow.basedir}/workflow_scripts"
sys.path.insert(0, SCRIPTS)

from tagseg.code_digest import code_digest
from tagseg.images import PHOTOGRAPH_SUFFIXES
from tagseg.nodes import CAM_SEED, TRUE_SEED, canonical_node

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
    errors = jsonschema.Draft202012Validator(schema).iter_errors(content)
    lines = [
        f"  {'.'.join(map(str, error.absolute_path)) or 'top level'}: {error.message}" for error in errors
    ]
    lines += folder_problems(content) if not lines else []
    if lines:
        raise WorkflowError("config:\n" + "\n".join(sorted(lines)))


def folder_problems(content):
    """Return what is wrong with the folders that the configuration names, a line each."""
    roots = {"photos": ("photos", content["photos"]), "voc": ("dataset.root", content["dataset"]["root"])}
    named = [roots[content["dataset"]["kind"]]] if content["dataset"]["kind"] in roots else []
    if content["new_photos"] is not None:
        named.append(("new_photos", content["new_photos"]))
    lines = [
        f"  {key}: {folder}: is set, but dataset.kind is {content['dataset']['kind']}; make that {kind}, "
        "or name its overlay with --configfile"
        for kind, (key, folder) in roots.items()
        if folder and kind != content["dataset"]["kind"]
    ]
    return lines + [
        f"  {key}: {folder}: no such folder; name one that exists"
        for key, folder in named
        if not folder or not Path(folder).expanduser().is_dir()
    ]


def tidy_folder(folder):
    """Return one spelling of a folder's path: below the working folder relative, else absolute."""
    path = os.path.abspath(os.path.expanduser(folder))
    inside = os.path.relpath(path)
    return path if inside.startswith(os.pardir) else inside


check_config(config)
for section, key in ((config, "photos"), (config, "new_photos"), (config["dataset"], "root")):
    if section[key] is not None:
        section[key] = tidy_folder(section[key])

RUN = f"{config['results']}/{config['run']}"
LAYER = canonical_node(config["layer"])
ABLATION_LAYERS = [canonical_node(layer) for layer in config["ablation"]["layers"]]
BACKBONE = config["segmenter"]["network"]["backbone"]
ROUNDS = config["segmenter"]["rounds"]
DATA_SUFFIXES = {*PHOTOGRAPH_SUFFIXES, ".xml", ".txt"}
SHARDS = range(config["shards"])
INDEX = [f"{RUN}/index/index.csv", f"{RUN}/index/classes.csv"]


def code(script):
    """Return the digest of a script and of the modules of ours that it imports."""
    return code_digest(f"{SCRIPTS}/{script}.py")


def settings(**content):
    """Return the slice of the configuration that a job may see, as JSON for its command line."""
    return json.dumps(content, sort_keys=True)


def shards(pattern):
    """Return the paths of all shards: `pattern` with `{shard}` filled in, other wildcards kept."""
    return [pattern.replace("{shard}", str(shard)) for shard in SHARDS]


def checkpoint(seed, number):
    """Return the segmenter's checkpoint of a seed and a round."""
    return f"{RUN}/segmenter/{seed}/{BACKBONE}/round{number}/checkpoint.pth"


def is_data(path):
    """Say whether a path is of a file that data sets consist of, and not hidden."""
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and path.suffix.lower() in DATA_SUFFIXES


def listing(folder):
    """Return a digest over names, sizes and times of the images, masks and annotations below a folder."""
    files = sorted(path for path in Path(folder).rglob("*") if is_data(path.relative_to(folder)))
    rows = [f"{path.relative_to(folder)}\0{path.stat().st_size}\0{path.stat().st_mtime_ns}" for path in files]
    return hashlib.sha256("\n".join(rows).encode(errors="surrogateescape")).hexdigest()[:16]
