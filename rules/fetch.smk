# Data sets that are downloaded unless the user sets a path. Archives are in {fetch.folder}/archives; one that is put
# there by hand is not fetched, and its checksum is verified.
#
# These rules carry no digest of their code, unlike all others: an edited script is no reason to fetch or unpack
# 20 GB again, and the checksum says what the archives hold.

FETCHED = settings.fetch.folder
ARCHIVES = {archive.file: archive for archive in plan.archives()}
UNPACKED = {archive.unpacked: archive for archive in plan.archives()}


# No `retries`: the script itself retries what can pass.
rule fetch_archive:
    """Fetch an archive; continues an earlier attempt."""
    output:
        local(f"{FETCHED}/archives/{{archive}}"),
    log:
        f"{FETCHED}/logs/fetch_archive/{{archive}}.log",
    benchmark:
        f"{FETCHED}/benchmarks/fetch_archive/{{archive}}.tsv"
    wildcard_constraints:
        archive="|".join(map(re.escape, ARCHIVES)),
    localrule: True  # nodes of a cluster often reach no server
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=2880,
        # Not a param: another mirror is no reason to fetch again.
        url=lambda wildcards: ARCHIVES[wildcards.archive].url,
    params:
        name=lambda wildcards: ARCHIVES[wildcards.archive].name,
        md5=lambda wildcards: ARCHIVES[wildcards.archive].md5,
    message:
        "fetching {wildcards.archive}"
    shell:
        'python "$TAGSEG_SCRIPTS"/fetch_archive.py --name {params.name} --url {resources.url:q}'
        " --md5 {params.md5:q} --archive {output:q} 2> {log:q}"


rule unpack_archive:
    """Unpack an archive that was fetched or put there by hand."""
    input:
        # A folder that exists stays, however old.
        archive=lambda wildcards: local(ancient(f"{FETCHED}/archives/{UNPACKED[wildcards.unpacked].file}")),
    output:
        local(directory(f"{FETCHED}/{{unpacked}}")),
    log:
        f"{FETCHED}/logs/unpack_archive/{{unpacked}}.log",
    benchmark:
        f"{FETCHED}/benchmarks/unpack_archive/{{unpacked}}.tsv"
    wildcard_constraints:
        unpacked="|".join(map(re.escape, UNPACKED)),
    localrule: not SHARED_DISK
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        members=lambda wildcards: os.path.basename(wildcards.unpacked),
        md5=lambda wildcards: UNPACKED[wildcards.unpacked].md5,
    message:
        "unpacking {input.archive}"
    shell:
        'python "$TAGSEG_SCRIPTS"/unpack_archive.py --archive {input.archive:q} --md5 {params.md5:q}'
        " --members {params.members:q} --folder {output:q} 2> {log:q}"
