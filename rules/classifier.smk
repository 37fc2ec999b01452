# The classifier, and what one forward pass of it gives: features and class activation maps.


def seeded(training):
    """Return a `training` section with the run's random seed."""
    return {**training, "random_seed": config["random_seed"]}


rule train_classifier:
    """Train the multi-label classifier on the tags."""
    input:
        INDEX,
    output:
        checkpoint=f"{RUN}/classifier/checkpoint.pth",
        log=f"{RUN}/classifier/training.json",
        precision=f"{RUN}/classifier/average_precision.json",
    log:
        f"{RUN}/logs/train_classifier.log",
    benchmark:
        f"{RUN}/benchmarks/train_classifier.tsv"
    params:
        settings=settings(
            network=config["classifier"]["network"],
            training=seeded(config["classifier"]["training"]),
        ),
        index=f"{RUN}/index",
        code=code("train_classifier"),
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=1440,
    conda:
        "../envs/torch.yaml"
    message:
        "training the classifier"
    shell:
        "python {SCRIPTS}/train_classifier.py --index {params.index:q} --settings {params.settings:q}"
        " --checkpoint {output.checkpoint:q} --log {output.log:q}"
        " --average-precision {output.precision:q} --threads {threads} 2> {log:q}"


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
    params:
        settings=settings(**config["features"]),
        index=f"{RUN}/index",
        shards=len(SHARDS),
        code=code("extract_features"),
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    conda:
        "../envs/torch.yaml"
    message:
        "features of {wildcards.layer}, shard {wildcards.shard}"
    shell:
        "python {SCRIPTS}/extract_features.py --index {params.index:q} --settings {params.settings:q}"
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
    params:
        settings=settings(**config["features"]),
        index=f"{RUN}/index",
        shards=len(SHARDS),
        code=code("compute_cam"),
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    conda:
        "../envs/torch.yaml"
    message:
        "class activation maps, shard {wildcards.shard}"
    shell:
        "python {SCRIPTS}/compute_cam.py --index {params.index:q} --settings {params.settings:q}"
        " --checkpoint {input.checkpoint:q} --shard {wildcards.shard} --shards {params.shards}"
        " --cam {output:q} --threads {threads} 2> {log:q}"
