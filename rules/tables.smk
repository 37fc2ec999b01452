# The paper's tables with ours beside them. What was not run is an empty cell.

TABLES = f"{RUN}/tables"
FORMATS = {"markdown": "md", "csv": "csv", "latex": "tex"}
TABLE_FILES = [f"{TABLES}/table_{number}.{suffix}" for number in (1, 2, 3) for suffix in FORMATS.values()]


TABLE_CAPTION = "../docs/report/paper_tables.rst"


rule tables:
    """Build the paper's tables 1 to 3, with our numbers beside the paper's."""
    input:
        TABLE_FILES,


rule build_table_1:
    """Build table 1: the network on val by the seed that it learnt from, and after retraining."""
    input:
        INDEX,
        scores=lambda wildcards: scored(table_1_rows(), "scores"),
    output:
        **table_files(1),
    log:
        f"{RUN}/logs/build_table_1.log",
    benchmark:
        f"{RUN}/benchmarks/build_table_1.tsv"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=lambda wildcards: settings(rows=table_1_rows()),
        index=subpath(input[0], parent=True),
        code=code("build_table_1"),
    message:
        "building table 1"
    shell:
        'python "$TAGSEG_SCRIPTS"/build_table_1.py --index {params.index:q} --settings {params.settings:q}'
        " --markdown {output.markdown:q} --csv {output.csv:q} --latex {output.latex:q} 2> {log:q}"


rule build_table_2:
    """Build table 2: our networks among the methods of the paper's comparison."""
    input:
        INDEX,
        scores=lambda wildcards: scored(table_2_rows(), "val", "test"),
    output:
        **table_files(2),
    log:
        f"{RUN}/logs/build_table_2.log",
    benchmark:
        f"{RUN}/benchmarks/build_table_2.tsv"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=lambda wildcards: settings(rows=table_2_rows()),
        index=subpath(input[0], parent=True),
        code=code("build_table_2"),
    message:
        "building table 2"
    shell:
        'python "$TAGSEG_SCRIPTS"/build_table_2.py --index {params.index:q} --settings {params.settings:q}'
        " --markdown {output.markdown:q} --csv {output.csv:q} --latex {output.latex:q} 2> {log:q}"


rule build_table_3:
    """Build table 3: IoU of each class of COCO, beside SEC, DSRG and the paper."""
    input:
        INDEX,
        scores=lambda wildcards: scored([table_3_row()], "scores"),
    output:
        **table_files(3),
    log:
        f"{RUN}/logs/build_table_3.log",
    benchmark:
        f"{RUN}/benchmarks/build_table_3.tsv"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=lambda wildcards: settings(**table_3_row()),
        index=subpath(input[0], parent=True),
        code=code("build_table_3"),
    message:
        "building table 3"
    shell:
        'python "$TAGSEG_SCRIPTS"/build_table_3.py --index {params.index:q} --settings {params.settings:q}'
        " --markdown {output.markdown:q} --csv {output.csv:q} --latex {output.latex:q} 2> {log:q}"
