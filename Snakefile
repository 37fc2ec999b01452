# From tags to segmentation. Every path below results/{run}/ is spelt with these words:
#
#   layer     node of the backbone whose features are used: blocks.5.1, layer4.0 (C41), ...; auto: chosen by choose_layer
#   seed      where proxy masks come from: a layer, `cam`, or `truth` for the upper bound
#   backbone  network of the segmenter: efficientnet_lite0, resnet101, vgg16, ...
#   round     1: trained on proxy masks; 2, 3, ...: retrained on predictions of the round before
#   split     train, val, test
#   shard     part of a split, from 0; `shards` in the configuration sets their number
#
# Targets: all (default), ablation, upper_bound, tables and figures (the paper's, with ours), segment, submission
# (for the VOC test server), check_data (a report of the data set, with its problems), verify (reads all
# results of the run again, and says what is missing, damaged or altered).


from snakemake.utils import min_version

min_version("9.27")


configfile: workflow.current_basedir.join("config.yaml").get_path_or_uri(secret_free=False)


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/fetch.smk"
include: "rules/classifier.smk"
include: "rules/patterns.smk"
include: "rules/proxy.smk"
include: "rules/segmenter.smk"
include: "rules/scores.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/report.smk"
include: "rules/segment.smk"
include: "rules/submission.smk"
include: "rules/verify.smk"


wildcard_constraints:
    layer=NODE,
    seed=r"[A-Za-z][A-Za-z0-9_.]*",
    backbone=r"[A-Za-z][A-Za-z0-9_.:]*",
    round=r"[1-9]\d*",
    split="train|val|test",
    shard=r"\d+",


rule all:
    """Train the final network, score it and render the report."""
    default_target: True
    input:
        plan.checkpoint(LAYER, plan.rounds),
        REPORT_FILES,


rule ablation:
    """Compare the proxy masks of the configured layers and of CAM."""
    input:
        f"{RUN}/tables/ablation.md",
        f"{RUN}/tables/ablation.csv",
        f"{RUN}/tables/ablation.png",


rule upper_bound:
    """Compare the final network with the same one trained on ground truth."""
    input:
        plan.upper_bound_tables,


rule segment:
    """Apply the run's network to the images of the folder `new_photos`."""
    input:
        plan.segmented_folder,
