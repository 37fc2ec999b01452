# The segmenter: trained on proxy masks, then retrained on its own predictions of train.

PREDICTED = f"{RUN}/predictions/{{seed}}/{{backbone}}/round{{round}}/{{split}}/shard-{{shard}}"


def labels_of_round(wildcards):
    """Return the mask shards on which a round is trained: proxy masks, or the last round's predictions."""
    if int(wildcards.round) == 1:
        return shards(f"{RUN}/proxy_masks/{wildcards.seed}/shard-{{shard}}")
    before = PREDICTED.replace("{round}", str(int(wildcards.round) - 1)).replace("{split}", "train")
    return shards(before.format(seed=wildcards.seed, backbone=wildcards.backbone, shard="{shard}"))


rule train_segmenter:
    """Train DeepLab-LargeFOV on one round's labels."""
    input:
        INDEX,
        masks=labels_of_round,
    output:
        checkpoint=f"{RUN}/segmenter/{{seed}}/{{backbone}}/round{{round}}/checkpoint.pth",
        log=f"{RUN}/segmenter/{{seed}}/{{backbone}}/round{{round}}/training.json",
    log:
        f"{RUN}/logs/train_segmenter/{{seed}}/{{backbone}}/round{{round}}.log",
    benchmark:
        f"{RUN}/benchmarks/train_segmenter/{{seed}}/{{backbone}}/round{{round}}.tsv"
    params:
        settings=lambda wildcards: settings(
            network={**config["segmenter"]["network"], "backbone": wildcards.backbone},
            training=seeded(config["segmenter"]["training"]),
        ),
        index=f"{RUN}/index",
        code=code("train_segmenter"),
    threads: 8
    resources:
        gpu=1,
        mem_mb=12000,
        runtime=2880,
    conda:
        "../envs/torch.yaml"
    message:
        "training the segmenter on {wildcards.seed}, round {wildcards.round}"
    shell:
        "python {SCRIPTS}/train_segmenter.py --index {params.index:q} --settings {params.settings:q}"
        " --masks {input.masks:q} --checkpoint {output.checkpoint:q} --log {output.log:q}"
        " --threads {threads} 2> {log:q}"


def prediction_settings(wildcards):
    """Return how a split is predicted: train gives labels for retraining, the others are the test phase."""
    section = config["segmenter"]
    retrain = section["retrain"] if wildcards.split == "train" else {"restrict_to_tags": False, "crf": True}
    crf = config["crf"]["test"] if retrain["crf"] else None
    return settings(inference=section["inference"], restrict_to_tags=retrain["restrict_to_tags"], crf=crf)


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
    params:
        settings=prediction_settings,
        index=f"{RUN}/index",
        shards=len(SHARDS),
        code=code("predict_masks"),
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=480,
    conda:
        "../envs/torch.yaml"
    message:
        "predicting {wildcards.split} with {wildcards.seed}, round {wildcards.round}, shard {wildcards.shard}"
    shell:
        "python {SCRIPTS}/predict_masks.py --index {params.index:q} --settings {params.settings:q}"
        " --split {wildcards.split} --shard {wildcards.shard} --shards {params.shards}"
        " --checkpoint {input.checkpoint:q} --masks {output:q} --threads {threads} 2> {log:q}"
