"""tagseg: from images with tags to a network that segments the tagged things.

The method is that of Luo & Yang, "Learning Saliency-Free Model with Generic Features for
Weakly-Supervised Semantic Segmentation", AAAI 2020 (cited below as "the paper").

Packages: `runtime`, `storage`, `datasets`, `models`, `patterns`, `training`, `segmentation`, `evaluation`, `report`,
`workflow`; `docs/architecture.md` describes them. No module imports Snakemake.
"""
