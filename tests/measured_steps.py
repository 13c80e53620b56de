"""Learns on a base in a process of its own, and prints the memory that steps took, as JSON.

python -m tests.measured_steps FOLDER SETTINGS(JSON) CASES(JSON: a list of [stage, hardware])
"""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from setseq.config import HardwareSettings, LearnSettings
from setseq.memory import measured_peak
from setseq.models.registry import load_model
from setseq.prompts import concept_prompt
from setseq.training.learn import learn_concept
from setseq.training.stages import TrainingClip


def measured(folder: str, settings: dict[str, Any], stage: str, hardware: dict[str, Any]) -> int:
    """Bytes that the second step of a stage added to what there was between the steps."""
    model = load_model(folder, hardware=HardwareSettings(**hardware))
    steps = {"set_steps": 0, "sequence_steps": 0, f"{stage}_steps": 2}
    chosen = LearnSettings.model_validate(settings | steps | {"checkpoint_every": 0})
    geometry = model.geometry
    pixels = torch.zeros(3, geometry.num_frames, geometry.height, geometry.width)
    clip = TrainingClip(pixels=pixels, prompt=concept_prompt("a [v] character", "it is [u]"))
    peaks = []
    with ExitStack() as stack:

        def on_step(report: object) -> None:
            if not peaks:  # libraries are warm, and both encoders gone
                peaks.append(stack.enter_context(measured_peak(model.device)))

        learn_concept(model, [clip], chosen, on_step=on_step)
    return peaks[0].grown


if __name__ == "__main__":
    place, given, cases = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
    print(json.dumps([measured(str(place), given, *case) for case in cases]))
