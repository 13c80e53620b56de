"""The table of docs/models.md: which settings are predicted to fit which card, for each base.

Its last column is the smallest card that anything fits.

python benchmarks/cards.py [NAME ...]
"""

import math
import sys

from setseq.config import LearnSettings
from setseq.models.catalog import KNOWN
from setseq.models.registry import blueprint_defaults
from setseq.proposal import Ladder

CARDS_GB = (12, 16, 24, 48, 80)


def row(name: str) -> str:
    """What is proposed for each card, with what it is predicted to take there."""
    ladder = Ladder(name, LearnSettings.resolve(blueprint_defaults(name)))
    cells = [name]
    for card in CARDS_GB:
        option = ladder.proposed(card)
        cells.append("-")
        if option is not None:
            cells[-1] = f"{option.name}: {option.footprint.on_card / 1e9:.0f}"
    cells.append(str(math.ceil(ladder.least() / 1e9)))
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    head = ["GB", *map(str, CARDS_GB), "least"]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for chosen in sys.argv[1:] or [model.name for model in KNOWN]:
        print(row(chosen), flush=True)
