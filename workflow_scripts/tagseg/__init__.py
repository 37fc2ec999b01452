"""tagseg: from images with tags to a network that segments the tagged things.

The method is that of Luo & Yang, "Learning Saliency-Free Model with Generic Features for
Weakly-Supervised Semantic Segmentation", AAAI 2020 (cited below as "the paper").

Rooms, from data to result: `datasets` (adapters) -> `index` -> `subsets` -> `classifier` -> `features`
-> `patterns` -> `proxy` -> `crf` -> `deeplab`, `training`, `inference` -> `metrics`, `figures`.
Nothing in here imports Snakemake or reads its configuration.
"""
