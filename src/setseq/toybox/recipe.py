"""The whole recipe of the toybox's base model: code, shards, decoder, judge, words, transformer.

Each part leaves its result in the run's folder and is skipped or resumed where it lies there, so
the recipe can be stopped at any moment and started again with the same command.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from setseq.config import HardwareSettings
from setseq.errors import BaseModelError, SettingsError
from setseq.models.hardware import hardware_of
from setseq.outputs import write_bytes
from setseq.toybox.autoencoder import ToyAutoencoder, fit_basis, truncated
from setseq.toybox.caption_reader import train_words
from setseq.toybox.components import (
    PATCH,
    TIMESTEP_SHIFT,
    Networks,
    build_networks,
    load_weights,
    save_pipeline,
)
from setseq.toybox.decoder import train_decoder
from setseq.toybox.judge import save_judge
from setseq.toybox.judging import train_judge
from setseq.toybox.pretrain import Pretraining, pretrain
from setseq.toybox.resume import load_state
from setseq.toybox.settings import Recipe
from setseq.toybox.shards import Shards, clip_pixels, shard_path, write_shard
from setseq.toybox.world import GRAMMAR, LONE_RADIUS, PAIR_RADIUS, random_scene

# Seeds of scenes that no shard holds; shards count up from 0.
BASIS_SEED = 10_000_000
RENDER_SEED = 300_000_000
_RECORD = "recipe.json"

OnProgress = Callable[[str, int, int, float], None]


def _ignore(part: str, done: int, total: int, loss: float) -> None:
    pass


def _render(seed: int, count: int) -> Tensor:
    """Clean clips as uint8 (n, 3, f, h, w)."""
    scenes = (random_scene(seed + k) for k in range(count))
    return torch.stack([((clip_pixels(scene) + 1) * 127.5).round().byte() for scene in scenes])


def _record(recipe: Recipe, folder: Path, start: Path | None) -> None:
    """Notes what the run is made of, and refuses to go on with something else.

    How long the parts are trained, and on which batches, may change: they go on, or stop earlier.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made_of = {
        "world": hashlib.sha256(repr((GRAMMAR, LONE_RADIUS, PAIR_RADIUS)).encode()).hexdigest(),
        "seed": recipe.pretrain.seed,
        "channels": recipe.channels,
        "width": recipe.width,
        "layers": recipe.layers,
        "patch": list(PATCH),
        "timestep_shift": TIMESTEP_SHIFT,
        "clips_per_shard": recipe.clips_per_shard,
        "basis_clips": recipe.basis_clips,
        "start": None if start is None else str(start),
    }
    path = folder / _RECORD
    if not path.exists():
        write_bytes(path, json.dumps(made_of, indent=2).encode())
    try:
        found = dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"{path} is damaged; choose another folder, or delete this one to start over"
        ) from error
    changed = [name for name in made_of if found.get(name) != made_of[name]]
    if changed:
        raise SettingsError(
            f"{folder} holds a run with another {', '.join(changed)}; "
            "choose another folder, or delete it to start over"
        )


def _fit_code(recipe: Recipe, folder: Path, start: Path | None = None) -> ToyAutoencoder:
    code, partial = folder / "code", folder / "code-partial"
    if not code.exists():
        shutil.rmtree(partial, ignore_errors=True)
        if start is not None:
            trained = ToyAutoencoder.from_pretrained(start / "vae").float()
            truncated(trained, recipe.channels).save_pretrained(partial)
        else:
            scenes = (random_scene(BASIS_SEED + k) for k in range(recipe.basis_clips))
            pixels = torch.stack([clip_pixels(scene) for scene in scenes])
            torch.manual_seed(0)
            fit_basis(pixels, z_dim=recipe.channels, patch=8, group=2).save_pretrained(partial)
        partial.rename(code)
    return ToyAutoencoder.from_pretrained(folder / "code").float()


def _render_shards(
    recipe: Recipe, autoencoder: ToyAutoencoder, folder: Path, workers: int, on: OnProgress
) -> None:
    missing = [k for k in range(recipe.shards) if not shard_path(folder, k).exists()]
    with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        jobs = [
            pool.submit(write_shard, autoencoder, folder, index, recipe.clips_per_shard)
            for index in missing
        ]
        try:
            for done, job in enumerate(jobs, recipe.shards - len(missing) + 1):
                job.result()
                on("shards", done, recipe.shards, 0.0)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _train_judge(
    recipe: Recipe,
    autoencoder: ToyAutoencoder,
    shards: Shards,
    folder: Path,
    start: Path | None,
    on: OnProgress,
) -> None:
    path = folder / "judge.safetensors"
    if not path.exists():
        known = None if start is None else start.parent / path.name
        judge = train_judge(
            autoencoder,
            shards,
            folder / "judge-state.safetensors",
            steps=recipe.judge_steps,
            seed=recipe.pretrain.seed,
            start=known if known is not None and known.exists() else None,
            on_step=lambda step, loss: on("judge", step, recipe.judge_steps, loss),
        )
        save_judge(judge, path)


