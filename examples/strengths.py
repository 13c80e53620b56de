"""One scene at several identity and motion strengths, in one contact sheet.

python examples/strengths.py CONCEPT SHEET.png [BASE]
"""

import sys

import setseq
from setseq.video.sheet import write_sheet

SCENE = "a [v] creature in a meadow. it is [u] dancing"
STRENGTHS = ((1.0, 1.0), (1.0, 0.5), (1.0, 0.0), (0.5, 1.0), (0.0, 0.0))


def main(concept_file: str, sheet: str, base_name: str = "toybox") -> None:
    """Generate at each pair of strengths, write the sheet."""
    base = setseq.load_model(base_name)
    rows = []
    for identity, motion in STRENGTHS:
        [video] = setseq.generate(
            concept_file, SCENE, identity=identity, motion=motion, seed=1, base=base
        )
        rows.append((f"identity {identity}, motion {motion}", video))
    write_sheet(sheet, rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
