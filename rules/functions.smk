# Functions that the rules call: their inputs, params and settings.


def dataset_files(wildcards):
    """Return what the index depends on besides its params: the demo's devkit, or the table of labels."""
    if config["dataset"]["kind"] == "demo":
        return [DEVKIT]
    if config["dataset"]["kind"] == "photos":
        names = ("labels.csv", "classes.txt")
        return [path for path in (f"{config['photos']}/{name}" for name in names) if Path(path).exists()]
    return []


def dataset_listing():
    """Return a digest of the user's files of which the data set consists; the demo has none."""
    roots = {"photos": config["photos"], "voc": config["dataset"]["root"]}
    root = roots.get(config["dataset"]["kind"])
    return listing(root) if root else ""


def dataset_settings():
    """Return the slice of the configuration that describes the data set."""
    dataset = config["dataset"]
    if dataset["kind"] == "photos":
        seed = config["random_seed"]
        return settings(
            kind="photos", root=config["photos"], random_seed=seed, val_share=dataset["val_share"]
        )
    keys = ("train_list", "val_list", "test_list", "difficult")
    root = DEVKIT if dataset["kind"] == "demo" else dataset["root"]
    return settings(kind=dataset["kind"], root=root, **{key: dataset[key] for key in keys})


def weights_of(section):
    """Return the file of weights that a section of the configuration names, if it names one."""
    weights = config[section]["network"]["weights"]
    return [] if weights in (None, "imagenet") else [weights]


def seeded(training):
    """Return a `training` section with the run's random seed."""
    return {**training, "random_seed": config["random_seed"]}


def labels_of_round(wildcards):
    """Return the mask shards on which a round is trained: proxy masks, or the last round's predictions."""
    if int(wildcards.round) == 1:
        return shards(f"{RUN}/proxy_masks/{wildcards.seed}/shard-{{shard}}")
    before = PREDICTED.replace("{round}", str(int(wildcards.round) - 1)).replace("{split}", "train")
    return shards(before.format(seed=wildcards.seed, backbone=wildcards.backbone, shard="{shard}"))


def prediction_settings(wildcards):
    """Return how a split is predicted: train gives labels for retraining, the others are the test phase."""
    section = config["segmenter"]
    retrain = section["retrain"] if wildcards.split == "train" else {"restrict_to_tags": False, "crf": True}
    crf = config["crf"]["test"] if retrain["crf"] else None
    return settings(
        inference=section["inference"],
        longest_side=config["longest_side"],
        restrict_to_tags=retrain["restrict_to_tags"],
        crf=crf,
    )


def predicted_shards(wildcards):
    """Return all shards of the predictions of a split by the network of a seed and round."""
    words = {key: wildcards[key] for key in ("seed", "backbone", "round", "split")}
    return shards(PREDICTED.format(**words, shard="{shard}"))


def val_scores(seed, number):
    """Return the score file of val for the network of a seed and round."""
    return f"{RUN}/scores/val/{seed}/{BACKBONE}/round{number}.json"


def segmented_folder(wildcards):
    """Return the folder of results for `new_photos`. Raises WorkflowError where none is configured."""
    if config["new_photos"] is None:
        raise WorkflowError("segment: name the folder, with --config new_photos=FOLDER")
    return SEGMENTED.format(name=Path(config["new_photos"]).resolve().name)
