"""Reads a folder of images as a clip."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from setseq.errors import ClipError
from setseq.video.clip import (
    ALLOWED,
    IMAGE_SUFFIXES,
    ON_WHITE,
    Clip,
    ClipSource,
    Window,
    check_memory,
    nearest_indices,
    select_window,
)


def read_image_folder(folder: Path, window: Window, *, image_fps: float) -> Clip:
    """Reads the images of a folder, in the natural order of their names, as a clip.

    Args:
        folder: Folder with images of one size.
        window: Which part to read.
        image_fps: Images a second, since a folder does not say; above 0.

    Raises:
        ClipError: If there are no images, one cannot be read, or sizes differ.
    """
    paths, notes = _list_images(folder)
    notes.append(f"folder of {len(paths)} images, taken as {image_fps:g} frames a second")
    times_s = np.arange(len(paths)) / image_fps
    wanted_s = select_window(folder, times_s, window)
    indices = nearest_indices(times_s, wanted_s)

    first, has_alpha = _read_image(paths[indices[0]])
    height, width = first.shape[:2]
    check_memory(folder, num_frames=len(indices), width=width, height=height)
    frames = np.empty((len(indices), height, width, 3), np.uint8)
    for position, index in enumerate(indices):
        image, image_has_alpha = _read_image(paths[index])
        if image.shape != first.shape:
            raise ClipError(
                f"{paths[index]}: is {image.shape[1]}x{image.shape[0]}, the first image is "
                f"{width}x{height}; all images of a clip must have one size"
            )
        frames[position] = image
        has_alpha = has_alpha or image_has_alpha
    if has_alpha:
        notes.append(ON_WHITE)
    source = ClipSource(
        path=folder,
        width=width,
        height=height,
        num_frames=len(paths),
        duration_s=len(paths) / image_fps,
        fps=image_fps,
        has_variable_fps=False,
        has_audio=False,
        rotation=0,
        sha256=_hash_images(paths),
    )
    return Clip(
        frames=frames,
        times_s=wanted_s,
        source_indices=indices,
        fps=window.fps or image_fps,
        source=source,
        notes=tuple(notes),
    )


def _list_images(folder: Path) -> tuple[list[Path], list[str]]:
    try:
        files = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    except OSError as error:
        raise ClipError(f"{folder}: cannot be opened ({error.strerror}); check it") from error
    images = [p for p in files if p.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise ClipError(f"{folder}: a folder without images ({len(files)} other files); {ALLOWED}")
    skipped = len(files) - len(images)
    notes = [f"{skipped} files in the folder that are no images left out"] if skipped else []
    return sorted(images, key=_natural_key), notes


def _natural_key(path: Path) -> list[tuple[int, str]]:
    """Orders frame2 before frame10, as people number them."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _read_image(path: Path) -> tuple[np.ndarray, bool]:
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            has_alpha = image.has_transparency_data
            if has_alpha:
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image.convert("RGBA"))
            return np.asarray(image.convert("RGB")), has_alpha
    # Pillow answers damaged files with SyntaxError and ValueError too.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ClipError(
            f"{path}: not a readable image; remove it from the folder or save it again"
        ) from error


def _hash_images(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
