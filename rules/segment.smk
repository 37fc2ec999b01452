# New images, segmented with the run's final network.

SEGMENTED = f"{RUN}/segmented/{{name}}"


rule segment_images:
    """Segment every image below `new_photos`: masks, overlays, a table of areas."""
    input:
        checkpoint=local(settings.checkpoint) if settings.checkpoint else plan.checkpoint(LAYER, plan.rounds),
    output:
        directory(SEGMENTED),
    log:
        f"{RUN}/logs/segment_images/{{name}}.log",
    benchmark:
        f"{RUN}/benchmarks/segment_images/{{name}}.tsv"
    localrule: not SHARED_DISK
    conda:
        "../envs/torch.yaml"
    threads: COMPUTING
    resources:
        gpu=1,
        mem_mb=memory(8000),
        runtime=480,
    params:
        settings=stages.segment_settings(),
        images=settings.new_photos or "",
        listing=stages.new_images_listing(),
        code=code("segment_images"),
    message:
        "segmenting the images below {params.images}"
    shell:
        'python "$TAGSEG_SCRIPTS"/segment_images.py --settings {params.settings:q}'
        " --images {params.images:q} --checkpoint {input.checkpoint:q}"
        " --segmented {output:q} --threads {threads} 2> {log:q}"
