# Class patterns: the first principal component of each class's features.


rule find_patterns:
    """Find the class patterns of a layer, and orient them by the CAM."""
    input:
        INDEX,
        subsets=rules.sample_subsets.output,
        features=plan.features_of,
        cam=plan.shards(f"{RUN}/cam/shard-{{shard}}.h5"),
    output:
        directory(f"{RUN}/patterns/{{layer}}"),
    log:
        f"{RUN}/logs/find_patterns/{{layer}}.log",
    benchmark:
        f"{RUN}/benchmarks/find_patterns/{{layer}}.tsv"
    wildcard_constraints:
        layer=rf"{NODE}|{OUR_SEED}",
    conda:
        "../envs/light.yaml"
    threads: COMPUTING
    resources:
        mem_mb=memory(6000),
        runtime=minutes(0.2),
    params:
        settings=stages.pattern_settings,
        node=plan.node,
        index=subpath(input[0], parent=True),
        code=code("find_patterns"),
    message:
        "class patterns of {wildcards.layer}"
    shell:
        'python "$TAGSEG_SCRIPTS"/find_patterns.py --index {params.index:q} --settings {params.settings:q}'
        " --node {params.node} --subsets {input.subsets:q} --features {input.features:q}"
        " --cam {input.cam:q} --patterns {output:q} --threads {threads} 2> {log:q}"


rule choose_layer:
    """Choose one of the candidate layers by tags and images alone, and take over its patterns."""
    input:
        INDEX,
        IMAGES,
        patterns=expand(f"{RUN}/patterns/{{layer}}", layer=settings.ablation.layers),
        masks=[
            path
            for layer in settings.ablation.layers
            for path in plan.shards(f"{RUN}/seed_masks/{layer}/shard-{{shard}}")
        ],
    output:
        patterns=directory(f"{RUN}/patterns/{AUTO}"),
        markdown=report(f"{RUN}/tables/layers.md", category="Results", caption="../docs/report/layers.rst"),
        csv=f"{RUN}/tables/layers.csv",
        json=f"{RUN}/tables/layers.json",
        plot=report(f"{RUN}/tables/layers.png", category="Results", caption="../docs/report/layers.rst"),
    log:
        f"{RUN}/logs/choose_layer.log",
    benchmark:
        f"{RUN}/benchmarks/choose_layer.tsv"
    localrule: True
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        index=subpath(input[0], parent=True),
        code=code("choose_layer"),
    message:
        "choosing the layer"
    shell:
        'python "$TAGSEG_SCRIPTS"/choose_layer.py --index {params.index:q} --patterns {input.patterns:q}'
        " --masks {input.masks:q} --chosen {output.patterns:q} --markdown {output.markdown:q}"
        " --csv {output.csv:q} --json {output.json:q} --plot {output.plot:q} 2> {log:q}"
