# What all rules share: the checked configuration, paths, and what a job's params are made of.

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
from tagseg.nodes import CAM_SEED, TRUE_SEED, canonical_node

# Jobs run the Python that runs Snakemake, also where its environment was not activated.
os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])


def check_config(content):
    """Raise one WorkflowError that names every unknown key and bad value, before anything runs."""
    schema = yaml.safe_load(Path(workflow.basedir, "schemas/config.schema.yaml").read_text())
    errors = jsonschema.Draft202012Validator(schema).iter_errors(content)
    lines = [f"  {'.'.join(map(str, error.absolute_path)) or 'top level'}: {error.message}" for error in errors]
    lines += missing_folder(content) if not lines else []
    if lines:
        raise WorkflowError("config:\n" + "\n".join(sorted(lines)))


def missing_folder(content):
    """Return what is wrong with the folders that the configuration names, a line each."""
    kind = content["dataset"]["kind"]
    key, folder = {"photos": ("photos", content["photos"]), "voc": ("dataset.root", content["dataset"]["root"])}.get(
        kind, (None, ".")
    )
    lines = [] if folder and Path(folder).is_dir() else [f"  {key}: {folder}: no such folder; name the data set's"]
    new = content["new_photos"]
    return lines + ([] if new is None or Path(new).is_dir() else [f"  new_photos: {new}: no such folder"])


check_config(config)

RUN = f"{config['results']}/{config['run']}"
LAYER = canonical_node(config["layer"])
ABLATION_LAYERS = [canonical_node(layer) for layer in config["ablation"]["layers"]]
BACKBONE = config["segmenter"]["network"]["backbone"]
ROUNDS = config["segmenter"]["rounds"]
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
