"""How much memory and time a step takes on a GPU, beside the memory that is predicted.

On a random model of a published Wan's very shapes, which is made first (an autoencoder of its own,
a tiny text encoder); then each way to hold it learns a few steps of both stages.

python benchmarks/gpu.py [--folder FOLDER] [--frames 33 --width 480 --height 320] [SETTING ...]
"""

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from setseq.config import HardwareSettings, LearnSettings
from setseq.errors import SetSeqError
from setseq.footprint import Footprint, Size, predict
from setseq.memory import Peak, measured_peak
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.precision import resolved
from setseq.prompts import concept_prompt
from setseq.training.learn import learn_concept
from setseq.training.stages import TrainingClip, encode_frames
from setseq.training.state import StepReport

_BF16, _THRIFTY = {"weights": "bf16"}, {"gradient_checkpointing": True}
WAYS: dict[str, dict[str, Any]] = {
    "bf16": _BF16,
    "bf16, checkpointing": {**_BF16, **_THRIFTY},
    "int8, checkpointing": {"weights": "int8", **_THRIFTY},
    "fp8, checkpointing": {"weights": "fp8", **_THRIFTY},
    "nf4, checkpointing": {"weights": "nf4", **_THRIFTY},
    "offload, checkpointing": {**_BF16, "offload": True, **_THRIFTY},
    "compile": {**_BF16, "compile": True},
    "tiles": {**_BF16, "tiled_autoencoder": True, **_THRIFTY},
}
STEPS = 4  # of each stage: the first warms up
PROMPT = concept_prompt("a [v] creature in the snow", "it is [u]")


@dataclass
class Row:
    """What one way took: peaks in bytes by phase, and seconds a step by stage."""

    peaks: dict[str, int] = field(default_factory=dict)
    step_s: dict[str, float] = field(default_factory=dict)
    loaded_s: float = 0.0


def make_base(folder: Path, *, width: int, height: int, frames: int, layers: int) -> Path:
    """A random pipeline of Wan 2.1 1.3B's shapes (or with fewer blocks), on the disk."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
    from diffusers.pipelines.wan.pipeline_wan import WanPipeline
    from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
        FlowMatchEulerDiscreteScheduler,
    )
    from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -9.0)]
    text = UMT5Config(vocab_size=len(words), d_model=4096, d_kv=8, d_ff=32, num_layers=1)
    text.num_heads = 2
    shapes: dict[str, Any] = {"num_attention_heads": 12, "num_layers": layers, "ffn_dim": 8960}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    transformer: Any
    text_encoder: Any
    with device:
        transformer = WanTransformer3DModel(**shapes)
        vae, text_encoder = AutoencoderKLWan(), UMT5EncoderModel(text)
    WanPipeline(
        tokenizer=T5Tokenizer(vocab=words, extra_ids=0),  # pyright: ignore[reportArgumentType]
        text_encoder=text_encoder.to(torch.bfloat16),
        vae=vae,
        transformer=transformer.to(torch.bfloat16),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)
    card = {"id": "random", "fps": 16, "width": width, "height": height, "num_frames": frames}
    (folder / "setseq.json").write_text(json.dumps(card))
    return folder


def measured(folder: Path, settings: LearnSettings, hardware: HardwareSettings) -> Row:
    """Encode a clip of noise, and learn a few steps of both stages."""
    row = Row()
    gc.collect()  # the way before this one leaves
    model: Any = load_model(folder, hardware=hardware)
    model.fingerprint = "random"  # nobody has to know these weights again
    geometry = model.geometry
    shape = (3, geometry.num_frames, geometry.height, geometry.width)
    pixels = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with measured_peak(model.device) as peak, torch.no_grad():
        model.encode_prompts([PROMPT.full])
        encode_frames(model, pixels)
        model.encode_video(pixels[None])
    row.peaks["encoding"] = peak.most
    model.release()
    begun = time.perf_counter()
    _ = model.denoiser
    row.loaded_s = time.perf_counter() - begun
    clip = TrainingClip(pixels=pixels, prompt=PROMPT)
    learn_concept(model, [clip], settings, on_step=_watching(model, row))
    return row


def _watching(model: VideoModel, row: Row) -> Callable[[StepReport], None]:
    """What is to be called after each step, to measure from the end of a stage's first one."""
    open_: list[tuple[Any, Peak, float]] = []

    def on_step(report: StepReport) -> None:
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        if report.step == 1:
            measuring = measured_peak(model.device)
            open_.append((measuring, measuring.__enter__(), time.perf_counter()))
        if report.step == report.steps:
            measuring, peak, begun = open_.pop()
            measuring.__exit__(None, None, None)
            row.peaks[report.stage] = peak.most
            row.step_s[report.stage] = (time.perf_counter() - begun) / (report.steps - 1)

    return on_step


def line(name: str, predicted: Footprint, row: Row) -> str:
    """One way as a row of the table."""
    cells = [name]
    for phase in ("encoding", "set", "sequence"):
        cells.append(f"{getattr(predicted, phase) / 1e9:.2f} | {row.peaks[phase] / 1e9:.2f}")
    cells += [f"{row.step_s[stage]:.3f}" for stage in ("set", "sequence")]
    return f"| {' | '.join(cells)} | {row.loaded_s:.1f} |"


def main(given: argparse.Namespace) -> None:
    """Print a row for each way; one that fails is said and passed by."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    folder = Path(given.folder)
    if not (folder / "model_index.json").exists():
        make_base(
            folder,
            width=given.width,
            height=given.height,
            frames=given.frames,
            layers=given.layers,
        )
    settings = LearnSettings(
        set_steps=STEPS, sequence_steps=STEPS, checkpoint_every=0, precision="auto"
    )
    precision = resolved(settings.precision, device)
    size = f"{given.frames} frames of {given.width} x {given.height}, {given.layers} blocks"
    print(f"{name}, PyTorch {torch.__version__}, {precision}: {size}; GB predicted | measured")
    print("| way | encoding | | Set | | Sequence | | Set s/step | Sequence s/step | loaded in s |")
    print("|---" * 10 + "|", flush=True)
    for way in given.ways or WAYS:
        try:
            hardware = HardwareSettings.model_validate(WAYS[way])
            predicted = predict(folder, settings, hardware, size=Size(), precision=precision)
            print(line(way, predicted, measured(folder, settings, hardware)), flush=True)
        except (SetSeqError, RuntimeError, TypeError, ValueError) as error:
            print(f"{way}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
        if device.type == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ways", nargs="*", metavar="SETTING", help=f"of {', '.join(WAYS)}")
    parser.add_argument("--folder", default=str(Path(tempfile.gettempdir()) / "setseq-random-wan"))
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--height", type=int, default=320)
    parser.add_argument("--layers", type=int, default=30)
    main(parser.parse_args())
