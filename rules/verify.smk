# What `snakemake verify` does: it reads the results of a run and makes none.


rule verify:
    """Verify every output of the run, whole and made with what lies beside it; run anew each time."""
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
