# Scores against the true masks, and the tables that set them side by side. No job learns or chooses by true masks, the
# upper bound apart.


rule score_masks:
    """Score a seed's masks of train, before (seed_masks) or after (proxy_masks) the CRF."""
    input:
        INDEX,
        truth=TRUE_MASKS.replace("{split}", "train"),
        masks=lambda wildcards: shards(f"{RUN}/{wildcards.stage}/{wildcards.seed}/shard-{{shard}}"),
    output:
        f"{RUN}/scores/{{stage}}/{{seed}}.json",
    log:
        f"{RUN}/logs/score_masks/{{stage}}/{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/score_masks/{{stage}}/{{seed}}.tsv"
    wildcard_constraints:
        stage="seed_masks|proxy_masks",
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        index=subpath(input[0], parent=True),
        code=code("score_masks"),
    message:
        "scoring the {wildcards.stage} of {wildcards.seed}"
    shell:
        'python "$TAGSEG_SCRIPTS"/score_masks.py --index {params.index:q} --split train'
        " --true-masks {input.truth:q} --masks {input.masks:q} --scores {output:q} 2> {log:q}"


rule score_predictions:
    """Score a network's predictions of a split."""
    input:
        INDEX,
        truth=TRUE_MASKS,
        masks=predicted_shards,
    output:
        f"{RUN}/scores/{{split}}/{{seed}}/{{backbone}}/round{{round}}.json",
    log:
        f"{RUN}/logs/score_predictions/{{split}}/{{seed}}/{{backbone}}/round{{round}}.log",
    benchmark:
        f"{RUN}/benchmarks/score_predictions/{{split}}/{{seed}}/{{backbone}}/round{{round}}.tsv"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        index=subpath(input[0], parent=True),
        code=code("score_masks"),
    message:
        "scoring {wildcards.split} with {wildcards.seed}, round {wildcards.round}"
    shell:
        'python "$TAGSEG_SCRIPTS"/score_masks.py --index {params.index:q} --split {wildcards.split}'
        " --true-masks {input.truth:q} --masks {input.masks:q} --scores {output:q} 2> {log:q}"


COMPARED_SEEDS = [*ABLATION_LAYERS, CAM_SEED]


rule compare_seeds:
    """Set the proxy masks of the configured layers and of CAM side by side."""
    input:
        seed_scores=expand(f"{RUN}/scores/seed_masks/{{seed}}.json", seed=COMPARED_SEEDS),
        proxy_scores=expand(f"{RUN}/scores/proxy_masks/{{seed}}.json", seed=COMPARED_SEEDS),
    output:
        markdown=f"{RUN}/tables/ablation.md",
        csv=f"{RUN}/tables/ablation.csv",
        plot=f"{RUN}/tables/ablation.png",
    log:
        f"{RUN}/logs/compare_seeds.log",
    benchmark:
        f"{RUN}/benchmarks/compare_seeds.tsv"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        seeds=COMPARED_SEEDS,
        code=code("compare_seeds"),
    message:
        "comparing the seeds {params.seeds}"
    shell:
        'python "$TAGSEG_SCRIPTS"/compare_seeds.py --seeds {params.seeds} --seed-scores {input.seed_scores:q}'
        " --proxy-scores {input.proxy_scores:q} --markdown {output.markdown:q} --csv {output.csv:q}"
        " --plot {output.plot:q} 2> {log:q}"


rule compare_upper_bound:
    """Set the final network beside the same one trained on true masks."""
    input:
        ours=val_scores(LAYER, ROUNDS),
        truth=upper_bound_scores,
    output:
        markdown=f"{RUN}/tables/upper_bound.md",
        csv=f"{RUN}/tables/upper_bound.csv",
    log:
        f"{RUN}/logs/compare_upper_bound.log",
    benchmark:
        f"{RUN}/benchmarks/compare_upper_bound.tsv"
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("compare_upper_bound"),
    message:
        "comparing with full supervision"
    shell:
        'python "$TAGSEG_SCRIPTS"/compare_upper_bound.py --ours {input.ours:q} --truth {input.truth:q}'
        " --markdown {output.markdown:q} --csv {output.csv:q} 2> {log:q}"
