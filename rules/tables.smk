# The paper's tables beside ours. Cells are empty where nothing was run.

TABLES = f"{RUN}/tables"
TABLE_FORMATS = {"markdown": "md", "csv": "csv", "json": "json", "latex": "tex"}
TABLE_SETTINGS = {1: paper_tables.table_1, 2: paper_tables.table_2, 3: paper_tables.table_3}
TABLE_FILES = [f"{TABLES}/table_{number}.{suffix}" for number in TABLE_SETTINGS for suffix in TABLE_FORMATS.values()]


rule tables:
    """Build the paper's tables 1 to 3, with our numbers beside the paper's."""
    input:
        TABLE_FILES,


for number, table_settings in TABLE_SETTINGS.items():

    rule:
        """Build a table of the paper with our scores, as Markdown, CSV, JSON and LaTeX."""
        name:
            f"build_table_{number}"
        input:
            INDEX,
            scores=lambda wildcards, made=table_settings: paper_tables.score_files(made()),
        output:
            **{
                name: report(
                    f"{TABLES}/table_{number}.{suffix}",
                    category="Tables",
                    caption="../docs/report/paper_tables.rst",
                )
                for name, suffix in TABLE_FORMATS.items()
                if name != "json"
            },
            json=f"{TABLES}/table_{number}.json",
        log:
            f"{RUN}/logs/build_table_{number}.log",
        benchmark:
            f"{RUN}/benchmarks/build_table_{number}.tsv"
        localrule: True
        conda:
            "../envs/light.yaml"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=10,
        params:
            number=number,
            settings=lambda wildcards, made=table_settings: as_json(**made()),
            index=subpath(input[0], parent=True),
            code=code(f"build_table_{number}"),
        message:
            "building table {params.number}"
        shell:
            'python "$TAGSEG_SCRIPTS"/build_table_{params.number}.py --index {params.index:q}'
            " --settings {params.settings:q} --markdown {output.markdown:q} --csv {output.csv:q}"
            " --json {output.json:q} --latex {output.latex:q} 2> {log:q}"
