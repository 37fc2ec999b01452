# Proxy masks of train, by shard: seed masks (from a layer, CAM or the truth), then the dense CRF.


rule estimate_masks:
    """Estimate a shard's masks from a layer's class patterns: Algorithm 1."""
    input:
        INDEX,
        features=plan.features_for,
        patterns=rules.find_patterns.output[0],
        cam=plan.cam_for,
    output:
        directory(f"{RUN}/seed_masks/{{layer}}/shard-{{shard}}"),
    log:
        f"{RUN}/logs/estimate_masks/{{layer}}/shard-{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/estimate_masks/{{layer}}/shard-{{shard}}.tsv"
    wildcard_constraints:
        layer=rf"{NODE}|{OUR_SEED}|{AUTO}",
    group:
        "masks_{layer}"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(0.3, settings.shards),
    params:
        settings=stages.seed_settings,
        index=subpath(input[0], parent=True),
        shards=settings.shards,
        code=code("estimate_masks"),
    message:
        "masks of {wildcards.layer}, shard {wildcards.shard}"
    shell:
        'python "$TAGSEG_SCRIPTS"/estimate_masks.py --index {params.index:q} --settings {params.settings:q}'
        " --features {input.features:q}"
        " --patterns {input.patterns:q} --shard {wildcards.shard} --shards {params.shards}"
        " --cam {input.cam:q} --masks {output:q} 2> {log:q}"


rule threshold_cam:
    """Threshold the CAM of a shard: seed masks for comparison."""
    input:
        INDEX,
        cam=rules.compute_cam.output[0],
    output:
        directory(f"{RUN}/seed_masks/{CAM_SEED}/shard-{{shard}}"),
    log:
        f"{RUN}/logs/threshold_cam/shard-{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/threshold_cam/shard-{{shard}}.tsv"
    group:
        f"masks_{CAM_SEED}"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(0.3, settings.shards),
    params:
        settings=as_json(**settings.cam.model_dump()),
        index=subpath(input[0], parent=True),
        shards=settings.shards,
        code=code("threshold_cam"),
    message:
        "masks of CAM, shard {wildcards.shard}"
    shell:
        'python "$TAGSEG_SCRIPTS"/threshold_cam.py --index {params.index:q} --settings {params.settings:q}'
        " --cam {input.cam:q} --shard {wildcards.shard} --shards {params.shards}"
        " --masks {output:q} 2> {log:q}"


rule refine_masks:
    """Refine a shard's masks with a dense CRF."""
    input:
        INDEX,
        IMAGES,
        masks=f"{RUN}/seed_masks/{{seed}}/shard-{{shard}}",
    output:
        directory(f"{RUN}/proxy_masks/{{seed}}/shard-{{shard}}"),
    log:
        f"{RUN}/logs/refine_masks/{{seed}}/shard-{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/refine_masks/{{seed}}/shard-{{shard}}.tsv"
    group:
        "masks_{seed}"
    conda:
        "../envs/light.yaml"
    threads: 4
    resources:
        mem_mb=memory(4000),
        runtime=minutes(2, settings.shards),
    params:
        settings=stages.proxy_settings,
        index=subpath(input[0], parent=True),
        shards=settings.shards,
        code=code("refine_masks"),
    message:
        "dense CRF on the masks of {wildcards.seed}, shard {wildcards.shard}"
    shell:
        'python "$TAGSEG_SCRIPTS"/refine_masks.py --index {params.index:q} --settings {params.settings:q}'
        " --masks {input.masks:q} --shard {wildcards.shard} --shards {params.shards}"
        " --refined {output:q} --threads {threads} 2> {log:q}"


rule copy_ground_truth:
    """Make a shard of ground truth: what the upper bound is trained on."""
    input:
        INDEX,
        truth=plan.ground_truth_to_learn,
    output:
        directory(f"{RUN}/proxy_masks/{TRUE_SEED}/shard-{{shard}}"),
    log:
        f"{RUN}/logs/copy_ground_truth/shard-{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/copy_ground_truth/shard-{{shard}}.tsv"
    group:
        f"masks_{TRUE_SEED}"
    localrule: not SHARED_DISK
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(0.3, settings.shards),
    params:
        index=subpath(input[0], parent=True),
        shards=settings.shards,
        code=code("copy_ground_truth"),
    message:
        "ground truth, shard {wildcards.shard}"
    shell:
        'python "$TAGSEG_SCRIPTS"/copy_ground_truth.py --index {params.index:q} --ground-truth {input.truth:q}'
        " --shard {wildcards.shard} --shards {params.shards} --masks {output:q} 2> {log:q}"


ruleorder: threshold_cam > estimate_masks
ruleorder: copy_ground_truth > refine_masks
