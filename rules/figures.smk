# The paper's figures 1, 3, 4 and 5 for the run's data set, each as PNG and as PDF.

FIGURES = f"{RUN}/figures"
FIGURE_NUMBERS = (1, 3, 4, 5)
FIGURE_FILES = [
    f"{FIGURES}/figure_{number}.{suffix}" for number in FIGURE_NUMBERS for suffix in ("png", "pdf")
]


rule figures:
    """Draw the paper's figures 1, 3, 4 and 5 for this data set."""
    input:
        FIGURE_FILES,


rule draw_figure_1:
    """Draw figure 1: CAM seeds beside our masks, and the features of three layers in a plane."""
    input:
        INDEX,
        truth=TRUE_MASKS.replace("{split}", "train"),
        subsets=rules.draw_subsets.output,
        cam_masks=shards(f"{RUN}/seed_masks/{CAM_SEED}/shard-{{shard}}"),
        masks=shards(f"{RUN}/proxy_masks/{LAYER}/shard-{{shard}}"),
        features=of_figure_layers(f"{RUN}/features/{{layer}}/shard-{{shard}}.h5"),
    output:
        **figure_files(1),
    log:
        f"{RUN}/logs/draw_figure_1.log",
    benchmark:
        f"{RUN}/benchmarks/draw_figure_1.tsv"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=figure_settings(
            "classes", "photographs", layers=FIGURE_LAYERS, random_seed=config["random_seed"]
        ),
        index=subpath(input[0], parent=True),
        code=code("draw_figure_1"),
    message:
        "drawing figure 1"
    shell:
        'python "$TAGSEG_SCRIPTS"/draw_figure_1.py --index {params.index:q} --settings {params.settings:q}'
        " --true-masks {input.truth:q} --cam-masks {input.cam_masks:q} --masks {input.masks:q}"
        " --subsets {input.subsets:q} --features {input.features:q} --png {output.png:q} --pdf {output.pdf:q}"
        " 2> {log:q}"


rule draw_figure_3:
    """Draw figure 3: the variance that the first 50 components explain."""
    input:
        patterns=[f"{RUN}/patterns/{layer}" for layer in dict.fromkeys((LAYER, *FIGURE_LAYERS))],
    output:
        **figure_files(3),
    log:
        f"{RUN}/logs/draw_figure_3.log",
    benchmark:
        f"{RUN}/benchmarks/draw_figure_3.tsv"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=figure_settings("classes", layers=list(dict.fromkeys((LAYER, *FIGURE_LAYERS)))),
        code=code("draw_figure_3"),
    message:
        "drawing figure 3"
    shell:
        'python "$TAGSEG_SCRIPTS"/draw_figure_3.py --patterns {input.patterns:q}'
        " --settings {params.settings:q} --png {output.png:q} --pdf {output.pdf:q} 2> {log:q}"


rule draw_figure_4:
    """Draw figure 4: the masks of three layers."""
    input:
        INDEX,
        truth=TRUE_MASKS.replace("{split}", "train"),
        masks=of_figure_layers(f"{RUN}/seed_masks/{{layer}}/shard-{{shard}}"),
    output:
        **figure_files(4),
    log:
        f"{RUN}/logs/draw_figure_4.log",
    benchmark:
        f"{RUN}/benchmarks/draw_figure_4.tsv"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=figure_settings("classes", "photographs", layers=FIGURE_LAYERS),
        index=subpath(input[0], parent=True),
        code=code("draw_figure_4"),
    message:
        "drawing figure 4"
    shell:
        'python "$TAGSEG_SCRIPTS"/draw_figure_4.py --index {params.index:q} --settings {params.settings:q}'
        " --true-masks {input.truth:q} --masks {input.masks:q} --png {output.png:q} --pdf {output.pdf:q}"
        " 2> {log:q}"


rule draw_figure_5:
    """Draw figure 5: what the final network says of photographs of val."""
    input:
        INDEX,
        truth=TRUE_MASKS.replace("{split}", "val"),
        predictions=shards(
            PREDICTED.format(seed=LAYER, backbone=BACKBONE, round=ROUNDS, split="val", shard="{shard}")
        ),
    output:
        **figure_files(5),
    log:
        f"{RUN}/logs/draw_figure_5.log",
    benchmark:
        f"{RUN}/benchmarks/draw_figure_5.tsv"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=figure_settings("classes", "photographs"),
        index=subpath(input[0], parent=True),
        code=code("draw_figure_5"),
    message:
        "drawing figure 5"
    shell:
        'python "$TAGSEG_SCRIPTS"/draw_figure_5.py --index {params.index:q} --settings {params.settings:q}'
        " --true-masks {input.truth:q} --predictions {input.predictions:q} --png {output.png:q}"
        " --pdf {output.pdf:q} 2> {log:q}"
