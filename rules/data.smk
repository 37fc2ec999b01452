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
    params:
        settings=settings(random_seed=config["random_seed"], **config["dataset"]["demo"]),
        code=code("make_demo"),
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../envs/light.yaml"
    message:
        "drawing the demo data set"
    shell:
        "python {SCRIPTS}/make_demo.py --settings {params.settings:q} --devkit {output:q} 2> {log:q}"


def dataset_files(wildcards):
    """Return what the index depends on besides its params: the demo's devkit, or the table of labels."""
    if config["dataset"]["kind"] == "demo":
        return [DEVKIT]
    if config["dataset"]["kind"] == "photos":
        names = ("labels.csv", "classes.txt")
        return [path for path in (f"{config['photos']}/{name}" for name in names) if Path(path).exists()]
    lists = Path(config["dataset"]["root"]).glob("**/ImageSets/Segmentation/*.txt")
    return sorted(map(str, lists))


def dataset_settings():
    """Return the slice of the configuration that describes the data set."""
    dataset = config["dataset"]
    if dataset["kind"] == "photos":
        seed = config["random_seed"]
        return settings(kind="photos", root=config["photos"], random_seed=seed, val_share=dataset["val_share"])
    keys = ("train_list", "val_list", "test_list", "difficult")
    root = DEVKIT if dataset["kind"] == "demo" else dataset["root"]
    return settings(kind=dataset["kind"], root=root, **{key: dataset[key] for key in keys})


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
    params:
        settings=dataset_settings(),
        folder=f"{RUN}/index",
        code=code("build_index"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    conda:
        "../envs/light.yaml"
    message:
        "indexing the photographs"
    shell:
        "python {SCRIPTS}/build_index.py --settings {params.settings:q} --index {params.folder:q} 2> {log:q}"


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
    params:
        settings=settings(cap=config["subsets"]["cap"], random_seed=config["random_seed"]),
        index=f"{RUN}/index",
        code=code("draw_subsets"),
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../envs/light.yaml"
    message:
        "drawing the class subsets"
    shell:
        "python {SCRIPTS}/draw_subsets.py --index {params.index:q} --settings {params.settings:q}"
        " --subsets {output:q} 2> {log:q}"
