# The report of a run: a summary and figures. `snakemake --report` collects them into one HTML file.

REPORT = f"{RUN}/report"
REPORT_NAMES = {
    "summary": "summary.md",
    "table": "summary.csv",
    "examples_val": "examples_val.png",
    "best_worst": "best_worst.png",
    "per_class": "per_class.png",
    "training": "training.png",
    "examples_train": "examples_train.png",
    "explained_variance": "explained_variance.png",
}
PAGE = f"{REPORT}/report.html"
REPORT_FILES = [PAGE, *(f"{REPORT}/{name}" for name in REPORT_NAMES.values())]
SCORED_TRAIN = "train" in config["dataset"]["true_masks"]
REPORT_TABLES = [
    *([f"{TABLES}/layers.csv"] if LAYER == AUTO else []),
    *([path for path in TABLE_FILES if path.endswith(".csv")] if config["report"]["tables"] else []),
    *([f"{TABLES}/ablation.csv"] if config["report"]["tables"] and SCORED_TRAIN else []),
    *([f"{TABLES}/upper_bound.csv"] if config["report"]["upper_bound"] else []),
]
REPORT_FIGURES = (
    [path for path in FIGURE_FILES if path.endswith(".png")] if config["report"]["figures"] else []
)


# What `snakemake --report` opens on: a page of results that the run itself has made.
report: os.path.abspath(f"{REPORT}/front.rst")


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
            key: report(f"{REPORT}/{name}", category="Run", caption=f"../docs/report/{key}.rst")
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


rule compose_report:
    """Compose the page of results: scores, tables, figures, curves, best and worst, provenance."""
    input:
        INDEX,
        summary=rules.draw_report.output.table,
        training_logs=[rules.draw_report.input.classifier_log, *rules.draw_report.input.segmenter_logs],
        val_scores=[val_scores(LAYER, number) for number in range(1, ROUNDS + 1)],
        tables=REPORT_TABLES,
        plots=[
            path.replace(".csv", ".png")
            for path in REPORT_TABLES
            if Path(path).stem in ("ablation", "layers")
        ],
        pictures=[path for path in rules.draw_report.output if path.endswith(".png")],
        figures=REPORT_FIGURES,
    output:
        html=PAGE,
        front=f"{REPORT}/front.rst",
    log:
        f"{RUN}/logs/compose_report.log",
    benchmark:
        f"{RUN}/benchmarks/compose_report.tsv"
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        settings=configuration_of_results(),
        index=subpath(input[0], parent=True),
        benchmarks=f"{RUN}/benchmarks",
        captions=captions(),
        code=code("compose_report"),
    message:
        "composing the page of results"
    shell:
        'python "$TAGSEG_SCRIPTS"/compose_report.py --index {params.index:q} --settings {params.settings:q}'
        " --summary {input.summary:q} --val-scores {input.val_scores:q} --tables {input.tables:q}"
        " --training-logs {input.training_logs:q} --figures {input.pictures:q} {input.plots:q} {input.figures:q} --benchmarks {params.benchmarks:q}"
        " --html {output.html:q} --front {output.front:q} 2> {log:q}"
