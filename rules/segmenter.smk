# The segmenter: trained on proxy masks, then retrained on its own predictions of train.

NETWORK, LOGITS, PREDICTED = plan.network, plan.logits, plan.predictions


rule train_segmenter:
    """Train DeepLab-LargeFOV on one round's labels."""
    input:
        INDEX,
        IMAGES,
        masks=plan.labels_of_round,
        weights=lambda wildcards: ancient(stages.segmenter_weights(wildcards)),
    output:
        checkpoint=f"{RUN}/segmenter/{NETWORK}/checkpoint.pth",
        log=f"{RUN}/segmenter/{NETWORK}/training.json",
    log:
        f"{RUN}/logs/train_segmenter/{NETWORK}.log",
    benchmark:
        f"{RUN}/benchmarks/train_segmenter/{NETWORK}.tsv"
    retries: 3
    conda:
        "../envs/torch.yaml"
    threads: COMPUTING
    resources:
        gpu=settings.gpus,
        mem_mb=memory(8000),
        runtime=minutes(stages.segmenter_seconds),
    params:
        settings=lambda wildcards: stages.training_settings(**stages.segmenter(wildcards.backbone)),
        weights=lambda wildcards: weights_digest(stages.segmenter(wildcards.backbone)["network"]),
        index=subpath(input[0], parent=True),
        code=code("train_segmenter"),
    message:
        "training {wildcards.backbone} on {wildcards.seed}, round {wildcards.round}"
    shell:
        'python "$TAGSEG_SCRIPTS"/train_segmenter.py --index {params.index:q} --settings {params.settings:q}'
        " --masks {input.masks:q} --checkpoint {output.checkpoint:q} --log {output.log:q}"
        " --threads {threads} --processes {resources.gpu} 2> {log:q}"


rule compute_logits:
    """Forward a shard of a split through the segmenter at several scales."""
    input:
        INDEX,
        IMAGES,
        checkpoint=rules.train_segmenter.output.checkpoint,
    output:
        LOGITS if settings.segmenter.keep_logits else temp(LOGITS),
    log:
        f"{RUN}/logs/compute_logits/{NETWORK}/{{split}}/shard-{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/compute_logits/{NETWORK}/{{split}}/shard-{{shard}}.tsv"
    group:
        "logits_{seed}_{backbone}_round{round}"
    conda:
        "../envs/torch.yaml"
    threads: COMPUTING
    resources:
        gpu=1,
        mem_mb=memory(4000),
        runtime=minutes(1, settings.shards),
    params:
        settings=as_json(**stages.logits_settings()),
        index=subpath(input[0], parent=True),
        shards=settings.shards,
        code=code("compute_logits"),
    message:
        "logits of {wildcards.split}, {wildcards.seed}, round {wildcards.round}, shard {wildcards.shard}"
    shell:
        'python "$TAGSEG_SCRIPTS"/compute_logits.py --index {params.index:q} --settings {params.settings:q}'
        " --split {wildcards.split} --shard {wildcards.shard} --shards {params.shards}"
        " --checkpoint {input.checkpoint:q} --logits {output:q} --threads {threads} 2> {log:q}"


rule decide_masks:
    """Turn the logits of a shard into masks, with a dense CRF."""
    input:
        INDEX,
        IMAGES,
        checkpoint=rules.train_segmenter.output.checkpoint,
        logits=rules.compute_logits.output[0],
    output:
        directory(PREDICTED),
    log:
        f"{RUN}/logs/decide_masks/{NETWORK}/{{split}}/shard-{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/decide_masks/{NETWORK}/{{split}}/shard-{{shard}}.tsv"
    group:
        "decide_{seed}_{backbone}_round{round}"
    conda:
        "../envs/light.yaml"
    threads: 8
    resources:
        mem_mb=memory(6000),
        runtime=minutes(2, settings.shards),
    params:
        settings=stages.decision_settings,
        index=subpath(input[0], parent=True),
        shards=settings.shards,
        code=code("decide_masks"),
    message:
        "masks of {wildcards.split}, {wildcards.seed}, round {wildcards.round}, shard {wildcards.shard}"
    shell:
        'python "$TAGSEG_SCRIPTS"/decide_masks.py --index {params.index:q} --settings {params.settings:q}'
        " --split {wildcards.split} --shard {wildcards.shard} --shards {params.shards}"
        " --checkpoint {input.checkpoint:q} --logits {input.logits:q} --masks {output:q} --threads {threads}"
        " 2> {log:q}"
