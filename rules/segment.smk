# New photographs, segmented with the run's final network.

import hashlib

SEGMENTED = f"{RUN}/segmented/{{name}}"


def listing(folder):
    """Return a digest over names, sizes and times of all files below a folder: it changes with them."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    rows = [f"{path.relative_to(folder)}\0{path.stat().st_size}\0{path.stat().st_mtime_ns}" for path in files]
    return hashlib.sha256("\n".join(rows).encode(errors="surrogateescape")).hexdigest()[:16]


def segmented_folder(wildcards):
    """Return the folder of results for `new_photos`. Raises WorkflowError where none is configured."""
    if config["new_photos"] is None:
        raise WorkflowError("segment: name the folder, with --config new_photos=FOLDER")
    return SEGMENTED.format(name=Path(config["new_photos"]).resolve().name)


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
    params:
        settings=settings(inference=config["segmenter"]["inference"], crf=config["crf"]["test"]),
        index=f"{RUN}/index",
        photographs=config["new_photos"] or "",
        listing=listing(config["new_photos"]) if config["new_photos"] else "",
        code=code("segment_photographs"),
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=480,
    conda:
        "../envs/torch.yaml"
    message:
        "segmenting the photographs below {params.photographs}"
    shell:
        "python {SCRIPTS}/segment_photographs.py --index {params.index:q} --settings {params.settings:q}"
        " --photographs {params.photographs:q} --checkpoint {input.checkpoint:q}"
        " --segmented {output:q} --threads {threads} 2> {log:q}"
