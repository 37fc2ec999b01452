# What all rules share: the plan of the run, which checks the configuration, and where jobs find our scripts.

import os
import re
import sys
from functools import partial

from snakemake.exceptions import WorkflowError
from snakemake_interface_executor_plugins.settings import ExecMode, SharedFSUsage

# Beside the rules, also where another workflow imports this one as a module.
SCRIPTS = os.path.abspath(workflow.current_basedir.join("../workflow_scripts").get_path_or_uri(secret_free=False))
sys.path.insert(0, SCRIPTS)

from tagseg.models.nodes import AUTO, CAM_SEED, OUR_SEED, TRUE_SEED
from tagseg.runtime.errors import TagsegError
from tagseg.runtime.threads import AUTO as AUTO_THREADS, MOST, THREADS
from tagseg.workflow.paper_tables import PaperTables
from tagseg.workflow.plan import Plan
from tagseg.workflow.sizes import memory, minutes, training_seconds
from tagseg.workflow.stages import Stages, as_json, code, weights_digest, weights_file

# Jobs on machines without a shared disk see their inputs alone. Those that read the user's files run where Snakemake
# does, and rules that read images have the copies in the index as an input, IMAGES; on a shared disk it is empty.
SHARED_DISK = SharedFSUsage.INPUT_OUTPUT in workflow.storage_settings.shared_fs_usage
# A job does not look for the user's folders again: it may run where they are not.
IS_JOB = workflow.exec_mode != ExecMode.DEFAULT

try:
    plan = Plan(config, sys.argv, SHARED_DISK, IS_JOB)
except TagsegError as error:
    raise WorkflowError(str(error)) from None

minutes = partial(minutes, shared_disk=SHARED_DISK)
settings, stages, paper_tables = plan.config, Stages(plan), PaperTables(plan)
RUN, INDEX, IMAGES, GROUND_TRUTH = plan.folder, plan.index, plan.images, plan.ground_truth
LAYER = settings.layer
NODE = rf"(?!(?:{CAM_SEED}|{OUR_SEED}|{TRUE_SEED}|{AUTO})(?:/|$))[A-Za-z][A-Za-z0-9_.]*"

# The number of threads that compute changes last digits of results. It comes from the configuration, not from
# --cores, and is no param: a new value re-runs nothing.
COMPUTING = MOST if settings.threads == AUTO_THREADS else settings.threads

# Jobs use the Python that runs Snakemake. The folder of the scripts is a variable, since a param would re-run
# everything where the repository has moved.
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]),
    TAGSEG_SCRIPTS=SCRIPTS,
)
os.environ.update({THREADS: str(settings.threads)})
