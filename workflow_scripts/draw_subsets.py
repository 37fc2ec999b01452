"""Draw each class's subset: at most `cap` of the train photographs that carry the class's tag.

draw_subsets.py --index FOLDER --settings '{"cap": 800, "random_seed": 0}' --subsets FOLDER
"""

from tagseg import commandline
from tagseg.index import read_index
from tagseg.subsets import draw_subset, write_subsets


def main() -> None:
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    parser.add_argument("--subsets", required=True, metavar="FOLDER", help="output: one list a class")
    arguments = parser.parse_args()
    index = read_index(arguments.index)
    train = index.of_split("train")
    subsets = {tag: draw_subset(train, tag, **arguments.settings) for tag in index.classes[1:]}
    write_subsets(arguments.subsets, subsets)
    sizes = ", ".join(f"{tag} {len(ids)}" for tag, ids in subsets.items())
    commandline.say(f"photographs a class: {sizes}")


if __name__ == "__main__":
    commandline.run(main)
