# Functions that the rules call: their inputs, params and settings.


VOC_FETCHED, SBD_FETCHED = f"{FETCHED}/VOCdevkit", f"{FETCHED}/benchmark_RELEASE"
COCO_FETCHED = [f"{FETCHED}/coco2017/{name}" for name in ("train2017", "val2017", "annotations")]
# What would be unpacked and is there without having been: a user has put it there, and it is treated like a copy that
# is named. Settled before anything runs, so that what this run unpacks makes no difference to its params.
BY_HAND = frozenset(
    folder
    for folder in (VOC_FETCHED, SBD_FETCHED, *COCO_FETCHED)
    if os.path.isdir(folder) and not is_recorded(folder)
)
COCO_INSTANCES = ("annotations/instances_train2017.json", "annotations/instances_val2017.json")


def data_root():
    """Return the folder of the data set: the one that is named, drawn, or unpacked from what is fetched."""
    roots = {
        "demo": DEVKIT,
        "photos": config["photos"],
        "voc": f"{VOC_FETCHED}/VOC2012",
        "coco": f"{FETCHED}/coco2017",
    }
    return config["dataset"]["root"] or roots[config["dataset"]["kind"]]


def fetched_files():
    """Return what is made here, drawn or fetched, of the data set: nothing of a copy that is named or put here."""
    made = {"demo": [DEVKIT], "voc": [VOC_FETCHED], "coco": COCO_FETCHED}
    folders = [] if config["dataset"]["root"] else made.get(config["dataset"]["kind"], [])
    return [folder for folder in folders if folder not in BY_HAND]


def sbd_for(wanted):
    """Return SBD's folder where the data set is VOC and it is `wanted`, else None."""
    if config["dataset"]["kind"] != "voc" or not wanted:
        return None
    return config["dataset"]["sbd"] or f"{SBD_FETCHED}/dataset"


def sbd_of_lists():
    """Return SBD's folder if one of the lists is trainaug, which is built from it, else None."""
    return sbd_for("trainaug" in [config["dataset"][f"{split}_list"] for split in ("train", "val", "test")])


def sbd_of_masks():
    """Return SBD's folder if its masks count as true masks, else None."""
    return sbd_for(config["dataset"]["sbd_masks"])


def fetched_sbd(folder):
    """Return what SBD is unpacked into, if `folder` is SBD's and nobody named it or put it there."""
    fetched = folder and not config["dataset"]["sbd"] and SBD_FETCHED not in BY_HAND
    return [SBD_FETCHED] if fetched else []


def dataset_files(wildcards):
    """Return what of the data set is made by other rules: of a user's copy, nothing."""
    return fetched_files() + fetched_sbd(sbd_of_lists())


def true_mask_files(wildcards):
    """Return what of the data set's true masks is made by other rules."""
    return fetched_files() + fetched_sbd(sbd_of_masks())


VOC_PLACES = ("", "VOC2012/", "VOCdevkit/VOC2012/")
SBD_PLACES = ("", "dataset/", "benchmark_RELEASE/dataset/")


def below(folder, *names, places=("",)):
    """Return places below a folder, which may lie deeper in one of `places`; none where it is None."""
    return [f"{folder}/{place}{name}" for place in places for name in names] if folder else []


def of_users(places, named):
    """Return those of several places that users care for: all in a folder that is `named`, else those by hand."""
    by_hand = tuple(f"{folder}/" for folder in BY_HAND)
    return [place for place in places if named or f"{place}/".startswith(by_hand)]


def root_places(*names, places=("",)):
    """Return the places below the data set's folder that users care for."""
    return of_users(below(data_root(), *names, places=places), config["dataset"]["root"])


def sbd_places(folder, *names):
    """Return the places below SBD's folder that users care for; none where it is None."""
    return of_users(below(folder, *names, places=SBD_PLACES), config["dataset"]["sbd"])


