# The report of a run: a summary, figures, and one page of everything.

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
REPORT_FILES = [f"{REPORT}/report.html", *(f"{REPORT}/{name}" for name in REPORT_NAMES.values())]
PAPER_TABLES = [path for path in TABLE_FILES if path.endswith(".json")]
PLOTTED_TABLES = [
    *(["layers"] if LAYER == AUTO else []),
    *(["ablation"] if settings.report.tables and "train" in settings.dataset.ground_truth else []),
]


rule render_report:
    """Render the report: scores, tables, figures, examples, curves, provenance and cost."""
    input:
        index=INDEX + IMAGES,
        ground_truth=expand(GROUND_TRUTH, split=["train", "val"]),
        patterns=f"{RUN}/patterns/{LAYER}",
        classifier_log=rules.train_classifier.output.log,
        average_precision=rules.train_classifier.output.precision,
        segmenter_logs=[
            f"{RUN}/segmenter/{LAYER}/{plan.backbone}/round{number}/training.json"
            for number in range(1, plan.rounds + 1)
        ],
        seed_scores=f"{RUN}/scores/seed_masks/{LAYER}.json",
        proxy_scores=f"{RUN}/scores/proxy_masks/{LAYER}.json",
        val_scores=[plan.scores(LAYER, number) for number in range(1, plan.rounds + 1)],
        seed_masks=plan.shards(f"{RUN}/seed_masks/{LAYER}/shard-{{shard}}"),
        proxy_masks=plan.shards(f"{RUN}/proxy_masks/{LAYER}/shard-{{shard}}"),
        predictions=plan.predicted(LAYER, plan.rounds, "val"),
        tables=[
            *([f"{TABLES}/layers.json"] if LAYER == AUTO else []),
            *(PAPER_TABLES if settings.report.tables else []),
            *(f"{TABLES}/{name}.json" for name in PLOTTED_TABLES if name != "layers"),
            *([f"{TABLES}/upper_bound.json"] if settings.report.upper_bound else []),
        ],
        figures=[
            *(f"{TABLES}/{name}.png" for name in PLOTTED_TABLES),
            *(path for path in FIGURE_FILES if path.endswith(".png") and settings.report.figures),
        ],
    output:
        **{
            key: report(f"{REPORT}/{name}", category="Run", caption=f"../docs/report/{key}.rst")
            for key, name in REPORT_NAMES.items()
        },
        html=report(f"{REPORT}/report.html", category="Run", caption="../docs/report/page.rst"),
    log:
        f"{RUN}/logs/render_report.log",
    benchmark:
        f"{RUN}/benchmarks/render_report.tsv"
    localrule: True
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=stages.shown_config(),
        inputs=lambda wildcards, input: plan.flags(input),
        folder=subpath(output.html, parent=True),
        benchmarks=f"{RUN}/benchmarks",
        captions=stages.captions(),
        code=code("render_report"),
    message:
        "rendering the report"
    shell:
        'python "$TAGSEG_SCRIPTS"/render_report.py {params.inputs:q} --settings {params.settings:q}'
        " --benchmarks {params.benchmarks:q} --report {params.folder:q} 2> {log:q}"
