# Data sets that are fetched because no copy of one's own is named. Archives lie in {fetch.folder}/archives,
# where they can be put by hand too: one that is there is not fetched, and its checksum is looked at.
#
# These rules carry no digest of their code, unlike all others: an edited script is no reason to fetch or
# unpack 20 GB again, and the checksum says what the archives hold.

import re

# File name of each archive in the configuration, whatever its address ends with.
ARCHIVES = {
    "VOCtrainval_11-May-2012.tar": "voc2012",
    "benchmark.tgz": "sbd",
    "train2017.zip": "coco_train",
    "val2017.zip": "coco_val",
    "annotations_trainval2017.zip": "coco_annotations",
}

# What is unpacked, and from which archive: its folder of the same name.
UNPACKED = {
    "VOCdevkit": "VOCtrainval_11-May-2012.tar",
    "benchmark_RELEASE": "benchmark.tgz",
    "coco2017/train2017": "train2017.zip",
    "coco2017/val2017": "val2017.zip",
    "coco2017/annotations": "annotations_trainval2017.zip",
}

# The published checksum of each archive.
MD5 = {archive: config["fetch"]["archives"][name]["md5"] for archive, name in ARCHIVES.items()}

# Jobs are told the addresses by variables: as a param, another mirror would have everything fetched again.
os.environ.update(
    {f"TAGSEG_URL_{name}": archive["url"] for name, archive in config["fetch"]["archives"].items()}
)


# Nodes of a cluster often reach no server.
localrules:
    fetch_archive,


# No `retries`: the script itself goes on after what may pass, and what does not, fails just so again.
rule fetch_archive:
    """Fetch an archive, going on where an earlier attempt ended."""
    output:
        f"{FETCHED}/archives/{{archive}}",
    log:
        f"{FETCHED}/logs/fetch_archive/{{archive}}.log",
    benchmark:
        f"{FETCHED}/benchmarks/fetch_archive/{{archive}}.tsv"
    wildcard_constraints:
        archive="|".join(map(re.escape, ARCHIVES)),
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=2880,
    params:
        name=lambda wildcards: ARCHIVES[wildcards.archive],
        md5=lambda wildcards: MD5[wildcards.archive],
    message:
        "fetching {wildcards.archive}"
    shell:
        'python "$TAGSEG_SCRIPTS"/fetch_archive.py --name {params.name}'
        ' --url "$TAGSEG_URL_{params.name}" --md5 {params.md5:q} --archive {output:q} 2> {log:q}'


rule unpack_archive:
    """Unpack an archive that was fetched or put there by hand."""
    input:
        # A folder that is there stays, however old. (One that a user has put there is no job's output: BY_HAND.)
        archive=lambda wildcards: ancient(f"{FETCHED}/archives/{UNPACKED[wildcards.unpacked]}"),
    output:
        directory(f"{FETCHED}/{{unpacked}}"),
    log:
        f"{FETCHED}/logs/unpack_archive/{{unpacked}}.log",
    benchmark:
        f"{FETCHED}/benchmarks/unpack_archive/{{unpacked}}.tsv"
    wildcard_constraints:
        unpacked="|".join(map(re.escape, UNPACKED)),
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        members=lambda wildcards: Path(wildcards.unpacked).name,
        md5=lambda wildcards: MD5[UNPACKED[wildcards.unpacked]],
    message:
        "unpacking {input.archive}"
    shell:
        'python "$TAGSEG_SCRIPTS"/unpack_archive.py --archive {input.archive:q} --md5 {params.md5:q}'
        " --members {params.members:q} --folder {output:q} 2> {log:q}"