def photograph_places():
    """Return the places, in users' own copies, from which the index is built."""
    dataset, kind = config["dataset"], config["dataset"]["kind"]
    if kind == "voc":
        names = ("JPEGImages", "Annotations", "ImageSets/Segmentation", "classes.txt")
        test = below(dataset["test_root"], *names, places=VOC_PLACES)
        lists = sbd_places(sbd_of_lists(), "train.txt", "val.txt")
        return [*root_places(*names, places=VOC_PLACES), *test, *lists]
    if kind == "photos":
        named = (CLASS_LIST, *LABEL_TABLES, *([dataset["labels"]] if dataset["labels"] else []))
        return [config["photos"], *below(config["photos"], *named)]
    return root_places("train2017", "val2017", *COCO_INSTANCES)


def true_mask_places():
    """Return the places, in users' own copies, where true masks are, and nothing else."""
    kind = config["dataset"]["kind"]
    if kind == "coco":
        return root_places(*COCO_INSTANCES)
    if kind == "photos":
        return below(config["photos"], MASK_FOLDER)
    return root_places(MASK_FOLDER, places=VOC_PLACES) + sbd_places(sbd_of_masks(), "cls")


@cache
def dataset_listing():
    """Return a digest of the users' files from which the index is built: true masks are none of them."""
    drawn = code("make_demo") + demo_settings() if config["dataset"]["kind"] == "demo" else ""
    return listing(*photograph_places(), left_out=below(config["photos"], MASK_FOLDER), drawn=drawn)


@cache
def true_mask_listing():
    """Return a digest of the users' files of true masks."""
    return listing(*true_mask_places())


def demo_settings():
    """Return what the demo data set is drawn by."""
    return settings(random_seed=config["random_seed"], **config["dataset"]["demo"])


def photograph_settings():
    """Return what the reader of the photographs has to know: the keys of its kind of data set alone."""
    dataset, kind = config["dataset"], config["dataset"]["kind"]
    lists = ("train_list", "val_list", "test_list", "difficult")
    keys = {
        "demo": lists,
        "voc": (*lists, "test_root", "counts_known"),
        "coco": ("crowd", "counts_known"),
        "photos": ("val_share", "labels"),
    }
    more = {"voc": {"sbd": sbd_of_lists()}, "photos": {"random_seed": config["random_seed"]}}
    chosen = {key: dataset[key] for key in ("unreadable_share", *keys[kind])}
    return dict(kind=kind, root=data_root(), **chosen, **more.get(kind, {}))


def true_mask_settings():
    """Return what the reader of the true masks has to know."""
    kind = config["dataset"]["kind"]
    return dict(kind=kind, root=data_root(), **({"sbd": sbd_of_masks()} if kind == "voc" else {}))


def subset_settings():
    """Return how the subset of each class is drawn: with a seed of its own, or with the run's."""
    own = config["subsets"]["random_seed"]
    return settings(cap=config["subsets"]["cap"], random_seed=config["random_seed"] if own is None else own)


def weights_of(network):
    """Return the file of weights that a `network` section names, if it names one.

    Its time stamp counts for nothing, its content is a param (`weights_digest`): a file that was replaced by one of
    an older time stamp is told so, and one that was touched re-runs nothing.
    """
    return ancient([] if network["weights"] in (None, "imagenet") else [network["weights"]])


def weights_digest(network):
    """Return a digest of the file of weights that a `network` section names; "" where it names none."""
    return "".join(map(file_digest, weights_of(network)))


def segmenter_of(backbone):
    """Return `network` and `training` of the segmenter on a backbone: the run's own, or one of the tables'."""
    own = config["segmenter"]
    if backbone == BACKBONE:
        return {"network": own["network"], "training": seeded(own["training"])}
    other = config["tables"]["networks"].get(backbone, {})
    weights = own["network"]["weights"] and "imagenet"  # a file is of the run's own backbone
    return {
        "network": {**own["network"], "weights": weights, **other.get("network", {}), "backbone": backbone},
        "training": seeded({**own["training"], **other.get("training", {})}),
    }


def segmenter_weights(wildcards):
    """Return the file of weights that the segmenter on a backbone starts from, if there is one."""
    return weights_of(segmenter_of(wildcards.backbone)["network"])


def segmenter_weights_digest(wildcards):
    """Return a digest of the file of weights that the segmenter on a backbone starts from."""
    return weights_digest(segmenter_of(wildcards.backbone)["network"])


