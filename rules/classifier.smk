# The classifier, and what one forward pass of it gives: features and class activation maps.


rule train_classifier:
    """Train the multi-label classifier on the tags."""
    input:
        INDEX,
        weights=weights_of(config["classifier"]["network"]),
    output:
        checkpoint=f"{RUN}/classifier/checkpoint.pth",
        log=f"{RUN}/classifier/training.json",
        precision=f"{RUN}/classifier/average_precision.json",
    log:
        f"{RUN}/logs/train_classifier.log",
    benchmark:
        f"{RUN}/benchmarks/train_classifier.tsv"
    retries: 3
    conda:
        "../envs/torch.yaml"
    threads: COMPUTING
    resources:
        gpu=config["gpus"],
        mem_mb=8000,
        runtime=1440,
    params:
        settings=settings(
            network=config["classifier"]["network"],
            training=seeded(config["classifier"]["training"]),
            deterministic=config["deterministic"],
        ),
        weights=lambda wildcards: weights_digest(config["classifier"]["network"]),
        index=subpath(input[0], parent=True),
        code=code("train_classifier"),
    message:
        "training the classifier"
    shell:
        'python "$TAGSEG_SCRIPTS"/train_classifier.py --index {params.index:q} --settings {params.settings:q}'
        " --checkpoint {output.checkpoint:q} --log {output.log:q}"
        " --average-precision {output.precision:q} --threads {threads} --processes {resources.gpu} 2> {log:q}"


rule extract_features:
    """Forward a shard of train to a node of the classifier."""
    input:
        INDEX,
        checkpoint=rules.train_classifier.output.checkpoint,
    output:
        f"{RUN}/features/{{layer}}/shard-{{shard}}.h5",
    log:
        f"{RUN}/logs/extract_features/{{layer}}/shard-{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/extract_features/{{layer}}/shard-{{shard}}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: COMPUTING
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        settings=settings(**config["features"], deterministic=config["deterministic"]),
        index=subpath(input[0], parent=True),
        shards=len(SHARDS),
        code=code("extract_features"),
    message:
        "features of {wildcards.layer}, shard {wildcards.shard}"
    shell:
        'python "$TAGSEG_SCRIPTS"/extract_features.py --index {params.index:q} --settings {params.settings:q}'
        " --checkpoint {input.checkpoint:q} --node {wildcards.layer} --shard {wildcards.shard}"
        " --shards {params.shards} --features {output:q} --threads {threads} 2> {log:q}"


rule compute_cam:
    """Compute the class activation maps of a shard of train."""
    input:
        INDEX,
        checkpoint=rules.train_classifier.output.checkpoint,
    output:
        f"{RUN}/cam/shard-{{shard}}.h5",
    log:
        f"{RUN}/logs/compute_cam/shard-{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/compute_cam/shard-{{shard}}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: COMPUTING
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        settings=settings(**config["features"], deterministic=config["deterministic"]),
        index=subpath(input[0], parent=True),
        shards=len(SHARDS),
        code=code("compute_cam"),
    message:
        "class activation maps, shard {wildcards.shard}"
    shell:
        'python "$TAGSEG_SCRIPTS"/compute_cam.py --index {params.index:q} --settings {params.settings:q}'
        " --checkpoint {input.checkpoint:q} --shard {wildcards.shard} --shards {params.shards}"
        " --cam {output:q} --threads {threads} 2> {log:q}"
