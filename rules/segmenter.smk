# The segmenter: trained on proxy masks, then retrained on its own predictions of train.

NETWORK = "{seed}/{backbone}/round{round}"
LOGITS = f"{RUN}/logits/{NETWORK}/{{split}}/shard-{{shard}}.h5"
PREDICTED = f"{RUN}/predictions/{NETWORK}/{{split}}/shard-{{shard}}"


rule train_segmenter:
    """Train DeepLab-LargeFOV on one round's labels."""
    input:
        INDEX,
        masks=labels_of_round,
        weights=segmenter_weights,
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
        gpu=config["gpus"],
        mem_mb=12000,
        runtime=2880,
    params:
        settings=segmenter_settings,
        weights=segmenter_weights_digest,
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
        checkpoint=rules.train_segmenter.output.checkpoint,
    output:
        LOGITS if config["segmenter"]["keep_logits"] else temp(LOGITS),
    log:
        f"{RUN}/logs/compute_logits/{NETWORK}/{{split}}/shard-{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/compute_logits/{NETWORK}/{{split}}/shard-{{shard}}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: COMPUTING
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=480,
    params:
        settings=settings(
            inference=config["segmenter"]["inference"],
            longest_side=config["longest_side"],
            deterministic=config["deterministic"],
        ),
        index=subpath(input[0], parent=True),
        shards=len(SHARDS),
        code=code("compute_logits"),
    message:
        "logits of {wildcards.split}, {wildcards.seed}, round {wildcards.round}, shard {wildcards.shard}"
    shell:
        'python "$TAGSEG_SCRIPTS"/compute_logits.py --index {params.index:q} --settings {params.settings:q}'
        " --split {wildcards.split} --shard {wildcards.shard} --shards {params.shards}"
        " --checkpoint {input.checkpoint:q} --logits {output:q} --threads {threads} 2> {log:q}"


rule decide_masks:
    """Make masks of a shard's logits, with a dense CRF."""
    input:
        INDEX,
        checkpoint=rules.train_segmenter.output.checkpoint,
        logits=rules.compute_logits.output[0],
    output:
        directory(PREDICTED),
    log:
        f"{RUN}/logs/decide_masks/{NETWORK}/{{split}}/shard-{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/decide_masks/{NETWORK}/{{split}}/shard-{{shard}}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 8
    resources:
        mem_mb=12000,
        runtime=480,
    params:
        settings=decision_settings,
        index=subpath(input[0], parent=True),
        shards=len(SHARDS),
        code=code("decide_masks"),
    message:
        "masks of {wildcards.split}, {wildcards.seed}, round {wildcards.round}, shard {wildcards.shard}"
    shell:
        'python "$TAGSEG_SCRIPTS"/decide_masks.py --index {params.index:q} --settings {params.settings:q}'
        " --split {wildcards.split} --shard {wildcards.shard} --shards {params.shards}"
        " --checkpoint {input.checkpoint:q} --logits {input.logits:q} --masks {output:q} --threads {threads}"
        " 2> {log:q}"