def segmenter_settings(wildcards):
    """Return what the training of the segmenter on a backbone depends on."""
    return settings(**segmenter_of(wildcards.backbone), deterministic=config["deterministic"])


def seeded(training):
    """Return a `training` section with the run's random seed."""
    return {**training, "random_seed": config["random_seed"]}


def crf_settings(phase):
    """Return the dense CRF's parameters on masks (proxy) or in the test phase (test); None: no CRF."""
    section = config["crf"]
    return section[phase] and {**section[phase], "reference_side": section["reference_side"]}


def features_for(wildcards):
    """Return the shard's features of a layer; of all candidates where the layer is chosen among them."""
    layers = ABLATION_LAYERS if wildcards.layer == AUTO else [wildcards.layer]
    return [f"{RUN}/features/{layer}/shard-{wildcards.shard}.h5" for layer in layers]


# What refuses a target is called by the target's own input function: where that of a producer further up raises,
# Snakemake takes what an earlier run left there for a file of the user's, and goes on with it.


def check_true_masks_to_learn():
    """Raise WorkflowError, before hours pass, where no true masks of train are collected."""
    if "train" not in config["dataset"]["true_masks"]:
        raise WorkflowError("upper_bound: no true masks of train; add train to dataset.true_masks")


def upper_bound_files(wildcards):
    """Return the tables of the upper bound. Raises WorkflowError where there is nothing to train it on."""
    check_true_masks_to_learn()
    return [f"{RUN}/tables/upper_bound.md", f"{RUN}/tables/upper_bound.csv"]


def upper_bound_scores(wildcards):
    """Return the scores of the network that learnt from true masks. Raises WorkflowError like the target."""
    check_true_masks_to_learn()
    return val_scores(TRUE_SEED, 1)


def true_masks_to_learn(wildcards):
    """Return the true masks of train. Raises WorkflowError where none are collected."""
    check_true_masks_to_learn()
    return TRUE_MASKS.replace("{split}", "train")


def labels_of_round(wildcards):
    """Return the mask shards on which a round is trained: proxy masks, or the last round's predictions."""
    if int(wildcards.round) == 1:
        return shards(f"{RUN}/proxy_masks/{wildcards.seed}/shard-{{shard}}")
    before = PREDICTED.replace("{round}", str(int(wildcards.round) - 1)).replace("{split}", "train")
    return shards(before.format(seed=wildcards.seed, backbone=wildcards.backbone, shard="{shard}"))


def decision_settings(wildcards):
    """Return how logits become masks: train gives labels for retraining, the others are the test phase."""
    retrain = (
        config["segmenter"]["retrain"]
        if wildcards.split == "train"
        else {"restrict_to_tags": False, "crf": True}
    )
    return settings(
        longest_side=config["longest_side"],
        restrict_to_tags=retrain["restrict_to_tags"],
        crf=crf_settings("test") if retrain["crf"] else None,
    )


def predicted_shards(wildcards):
    """Return all shards of the predictions of a split by the network of a seed and round."""
    words = {key: wildcards[key] for key in ("seed", "backbone", "round", "split")}
    return shards(PREDICTED.format(**words, shard="{shard}"))


def val_scores(seed, number, backbone=BACKBONE, split="val"):
    """Return the score file of val, or of another split, for the network of a seed and round."""
    return f"{RUN}/scores/{split}/{seed}/{backbone}/round{number}.json"


def scored_if_wanted(seed, number, backbone=BACKBONE, split="val"):
    """Return a score file of the tables; None where it is not there and nothing is to be trained for it."""
    path = val_scores(seed, number, backbone, split)
    of_all = (seed, backbone, split) == (LAYER, BACKBONE, "val")  # made by the target `all` in any case
    return path if config["tables"]["missing"] == "run" or of_all or os.path.exists(path) else None


def scored(rows, *columns):
    """Return the score files that rows of a table name in some of their columns."""
    return [row[column] for row in rows for column in columns if row[column]]


