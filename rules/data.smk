# The data set: its index, its true masks, a report of what is wrong with it, and the subset of each class.

DEVKIT = f"{RUN}/devkit"


rule make_demo:
    """Draw the embedded default data set in the form of a PASCAL VOC devkit."""
    output:
        directory(DEVKIT),
    log:
        f"{RUN}/logs/make_demo.log",
    benchmark:
        f"{RUN}/benchmarks/make_demo.tsv"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=demo_settings(),
        code=code("make_demo"),
    message:
        "drawing the demo data set"
    shell:
        'python "$TAGSEG_SCRIPTS"/make_demo.py --settings {params.settings:q} --devkit {output:q} 2> {log:q}'


rule build_index:
    """Read every photograph and index the data set: a row a photograph, with its size, split and tags."""
    input:
        dataset_files,
    output:
        INDEX,
        f"{RUN}/index/left_out.csv",
    log:
        f"{RUN}/logs/build_index.log",
    benchmark:
        f"{RUN}/benchmarks/build_index.tsv"
    conda:
        "../envs/light.yaml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        settings=settings(**photograph_settings()),
        listing=lambda wildcards: dataset_listing(),
        folder=subpath(output[0], parent=True),
        code=code("build_index"),
    message:
        "reading and indexing the photographs"
    shell:
        'python "$TAGSEG_SCRIPTS"/build_index.py --settings {params.settings:q} --listing {params.listing}'
        " --index {params.folder:q} --threads {threads} 2> {log:q}"


rule collect_true_masks:
    """Collect the true masks of a split, for scores and the upper bound alone."""
    input:
        INDEX,
        true_mask_files,
    output:
        directory(TRUE_MASKS),
    log:
        f"{RUN}/logs/collect_true_masks/{{split}}.log",
    benchmark:
        f"{RUN}/benchmarks/collect_true_masks/{{split}}.tsv"
    priority: 10  # what is wrong with masks shows before hours of training
    conda:
        "../envs/light.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        settings=lambda wildcards: settings(
            **true_mask_settings(),
            collected=wildcards.split in config["dataset"]["true_masks"],
        ),
        listing=lambda wildcards: true_mask_listing(),
        index=subpath(input[0], parent=True),
        code=code("collect_true_masks"),
    message:
        "collecting the true masks of {wildcards.split}"
    shell:
        'python "$TAGSEG_SCRIPTS"/collect_true_masks.py --index {params.index:q} --settings {params.settings:q}'
        " --split {wildcards.split} --true-masks {output:q} --threads {threads} 2> {log:q}"


rule check_data:
    """Read every photograph and true mask, and report what there is and what is wrong."""
    input:
        dataset_files,
        true_mask_files,
    output:
        report=f"{RUN}/data_report/report.md",
        problems=f"{RUN}/data_report/problems.csv",
    log:
        f"{RUN}/logs/check_data.log",
    benchmark:
        f"{RUN}/benchmarks/check_data.tsv"
    conda:
        "../envs/light.yaml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        settings=settings(
            photographs=photograph_settings(),
            true_masks=true_mask_settings(),
            splits=sorted(config["dataset"]["true_masks"]),
        ),
        listings=lambda wildcards: [dataset_listing(), true_mask_listing()],
        code=code("check_data"),
    message:
        "checking every photograph and true mask"
    shell:
        'python "$TAGSEG_SCRIPTS"/check_data.py --settings {params.settings:q} --report {output.report:q}'
        " --problems {output.problems:q} --threads {threads} 2> {log:q}"


rule draw_subsets:
    """Draw the photographs from which each class's pattern is found."""
    input:
        INDEX,
    output:
        directory(f"{RUN}/subsets"),
    log:
        f"{RUN}/logs/draw_subsets.log",
    benchmark:
        f"{RUN}/benchmarks/draw_subsets.tsv"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=subset_settings(),
        index=subpath(input[0], parent=True),
        code=code("draw_subsets"),
    message:
        "drawing the class subsets"
    shell:
        'python "$TAGSEG_SCRIPTS"/draw_subsets.py --index {params.index:q} --settings {params.settings:q}'
        " --subsets {output:q} 2> {log:q}"
