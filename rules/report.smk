# The report of a run: a summary and figures. `snakemake --report` collects them into one HTML file.

REPORT = f"{RUN}/report"
REPORT_NAMES = {
    "summary": "summary.md",
    "table": "summary.csv",
    "examples_val": "examples_val.png",
    "examples_train": "examples_train.png",
    "per_class": "per_class.png",
    "explained_variance": "explained_variance.png",
    "training": "training.png",
}
REPORT_FILES = [f"{REPORT}/{name}" for name in REPORT_NAMES.values()]


rule draw_report:
    """Draw the figures of the run and sum its scores up."""
    input:
        INDEX,
        truth=expand(TRUE_MASKS, split=["train", "val"]),
        patterns=f"{RUN}/patterns/{LAYER}",
        classifier_log=rules.train_classifier.output.log,
        precision=rules.train_classifier.output.precision,
        segmenter_logs=[
            f"{RUN}/segmenter/{LAYER}/{BACKBONE}/round{number}/training.json"
            for number in range(1, ROUNDS + 1)
        ],
        seed_scores=f"{RUN}/scores/seed_masks/{LAYER}.json",
        proxy_scores=f"{RUN}/scores/proxy_masks/{LAYER}.json",
        val_scores=[val_scores(LAYER, number) for number in range(1, ROUNDS + 1)],
        seed_masks=shards(f"{RUN}/seed_masks/{LAYER}/shard-{{shard}}"),
        proxy_masks=shards(f"{RUN}/proxy_masks/{LAYER}/shard-{{shard}}"),
        predictions=shards(
            PREDICTED.format(seed=LAYER, backbone=BACKBONE, round=ROUNDS, split="val", shard="{shard}")
        ),
    output:
        **{
            key: report(f"{REPORT}/{name}", category="Results", caption=f"../docs/report/{key}.rst")
            for key, name in REPORT_NAMES.items()
        },
    log:
        f"{RUN}/logs/draw_report.log",
    benchmark:
        f"{RUN}/benchmarks/draw_report.tsv"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        index=subpath(input[0], parent=True),
        folder=subpath(output[0], parent=True),
        code=code("draw_report"),
    message:
        "drawing the report"
    shell:
        'python "$TAGSEG_SCRIPTS"/draw_report.py --index {params.index:q} --patterns {input.patterns:q}'
        " --classifier-log {input.classifier_log:q} --average-precision {input.precision:q}"
        " --segmenter-logs {input.segmenter_logs:q} --seed-scores {input.seed_scores:q}"
        " --proxy-scores {input.proxy_scores:q} --val-scores {input.val_scores:q}"
        " --seed-masks {input.seed_masks:q} --proxy-masks {input.proxy_masks:q}"
        " --predictions {input.predictions:q} --true-masks {input.truth:q}"
        " --report {params.folder:q} 2> {log:q}"
