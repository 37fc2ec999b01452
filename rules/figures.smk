# The paper's figures 1, 3, 4 and 5 for the run's data set, each as PNG and as PDF.

FIGURES = f"{RUN}/figures"
SHOWN_LAYERS = list(dict.fromkeys((LAYER, *settings.figures.layers)))
TRAIN = {"index": INDEX + IMAGES, "ground_truth": GROUND_TRUTH.replace("{split}", "train")}
FIGURE_INPUTS = {
    1: TRAIN
    | {
        "subsets": rules.sample_subsets.output,
        "cam_masks": plan.shards(f"{RUN}/seed_masks/{CAM_SEED}/shard-{{shard}}"),
        "masks": plan.shards(f"{RUN}/proxy_masks/{LAYER}/shard-{{shard}}"),
        "features": plan.of_figure_layers(f"{RUN}/features/{{layer}}/shard-{{shard}}.h5"),
    },
    3: {"patterns": [f"{RUN}/patterns/{layer}" for layer in SHOWN_LAYERS]},
    4: TRAIN | {"masks": plan.of_figure_layers(f"{RUN}/seed_masks/{{layer}}/shard-{{shard}}")},
    5: {
        "index": INDEX + IMAGES,
        "ground_truth": GROUND_TRUTH.replace("{split}", "val"),
        "predictions": plan.predicted(LAYER, plan.rounds, "val"),
    },
}
FIGURE_KEYS = {
    1: ("layers", "classes", "images", "random_seed"),
    3: ("classes",),
    4: ("layers", "classes", "images"),
    5: ("classes", "images"),
}
FIGURE_FILES = [f"{FIGURES}/figure_{number}.{suffix}" for number in FIGURE_INPUTS for suffix in ("png", "pdf")]


rule figures:
    """Draw the paper's figures 1, 3, 4 and 5 for this data set."""
    input:
        FIGURE_FILES,


for number, inputs in FIGURE_INPUTS.items():

    rule:
        """Draw a figure of the paper for this data set."""
        name:
            f"draw_figure_{number}"
        input:
            **inputs,
        output:
            png=report(
                f"{FIGURES}/figure_{number}.png",
                category="Figures",
                caption=f"../docs/report/figure_{number}.rst",
            ),
            pdf=f"{FIGURES}/figure_{number}.pdf",
        log:
            f"{RUN}/logs/draw_figure_{number}.log",
        benchmark:
            f"{RUN}/benchmarks/draw_figure_{number}.tsv"
        localrule: True
        conda:
            "../envs/light.yaml"
        threads: 1
        resources:
            mem_mb=4000,
            runtime=60,
        params:
            number=number,
            inputs=lambda wildcards, input: plan.flags(input),
            settings=stages.figure_settings(FIGURE_KEYS[number]),
            code=code(f"draw_figure_{number}"),
        message:
            "drawing figure {params.number}"
        shell:
            'python "$TAGSEG_SCRIPTS"/draw_figure_{params.number}.py {params.inputs:q}'
            " --settings {params.settings:q} --png {output.png:q} --pdf {output.pdf:q} 2> {log:q}"
