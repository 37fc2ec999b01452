# The data set: its index, and the subset of each class.

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
        settings=settings(random_seed=config["random_seed"], **config["dataset"]["demo"]),
        code=code("make_demo"),
    message:
        "drawing the demo data set"
    shell:
        'python "$TAGSEG_SCRIPTS"/make_demo.py --settings {params.settings:q} --devkit {output:q} 2> {log:q}'


rule build_index:
    """Index the data set: one row a photograph, with its size, split, tags and mask."""
    input:
        dataset_files,
    output:
        INDEX,
    log:
        f"{RUN}/logs/build_index.log",
    benchmark:
        f"{RUN}/benchmarks/build_index.tsv"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=dataset_settings(),
        listing=dataset_listing(),
        folder=subpath(output[0], parent=True),
        code=code("build_index"),
    message:
        "indexing the photographs"
    shell:
        'python "$TAGSEG_SCRIPTS"/build_index.py --settings {params.settings:q} --index {params.folder:q} 2> {log:q}'


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
        settings=settings(cap=config["subsets"]["cap"], random_seed=config["random_seed"]),
        index=subpath(input[0], parent=True),
        code=code("draw_subsets"),
    message:
        "drawing the class subsets"
    shell:
        'python "$TAGSEG_SCRIPTS"/draw_subsets.py --index {params.index:q} --settings {params.settings:q}'
        " --subsets {output:q} 2> {log:q}"
