# The archive for PASCAL VOC's test server, from the predictions of the run's final network.


rule submission:
    """Pack the predictions of `submission.split` for the VOC test server."""
    input:
        plan.submission_archive,


rule pack_submission:
    """Pack a split's predictions as VOC's test server takes them."""
    input:
        INDEX,
        masks=plan.final_predictions,
    output:
        f"{RUN}/submission/{{competition}}_{{split}}.tgz",
    log:
        f"{RUN}/logs/pack_submission/{{competition}}_{{split}}.log",
    benchmark:
        f"{RUN}/benchmarks/pack_submission/{{competition}}_{{split}}.tsv"
    wildcard_constraints:
        competition="comp5|comp6",
        split="val|test",
    localrule: True
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        index=subpath(input[0], parent=True),
        code=code("pack_submission"),
    message:
        "packing the predictions of {wildcards.split} for {wildcards.competition}"
    shell:
        'python "$TAGSEG_SCRIPTS"/pack_submission.py --index {params.index:q} --split {wildcards.split}'
        " --competition {wildcards.competition} --masks {input.masks:q} --archive {output:q} 2> {log:q}"
