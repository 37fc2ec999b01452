# The segmenter: trained on proxy masks, then retrained on its own predictions of train.

PREDICTED = f"{RUN}/predictions/{{seed}}/{{backbone}}/round{{round}}/{{split}}/shard-{{shard}}"


rule train_segmenter:
    """Train DeepLab-LargeFOV on one round's labels."""
    input:
        INDEX,
        masks=labels_of_round,
        weights=weights_of("segmenter"),
    output:
        checkpoint=f"{RUN}/segmenter/{{seed}}/{{backbone}}/round{{round}}/checkpoint.pth",
        log=f"{RUN}/segmenter/{{seed}}/{{backbone}}/round{{round}}/training.json",
    log:
        f"{RUN}/logs/train_segmenter/{{seed}}/{{backbone}}/round{{round}}.log",
    benchmark:
        f"{RUN}/benchmarks/train_segmenter/{{seed}}/{{backbone}}/round{{round}}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=12000,
        runtime=2880,
    params:
        settings=lambda wildcards: settings(
            network={**config["segmenter"]["network"], "backbone": wildcards.backbone},
            training=seeded(config["segmenter"]["training"]),
        ),
        index=subpath(input[0], parent=True),
        code=code("train_segmenter"),
    message:
        "training the segmenter on {wildcards.seed}, round {wildcards.round}"
    shell:
        'python "$TAGSEG_SCRIPTS"/train_segmenter.py --index {params.index:q} --settings {params.settings:q}'
        " --masks {input.masks:q} --checkpoint {output.checkpoint:q} --log {output.log:q}"
        " --threads {threads} 2> {log:q}"


rule predict_masks:
    """Predict a shard of a split at several scales, with a dense CRF."""
    input:
        INDEX,
        checkpoint=rules.train_segmenter.output.checkpoint,
    output:
        directory(PREDICTED),
    log:
        f"{RUN}/logs/predict_masks/{{seed}}/{{backbone}}/round{{round}}/{{split}}/shard-{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/predict_masks/{{seed}}/{{backbone}}/round{{round}}/{{split}}/shard-{{shard}}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=480,
    params:
        settings=prediction_settings,
        index=subpath(input[0], parent=True),
        shards=len(SHARDS),
        code=code("predict_masks"),
    message:
        "predicting {wildcards.split} with {wildcards.seed}, round {wildcards.round}, shard {wildcards.shard}"
    shell:
        'python "$TAGSEG_SCRIPTS"/predict_masks.py --index {params.index:q} --settings {params.settings:q}'
        " --split {wildcards.split} --shard {wildcards.shard} --shards {params.shards}"
        " --checkpoint {input.checkpoint:q} --masks {output:q} --threads {threads} 2> {log:q}"
