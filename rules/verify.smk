# `snakemake verify` reads the results of a run and writes none.


rule verify:
    """Verify manifests of masks, HDF5 checksums, checkpoints, index and ground truth; runs every time."""
    log:
        f"{RUN}/logs/verify.log",
    localrule: True
    conda:
        "../envs/torch.yaml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        results=RUN,
    message:
        "verifying {params.results}"
    shell:
        'python "$TAGSEG_SCRIPTS"/verify_results.py --results {params.results:q} --threads {threads} 2> {log:q}'