def table_1_rows():
    """Return the rows of table 1: name, the paper's row of the same name or None, score file or None."""
    seeds = [("{}", seed, 1) for seed in TABLE_SEEDS]
    again = [("{} + retrain", LAYER, ROUNDS)] if ROUNDS > 1 else []
    rows = [(form.format(paper_name(seed)), seed, number) for form, seed, number in [*seeds, *again]]
    return [
        {
            "name": name,
            "paper": name if paper_name(seed) in PAPER_NODES and number < 3 else None,
            "scores": scored_if_wanted(seed, number),
        }
        for name, seed, number in rows
    ]


def paper_name(seed):
    """Return the name of a seed in tables and figures: a block's as the paper has it, CAM in capitals."""
    names = {node: name for name, node in PAPER_NODES.items()} | {CAM_SEED: "CAM"}
    return names.get(seed, seed)


def table_2_rows():
    """Return the rows of table 2: our networks, with their score files of val and, if there, of test."""
    tested = "test" in config["dataset"]["true_masks"]
    return [
        {
            "name": f"tagseg ({backbone})",
            "val": scored_if_wanted(LAYER, ROUNDS, backbone),
            "test": scored_if_wanted(LAYER, ROUNDS, backbone, "test") if tested else None,
        }
        for backbone in (BACKBONE, *(name for name in config["tables"]["networks"] if name != BACKBONE))
    ]


def table_3_row():
    """Return the score file of table 3: that of the final network on val."""
    return {"scores": scored_if_wanted(LAYER, ROUNDS)}


def of_figure_layers(pattern):
    """Return the paths of all shards of the figures' layers: `pattern` with {layer} and {shard} filled in."""
    return [path for layer in FIGURE_LAYERS for path in shards(pattern.replace("{layer}", layer))]


def configuration_of_results():
    """Return the configuration that the page of results tells: all of it but what the target `segment` reads."""
    return settings(**{key: value for key, value in config.items() if key != "new_photos"})


def captions():
    """Return a digest of the captions, which the page of results takes from the documentation."""
    paths = sorted(Path(workflow.basedir, "docs/report").glob("*.rst"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def figure_settings(*keys, **more):
    """Return what a figure is drawn by: some keys of `figures`, and `more`."""
    return settings(**{key: config["figures"][key] for key in keys}, **more)


def table_files(number):
    """Return a table's files by their format, as outputs that the report takes in."""
    return {
        name: report(f"{TABLES}/table_{number}.{suffix}", category="Tables", caption=TABLE_CAPTION)
        for name, suffix in FORMATS.items()
    }


def figure_files(number):
    """Return a figure's files; the report takes the picture in."""
    caption = f"../docs/report/figure_{number}.rst"
    return {
        "png": report(f"{FIGURES}/figure_{number}.png", category="Figures", caption=caption),
        "pdf": f"{FIGURES}/figure_{number}.pdf",
    }


def segmented_folder(wildcards):
    """Return the folder of results for `new_photos`. Raises WorkflowError where none is configured."""
    if config["new_photos"] is None:
        raise WorkflowError("segment: name the folder, with --config new_photos=FOLDER")
    return SEGMENTED.format(name=Path(config["new_photos"]).resolve().name)


def check_submitted(split):
    """Raise WorkflowError, before hours pass, where no photograph is in a split."""
    listed = config["dataset"]["kind"] not in ("demo", "voc") or config["dataset"][f"{split}_list"]
    if not listed:
        remedy = "set dataset.test_list and dataset.test_root, or make submission.split val for a rehearsal"
        raise WorkflowError(f"submission: no photograph in {split}: {remedy}")


def submission_archive(wildcards):
    """Return the archive for the test server. Raises WorkflowError where there is nothing to pack."""
    wanted = config["submission"]
    check_submitted(wanted["split"])
    return f"{RUN}/submission/{wanted['competition']}_{wanted['split']}.tgz"


def submitted_shards(wildcards):
    """Return the final predictions of a split. Raises WorkflowError where nothing is in it."""
    check_submitted(wildcards.split)
    words = dict(seed=LAYER, backbone=BACKBONE, round=ROUNDS, split=wildcards.split)
    return shards(PREDICTED.format(**words, shard="{shard}"))
