# The data set: its index, its ground truth, a report of its problems, and the subset of each class.

DEVKIT = f"{RUN}/devkit"


rule generate_demo:
    """Generate the demo data set in the layout of a PASCAL VOC devkit."""
    output:
        local(directory(DEVKIT)),
    log:
        f"{RUN}/logs/generate_demo.log",
    benchmark:
        f"{RUN}/benchmarks/generate_demo.tsv"
    localrule: True
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=stages.demo_settings(),
        code=code("generate_demo"),
    message:
        "generating the demo data set"
    shell:
        'python "$TAGSEG_SCRIPTS"/generate_demo.py --settings {params.settings:q} --devkit {output:q} 2> {log:q}'


rule build_index:
    """Read every image and index the data set: one row per image, with its size, split and tags."""
    input:
        [local(path) for path in plan.adapter.inputs()],
    output:
        INDEX,
        [directory(path) for path in IMAGES],
        f"{RUN}/index/skipped.csv",
    log:
        f"{RUN}/logs/build_index.log",
    benchmark:
        f"{RUN}/benchmarks/build_index.tsv"
    localrule: not SHARED_DISK
    conda:
        "../envs/light.yaml"
    threads: 8
    resources:
        mem_mb=memory(4000),
        runtime=240,
    params:
        settings=as_json(**stages.index_settings()),
        listing=lambda wildcards: stages.image_listing,
        folder=subpath(output[0], parent=True),
        code=code("build_index"),
    message:
        "reading and indexing the images"
    shell:
        'python "$TAGSEG_SCRIPTS"/build_index.py --settings {params.settings:q} --listing {params.listing}'
        " --index {params.folder:q} --threads {threads} 2> {log:q}"


rule collect_ground_truth:
    """Collect the ground truth of a split, for scores and the upper bound alone."""
    input:
        INDEX,
        [local(path) for path in plan.adapter.ground_truth_inputs()],
    output:
        directory(GROUND_TRUTH),
    log:
        f"{RUN}/logs/collect_ground_truth/{{split}}.log",
    benchmark:
        f"{RUN}/benchmarks/collect_ground_truth/{{split}}.tsv"
    priority: 10  # problems of masks show before hours of training
    group:
        "ground_truth"
    localrule: not SHARED_DISK
    conda:
        "../envs/light.yaml"
    threads: 4
    resources:
        mem_mb=memory(4000),
        runtime=minutes(0.3),
    params:
        settings=lambda wildcards: as_json(
            **stages.ground_truth_settings(),
            collected=wildcards.split in settings.dataset.ground_truth,
        ),
        listing=lambda wildcards: stages.ground_truth_listing,
        index=subpath(input[0], parent=True),
        code=code("collect_ground_truth"),
    message:
        "collecting the ground truth of {wildcards.split}"
    shell:
        'python "$TAGSEG_SCRIPTS"/collect_ground_truth.py --index {params.index:q} --settings {params.settings:q}'
        " --split {wildcards.split} --ground-truth {output:q} --threads {threads} 2> {log:q}"


rule check_data:
    """Read every image and ground-truth mask, and report counts and problems."""
    input:
        [local(path) for path in (*plan.adapter.inputs(), *plan.adapter.ground_truth_inputs())],
    output:
        report=f"{RUN}/data_report/report.html",
        problems=f"{RUN}/data_report/problems.csv",
    log:
        f"{RUN}/logs/check_data.log",
    benchmark:
        f"{RUN}/benchmarks/check_data.tsv"
    localrule: not SHARED_DISK
    conda:
        "../envs/light.yaml"
    threads: 8
    resources:
        mem_mb=memory(4000),
        runtime=240,
    params:
        settings=as_json(
            images=stages.index_settings(),
            ground_truth=stages.ground_truth_settings(),
            splits=sorted(settings.dataset.ground_truth),
        ),
        listings=lambda wildcards: [stages.image_listing, stages.ground_truth_listing],
        code=code("check_data"),
    message:
        "checking every image and ground-truth mask"
    shell:
        'python "$TAGSEG_SCRIPTS"/check_data.py --settings {params.settings:q} --report {output.report:q}'
        " --problems {output.problems:q} --threads {threads} 2> {log:q}"


rule sample_subsets:
    """Sample the images from which the pattern of each class is found."""
    input:
        INDEX,
    output:
        directory(f"{RUN}/subsets"),
    log:
        f"{RUN}/logs/sample_subsets.log",
    benchmark:
        f"{RUN}/benchmarks/sample_subsets.tsv"
    localrule: True
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=stages.subset_settings(),
        index=subpath(input[0], parent=True),
        code=code("sample_subsets"),
    message:
        "sampling the class subsets"
    shell:
        'python "$TAGSEG_SCRIPTS"/sample_subsets.py --index {params.index:q} --settings {params.settings:q}'
        " --subsets {output:q} 2> {log:q}"
