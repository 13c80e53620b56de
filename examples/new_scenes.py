"""Learn a clip, then show what it taught in new scenes, as videos and as one contact sheet.

python examples/new_scenes.py CLIP FOLDER [BASE]
"""

import sys
from pathlib import Path

import setseq
from setseq.video.sheet import write_sheet

SCENES = (
    "a [v] creature in a snowy field. it is [u] dancing",
    "a [v] creature in the desert at dusk. it is [u] dancing",
    "a pencil sketch of a [v] creature. it is [u] dancing",
)


def main(clip: str, folder: str, base_name: str = "toybox") -> None:
    """Learn, save, generate, write."""
    base = setseq.load_model(base_name)
    concept = setseq.learn(
        clip, look="a [v] creature in a meadow", motion="it is [u] dancing", base=base
    )
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    setseq.save_concept(concept, out / "concept.safetensors")
    videos = setseq.generate(concept, SCENES, base=base)
    for number, video in enumerate(videos, 1):
        setseq.write_video(out / f"scene-{number}.mp4", video, fps=base.geometry.fps, scale=6)
    write_sheet(out / "scenes.png", list(zip(SCENES, videos, strict=True)))


if __name__ == "__main__":
    main(*sys.argv[1:])
