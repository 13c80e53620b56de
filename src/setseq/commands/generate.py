"""``setseq generate``: a concept in new scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from setseq.commands.options import ConceptFile, Config, Preset, config_tables, read_prompts
from setseq.outputs import check_output, numbered
from setseq.prompts import shared_words
from setseq.terminal import Bars, say


def generate(
    concept: ConceptFile,
    prompts: Annotated[
        list[str] | None, typer.Argument(metavar="[PROMPT]...", help="Scenes with [v] and [u].")
    ] = None,
    prompts_file: Annotated[
        Path | None, typer.Option("--prompts", help="A text file, one prompt a line.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help=".mp4, .webm, .gif, or .png for a contact sheet.")
    ] = Path("out.mp4"),
    identity: Annotated[
        str | None,
        typer.Option(
            help="Identity strength: 1 as learned, 0 off; or '1.0 to 0.4', over frames too."
        ),
    ] = None,
    motion: Annotated[
        str | None,
        typer.Option(
            help="Motion strength: 1 as learned, 0 off; or '1.0 to 0.4', over frames too."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the start noise; 0 by default.")] = None,
    guidance: Annotated[
        float | None, typer.Option(help="How closely to follow the prompt.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Sampling steps.")] = None,
    num_frames: Annotated[int | None, typer.Option(help="Length in frames.")] = None,
    scale: Annotated[int, typer.Option(min=1, help="Whole-number enlargement of videos.")] = 1,
    preset: Preset = None,
    config: Config = None,
    base: Annotated[
        str | None, typer.Option(help="What it was learned on, if that is not the toybox.")
    ] = None,
) -> None:
    """Show a concept in new scenes: several prompts make out-1.mp4, out-2.mp4 and so on."""
    texts = [*(prompts or []), *read_prompts(prompts_file)]
    if not texts:
        raise typer.BadParameter("give a prompt, or a file of them with --prompts")
    is_sheet = out.suffix.lower() == ".png"
    paths = [out] if is_sheet else numbered(out, len(texts))
    for path in paths:
        check_output(path, (".mp4", ".webm", ".gif", ".png"))
    from setseq import api
    from setseq.config import GenerateSettings
    from setseq.presets import layered
    from setseq.video.encode import check_scale, write_video
    from setseq.video.sheet import write_sheet

    tables = config_tables(config)
    loaded = api.load_concept(concept)
    api.checked_prompts(loaded, texts)
    if shared := shared_words(loaded.provenance.words):
        say(f"WARNING: {shared}")
    model = api.base_of(loaded, base, tables["hardware"])
    chosen = layered(GenerateSettings, model.defaults.generate, preset, tables["generate"])
    height, width = chosen.height or model.geometry.height, chosen.width or model.geometry.width
    check_scale(1 if is_sheet else scale, height=height, width=width)
    with Bars() as bars:
        videos = api.generate(
            loaded,
            texts,
            identity=identity,
            motion=motion,
            seed=seed,
            guidance=guidance,
            steps=steps,
            num_frames=num_frames,
            preset=preset,
            settings=tables["generate"],
            base=model,
            on_step=lambda done, total: bars.step("Generate", done, total),
        )
    if is_sheet:
        write_sheet(out, list(zip(texts, videos, strict=True)))
    else:
        for path, video in zip(paths, videos, strict=True):
            write_video(path, video, fps=model.geometry.fps, scale=scale)
    for path in paths:
        say(str(path))