def train(
    recipe: Recipe,
    folder: Path,
    *,
    start: Path | None = None,
    device: str = "auto",
    workers: int = 2,
    compile_blocks: bool | None = None,
    on_progress: OnProgress = _ignore,
    on_saved: Callable[[Path, int], None] = lambda base, step: None,
) -> Path:
    """Runs every part of the recipe that is not done yet.

    Args:
        recipe: What to train, and for how long.
        folder: The run; made where it is missing.
        start: A base to go on from, by its pipeline folder: its code, its weights, and the judge
            that lies beside the folder, if one does.
        device: Where the networks are trained, as HardwareSettings.device.
        workers: Processes that render shards and, beside a GPU, draw the batches ahead.
        compile_blocks: Whether to compile the transformer's blocks (twice as fast, needs a C++
            compiler); by default, where one is found.
        on_progress: Called with part, done, total and loss.
        on_saved: Called with the pipeline folder and the step each time that a base was written.

    Returns:
        The pipeline folder, ``base`` within the run; ``judge.safetensors`` lies beside it.

    Raises:
        BaseModelError: ``start`` is no pipeline folder, or a damaged one.
        SettingsError: The folder holds a run of something else, there is no such device, or a new
            text encoder would not learn to read.
        KeyboardInterrupt: The user stopped it; the same call goes on.
    """
    place = hardware_of(HardwareSettings.resolve({"device": device})).device
    networks = _networks(recipe, start)
    _record(recipe, folder, start)
    autoencoder = _fit_code(recipe, folder, start)
    _render_shards(recipe, autoencoder, folder / "shards", workers, on_progress)
    shards = Shards(folder / "shards", recipe.shards)
    nn.Module.to(autoencoder, place)  # that of diffusers has other types
    _train_decoder(recipe, autoencoder, folder, on_progress)
    _train_judge(recipe, autoencoder, shards, folder, start, on_progress)
    _train_words(recipe, networks.to(place), folder, on_progress)
    compiled = shutil.which("g++") is not None if compile_blocks is None else compile_blocks
    run = _new_run(recipe, networks, compiled=compiled)
    total = recipe.pretrain.steps
    pretrain(
        run,
        shards,
        folder,
        workers=0 if place.type == "cpu" else workers,
        on_step=lambda step, loss: on_progress("base", step, total, loss),
        on_saved=lambda step: on_saved(assemble(recipe, folder, run), step),
    )
    return folder / "base"


def _train_decoder(
    recipe: Recipe, autoencoder: ToyAutoencoder, folder: Path, on: OnProgress
) -> None:
    train_decoder(
        autoencoder,
        _render(RENDER_SEED, recipe.renders),
        folder / "decoder.safetensors",
        steps=recipe.decoder_steps,
        seed=recipe.pretrain.seed,
        on_step=lambda step, loss: on("decoder", step, recipe.decoder_steps, loss),
    )


def _new_networks(recipe: Recipe) -> Networks:
    return build_networks(channels=recipe.channels, width=recipe.width, layers=recipe.layers)


def _networks(recipe: Recipe, start: Path | None) -> Networks:
    """New networks, or those of ``start``."""
    if start is None and recipe.words_steps == 0:
        raise SettingsError(
            "a new text encoder cannot read before it has learned to; give words_steps"
            " (--words-steps) of at least 1, or a base to go on from (--start)"
        )
    torch.manual_seed(recipe.pretrain.seed)
    networks = _new_networks(recipe)
    if start is None:
        return networks
    if not (start / "model_index.json").is_file():
        raise BaseModelError(
            f"{start}: is no base to go on from, for want of a model_index.json; give the folder"
            " 'base' of a run"
        )
    try:
        load_weights(networks, start)
    except (OSError, SafetensorError, KeyError) as error:
        line = " ".join(str(error).split())[:200]
        raise BaseModelError(
            f"{start}: is damaged ({line}); give the folder 'base' of another run"
        ) from error
    return networks


def _train_words(recipe: Recipe, networks: Networks, folder: Path, on: OnProgress) -> None:
    train_words(
        networks,
        folder / "words.safetensors",
        steps=recipe.words_steps,
        seed=recipe.pretrain.seed,
        on_step=lambda step, loss: on("words", step, recipe.words_steps, loss),
    )


def _new_run(recipe: Recipe, networks: Networks, *, compiled: bool) -> Pretraining:
    if compiled:
        networks.transformer.compile_repeated_blocks()
        for block in networks.text_encoder.encoder.block:
            block.compile()
    return Pretraining(networks, recipe.pretrain)


def assemble(recipe: Recipe, folder: Path, run: Pretraining) -> Path:
    """Writes the averaged weights of a run as a pipeline folder with float16 weights.

    Args:
        recipe: The run's recipe.
        folder: The run's folder, holding the trained autoencoder.
        run: The weights; its text encoder goes in as it is.

    Returns:
        The pipeline folder.
    """
    autoencoder = _fit_code(recipe, folder)
    if (folder / "decoder.safetensors").exists():
        autoencoder.load_state_dict(load_state(folder / "decoder.safetensors", {})[1], strict=False)
    averaged = _new_networks(recipe)
    run.averaged_into(averaged)
    target, partial = folder / "base", folder / "base-partial"
    shutil.rmtree(partial, ignore_errors=True)
    save_pipeline(averaged, autoencoder, partial)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return target
