# New photographs, segmented with the run's final network.

SEGMENTED = f"{RUN}/segmented/{{name}}"


rule segment_photographs:
    """Segment every photograph below `new_photos`: masks, overlays, a table of areas."""
    input:
        INDEX,
        checkpoint=checkpoint(LAYER, ROUNDS),
    output:
        directory(SEGMENTED),
    log:
        f"{RUN}/logs/segment_photographs/{{name}}.log",
    benchmark:
        f"{RUN}/benchmarks/segment_photographs/{{name}}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: COMPUTING
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=480,
    params:
        settings=settings(
            inference=config["segmenter"]["inference"],
            longest_side=config["longest_side"],
            crf=crf_settings("test"),
            deterministic=config["deterministic"],
        ),
        index=subpath(input[0], parent=True),
        photographs=config["new_photos"] or "",
        listing=listing(config["new_photos"], suffixes=PHOTOGRAPH_SUFFIXES) if config["new_photos"] else "",
        code=code("segment_photographs"),
    message:
        "segmenting the photographs below {params.photographs}"
    shell:
        'python "$TAGSEG_SCRIPTS"/segment_photographs.py --index {params.index:q} --settings {params.settings:q}'
        " --photographs {params.photographs:q} --checkpoint {input.checkpoint:q}"
        " --segmented {output:q} --threads {threads} 2> {log:q}"
