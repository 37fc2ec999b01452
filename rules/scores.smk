# Scores against ground truth, and the tables that compare them. Only the upper bound learns from ground truth.


rule score_masks:
    """Score a seed's masks of train, before (seed_masks) or after (proxy_masks) the CRF."""
    input:
        INDEX,
        truth=GROUND_TRUTH.replace("{split}", "train"),
        masks=lambda wildcards: plan.shards(f"{RUN}/{wildcards.stage}/{wildcards.seed}/shard-{{shard}}"),
    output:
        f"{RUN}/scores/{{stage}}/{{seed}}.json",
    log:
        f"{RUN}/logs/score_masks/{{stage}}/{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/score_masks/{{stage}}/{{seed}}.tsv"
    wildcard_constraints:
        stage="seed_masks|proxy_masks",
    localrule: True
    conda:
        "../envs/light.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        index=subpath(input[0], parent=True),
        split="train",
        code=code("score_masks"),
    message:
        "scoring the {wildcards.stage} of {wildcards.seed}"
    shell:
        'python "$TAGSEG_SCRIPTS"/score_masks.py --index {params.index:q} --split {params.split}'
        " --ground-truth {input.truth:q} --masks {input.masks:q} --scores {output:q} 2> {log:q}"


use rule score_masks as score_predictions with:
    input:
        INDEX,
        truth=GROUND_TRUTH,
        masks=lambda wildcards: plan.predicted(wildcards.seed, wildcards.round, wildcards.split, wildcards.backbone),
    output:
        f"{RUN}/scores/{{split}}/{{seed}}/{{backbone}}/round{{round}}.json",
    log:
        f"{RUN}/logs/score_predictions/{{split}}/{{seed}}/{{backbone}}/round{{round}}.log",
    benchmark:
        f"{RUN}/benchmarks/score_predictions/{{split}}/{{seed}}/{{backbone}}/round{{round}}.tsv"
    params:
        index=subpath(input[0], parent=True),
        split="{split}",
        code=code("score_masks"),
    message:
        "scoring {wildcards.split} with {wildcards.seed}, round {wildcards.round}"


COMPARED_SEEDS = [*settings.ablation.layers, CAM_SEED]


rule compare_seeds:
    """Compare the proxy masks of the configured layers and of CAM."""
    input:
        seed_scores=expand(f"{RUN}/scores/seed_masks/{{seed}}.json", seed=COMPARED_SEEDS),
        proxy_scores=expand(f"{RUN}/scores/proxy_masks/{{seed}}.json", seed=COMPARED_SEEDS),
    output:
        markdown=f"{RUN}/tables/ablation.md",
        csv=f"{RUN}/tables/ablation.csv",
        json=f"{RUN}/tables/ablation.json",
        plot=f"{RUN}/tables/ablation.png",
    log:
        f"{RUN}/logs/compare_seeds.log",
    benchmark:
        f"{RUN}/benchmarks/compare_seeds.tsv"
    localrule: True
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
        " --json {output.json:q} --plot {output.plot:q} 2> {log:q}"


rule compare_upper_bound:
    """Compare the final network with the same one trained on ground truth."""
    input:
        ours=plan.scores(LAYER, plan.rounds),
        truth=plan.upper_bound_scores,
    output:
        markdown=f"{RUN}/tables/upper_bound.md",
        csv=f"{RUN}/tables/upper_bound.csv",
        json=f"{RUN}/tables/upper_bound.json",
    log:
        f"{RUN}/logs/compare_upper_bound.log",
    benchmark:
        f"{RUN}/benchmarks/compare_upper_bound.tsv"
    localrule: True
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
        " --markdown {output.markdown:q} --csv {output.csv:q} --json {output.json:q} 2> {log:q}"
