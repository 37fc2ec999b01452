# The classifier, and its features and class activation maps.

CLASSIFIER = settings.classifier.network.model_dump()


rule train_classifier:
    """Train the multi-label classifier on the tags."""
    input:
        INDEX,
        IMAGES,
        weights=ancient(weights_file(CLASSIFIER)),
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
        gpu=settings.gpus,
        mem_mb=memory(8000),
        runtime=minutes(training_seconds(settings.classifier.training, settings.gpus)),
    params:
        settings=stages.training_settings(settings.classifier.network, settings.classifier.training),
        weights=lambda wildcards: weights_digest(CLASSIFIER),
        index=subpath(input[0], parent=True),
        code=code("train_classifier"),
    message:
        "training the classifier"
    shell:
        'python "$TAGSEG_SCRIPTS"/train_classifier.py --index {params.index:q} --settings {params.settings:q}'
        " --checkpoint {output.checkpoint:q} --log {output.log:q}"
        " --average-precision {output.precision:q} --threads {threads} --processes {resources.gpu} 2> {log:q}"


rule extract_features:
    """Extract the features of a train shard at a node of the classifier."""
    input:
        INDEX,
        IMAGES,
        checkpoint=rules.train_classifier.output.checkpoint,
    output:
        f"{RUN}/features/{{layer}}/shard-{{shard}}.h5",
    log:
        f"{RUN}/logs/extract_features/{{layer}}/shard-{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/extract_features/{{layer}}/shard-{{shard}}.tsv"
    group:
        "forward"
    conda:
        "../envs/torch.yaml"
    threads: COMPUTING
    resources:
        gpu=1,
        mem_mb=memory(4000),
        runtime=minutes(0.5, settings.shards),
    params:
        settings=stages.feature_settings(),
        index=subpath(input[0], parent=True),
        shards=settings.shards,
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
        IMAGES,
        checkpoint=rules.train_classifier.output.checkpoint,
    output:
        f"{RUN}/cam/shard-{{shard}}.h5",
    log:
        f"{RUN}/logs/compute_cam/shard-{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/compute_cam/shard-{{shard}}.tsv"
    group:
        "forward"
    conda:
        "../envs/torch.yaml"
    threads: COMPUTING
    resources:
        gpu=1,
        mem_mb=memory(4000),
        runtime=minutes(0.5, settings.shards),
    params:
        settings=stages.feature_settings(),
        index=subpath(input[0], parent=True),
        shards=settings.shards,
        code=code("compute_cam"),
    message:
        "class activation maps, shard {wildcards.shard}"
    shell:
        'python "$TAGSEG_SCRIPTS"/compute_cam.py --index {params.index:q} --settings {params.settings:q}'
        " --checkpoint {input.checkpoint:q} --shard {wildcards.shard} --shards {params.shards}"
        " --cam {output:q} --threads {threads} 2> {log:q}"
