# The function that the rules of submission.smk call.


def submitted_shards(wildcards):
    """Return the final predictions of a split. Raises WorkflowError where nothing is in it, before hours pass."""
    listed = config["dataset"]["kind"] not in ("demo", "voc") or config["dataset"][f"{wildcards.split}_list"]
    if not listed:
        remedy = "set dataset.test_list and dataset.test_root, or make submission.split val for a rehearsal"
        raise WorkflowError(f"submission: no photograph in {wildcards.split}: {remedy}")
    words = dict(seed=LAYER, backbone=BACKBONE, round=ROUNDS, split=wildcards.split)
    return shards(PREDICTED.format(**words, shard="{shard}"))
