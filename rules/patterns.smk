# Class patterns: the first principal component of each class's features.


rule find_patterns:
    """Find the class patterns of a layer, and orient them by the CAM."""
    input:
        INDEX,
        subsets=rules.draw_subsets.output,
        features=shards(rules.extract_features.output[0]),
        cam=shards(rules.compute_cam.output[0]),
    output:
        directory(f"{RUN}/patterns/{{layer}}"),
    log:
        f"{RUN}/logs/find_patterns/{{layer}}.log",
    benchmark:
        f"{RUN}/benchmarks/find_patterns/{{layer}}.tsv"
    conda:
        "../envs/light.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        index=subpath(input[0], parent=True),
        code=code("find_patterns"),
    message:
        "class patterns of {wildcards.layer}"
    shell:
        'python "$TAGSEG_SCRIPTS"/find_patterns.py --index {params.index:q}'
        " --subsets {input.subsets:q} --features {input.features:q} --cam {input.cam:q}"
        " --patterns {output:q} 2> {log:q}"
