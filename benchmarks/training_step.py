"""Our two stages' steps beside the ordinary way: a PEFT LoRA of the same rank on the same layers.

All in one run, interleaved, on the same latents and cached prompts, the same batch, loss, optimizer
and precision; ours with the base's own dropout, whose masks are drawn anew each step. Prints
milliseconds a step (median), and the rate of operations against what this machine's matrix product
reaches.

    python benchmarks/training_step.py [--base toybox] [--batch 4] [--rank 16] [--rounds 5]
"""

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from setseq.config import LearnSettings
from setseq.flow import draw_times
from setseq.lora.inject import inject
from setseq.models.base import VideoModel
from setseq.models.registry import load_model
from setseq.precision import autocast, resolved
from setseq.training.loop import train
from setseq.training.objective import flow_losses
from setseq.training.stages import Group, Stage
from setseq.training.state import Training

CLIP_PROMPT = "a zor creature in a meadow on a sunny day. it is dax dancing."


def stage(model: VideoModel, name: str, latents: torch.Tensor, args) -> Stage:
    """Set or Sequence on given latents, with the dropout of the base's defaults."""
    own = LearnSettings.resolve(model.defaults.learn)
    is_set = name == "set"
    return Stage(
        name=name,
        groups=(Group(name="concept", latents=latents, prompts=(CLIP_PROMPT,) * len(latents)),),
        trains=frozenset({"basis", "identity"} if is_set else {"motion"}),
        motion_strength=0.0 if is_set else 1.0,
        dropout={"identity": own.identity_dropout} if is_set else {"motion": own.motion_dropout},
        steps=args.steps,
        batch=args.batch,
    )


def ours(
    base: str, args, described: Callable[[VideoModel], Stage]
) -> tuple[Callable[[], list[float]], float]:
    """Runs a stage with the package's one loop; gives the seconds of each step but the first."""
    model = load_model(base)
    generator = torch.Generator().manual_seed(0)
    injection = inject(model.denoiser, model.lora_targets, rank=args.rank, generator=generator)
    settings = LearnSettings(
        rank=args.rank,
        precision=args.precision,
        checkpoint_every=0,
        rescale_dropout=LearnSettings.resolve(model.defaults.learn).rescale_dropout,
    )
    marks: list[float] = []
    training = Training(
        model=model,
        injection=injection,
        tokens=None,
        words={},
        settings=settings,
        run={},
        on_step=lambda report: marks.append(time.perf_counter()),
    )

    def run() -> list[float]:
        marks.clear()
        train(training, [described(model)])
        return [b - a for a, b in pairwise(marks)]

    with FlopCounterMode(display=False) as counter:
        train(training, [dataclasses.replace(described(model), steps=1)])
    return run, counter.get_total_flops() / 1e9


def ordinary(base: str, args, latents: torch.Tensor) -> tuple[Callable[[], list[float]], float]:
    """A plain training loop over PEFT's LoRA; gives the seconds of each step but the first."""
    model = load_model(base)
    settings = LearnSettings()
    config = LoraConfig(r=args.rank, lora_alpha=args.rank, target_modules=model.lora_targets)
    inject_adapter_in_model(config, model.denoiser)
    learned = [p for n, p in model.denoiser.named_parameters() if "lora_" in n]
    optimizer = torch.optim.AdamW(
        learned, lr=settings.learning_rate, betas=(settings.beta1, settings.beta2), fused=True
    )
    conditioning = model.encode_prompts([CLIP_PROMPT]).detach()
    generator = torch.Generator().manual_seed(0)
    precision = resolved(args.precision, model.device)

    def step() -> None:
        data = latents[torch.randint(len(latents), (args.batch,), generator=generator)]
        noise = torch.randn(data.shape, generator=generator)
        times = draw_times(args.batch, shift=model.timestep_shift, generator=generator)
        optimizer.zero_grad(set_to_none=True)
        with autocast(precision, model.device):
            loss = flow_losses(model, data, noise, times, conditioning).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(learned, settings.clip_norm)
        loss.item()
        optimizer.step()

    def run() -> list[float]:
        marks = []
        for _ in range(args.steps):
            step()
            marks.append(time.perf_counter())
        return [b - a for a, b in pairwise(marks)]

    with FlopCounterMode(display=False) as counter:
        step()
    return run, counter.get_total_flops() / 1e9


def matrix_peak(precision: str) -> float:
    """GFLOP/s of a square matrix product, the best of several."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a = torch.randn(2048, 2048, dtype=dtype)
    best = float("inf")
    for _ in range(6):
        start = time.perf_counter()
        torch.matmul(a, a)
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description="Our two stages beside a plain PEFT LoRA.")
    parser.add_argument("--base", default="toybox")
    parser.add_argument("--batch", type=int, default=4, help="clips, or frames, in a step")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--steps", type=int, default=4, help="steps in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp32"))
    args = parser.parse_args()
    model = load_model(args.base)
    shape = model.geometry.latent_shape()
    clip = torch.randn(1, *shape, generator=torch.Generator().manual_seed(1))
    frames = clip[0].transpose(0, 1).unsqueeze(2).contiguous()
    peft_run, clip_gflop = ordinary(args.base, args, clip)
    frames_run, frame_gflop = ordinary(args.base, args, frames)
    runs = {
        "PEFT LoRA, whole clip": (peft_run, clip_gflop),
        "setseq stage 2, whole clip": ours(
            args.base, args, lambda m: stage(m, "sequence", clip, args)
        ),
        "PEFT LoRA, single frames": (frames_run, frame_gflop),
        "setseq stage 1, single frames": ours(
            args.base, args, lambda m: stage(m, "set", frames, args)
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, (run, _) in runs.items():
            seconds[name] += run()
    precision = resolved(args.precision, model.device)
    peak = matrix_peak(precision)
    print(f"{Path(args.base).name}, batch {args.batch}, rank {args.rank}, {precision},", end=" ")
    print(f"{torch.get_num_threads()} threads; matrix product {peak:.0f} GFLOP/s")
    for name, (_, gflop) in runs.items():
        middle = statistics.median(seconds[name])
        spread = f"{1000 * min(seconds[name]):.0f} to {1000 * max(seconds[name]):.0f}"
        rate = f", {gflop / middle:.0f} GFLOP/s = {gflop / middle / peak:.0%}"
        print(f"{name:32} {1000 * middle:8.1f} ms a step ({spread}){rate}")
    middles = {name: statistics.median(values) for name, values in seconds.items()}
    whole, second, _, first = middles.values()
    print(f"stage 2 against PEFT: {second / whole:.2f}x its time a step (the bar: 1.00)")
    print(f"stage 1 against a whole-clip PEFT step: {whole / first:.1f}x faster (the bar: 3)")


if __name__ == "__main__":
    main()
