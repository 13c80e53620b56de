"""Contact sheets: a labelled row of frames for each clip, or clips in rows and columns."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from setseq.errors import OutputError
from setseq.outputs import write_bytes

_MARGIN = 8
_FONT_SIZE = 14
_LINE_HEIGHT = 20
_INK, _PAPER = (32, 32, 32), (250, 250, 248)


def write_sheet(
    path: str | Path,
    rows: Sequence[tuple[str, np.ndarray]],
    *,
    columns: int = 6,
    cell_height: int = 128,
) -> Path:
    """Writes a PNG with one row a clip: its label, and evenly spaced frames below.

    Args:
        path: Where to write, ending in .png.
        rows: Label and frames (uint8, f h w 3) of each clip, at least one.
        columns: Frames a row, at least 1; a shorter clip shows all that it has.
        cell_height: Smallest height of a frame in pixels; lower ones are enlarged by a whole
            number with hard pixel edges.

    Returns:
        The path.

    Raises:
        OutputError: If the ending is not .png, there is no row, or it cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: cannot write a sheet as '{path.suffix}'; allowed: .png")
    if not rows:
        raise OutputError(f"{path}: a sheet needs at least one clip, there is none")
    buffer = io.BytesIO()
    draw_sheet(rows, columns=columns, cell_height=cell_height).save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())
    return path


def draw_sheet(
    rows: Sequence[tuple[str, np.ndarray]], *, columns: int, cell_height: int
) -> Image.Image:
    """Returns the sheet as a picture; see `write_sheet`."""
    strips = [_strip(frames, columns, cell_height) for _, frames in rows]
    font = ImageFont.load_default(_FONT_SIZE)
    width = max(strip.width for strip in strips)
    labels = [_wrap(label, font, width) for label, _ in rows]
    height = _MARGIN + sum(
        strip.height + len(lines) * _LINE_HEIGHT + _MARGIN
        for strip, lines in zip(strips, labels, strict=True)
    )
    sheet = Image.new("RGB", (width + 2 * _MARGIN, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    top = _MARGIN
    for strip, lines in zip(strips, labels, strict=True):
        for line in lines:
            draw.text((_MARGIN, top), line, fill=_INK, font=font)
            top += _LINE_HEIGHT
        sheet.paste(strip, (_MARGIN, top))
        top += strip.height + _MARGIN
    return sheet


def write_grid(
    path: str | Path,
    titles: Sequence[str],
    headings: Sequence[str],
    cells: Sequence[Sequence[np.ndarray]],
    *,
    frames: int = 3,
    cell_height: int = 128,
) -> Path:
    """Writes a PNG of videos in rows and columns; see `draw_grid`.

    Raises:
        OutputError: If it cannot be written.
    """
    buffer = io.BytesIO()
    pixels = draw_grid(titles, headings, cells, frames=frames, cell_height=cell_height)
    Image.fromarray(pixels).save(buffer, "PNG")
    write_bytes(Path(path), buffer.getvalue())
    return Path(path)


def draw_grid(
    titles: Sequence[str],
    headings: Sequence[str],
    cells: Sequence[Sequence[np.ndarray]],
    *,
    frames: int,
    cell_height: int,
) -> np.ndarray:
    """Returns videos in rows and columns as one picture, uint8 (h, w, 3).

    Args:
        titles: Above each row.
        headings: Above each column, "" for none.
        cells: Rows of columns of videos (uint8, f h w 3), all of one size.
        frames: Evenly spaced frames of each video, side by side.
        cell_height: As for `write_sheet`.
    """
    strips = [[_strip(video, frames, cell_height) for video in row] for row in cells]
    wide, high = strips[0][0].size
    font = ImageFont.load_default(_FONT_SIZE)
    step = wide + 2 * _MARGIN
    lines = [_wrap(title, font, step * len(headings) - 2 * _MARGIN) for title in titles]
    width = max(
        step * len(headings),
        *(int(font.getlength(line)) + 2 * _MARGIN for row in lines for line in row),
    )
    heads = [_wrap(heading, font, wide) for heading in headings]
    head_height = max(len(head) for head in heads) * _LINE_HEIGHT
    height = _MARGIN + head_height + sum(len(row) * _LINE_HEIGHT + high + _MARGIN for row in lines)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)

    def write(text: Sequence[str], left: int, top: int) -> int:
        for line in text:
            draw.text((left, top), line, fill=_INK, font=font)
            top += _LINE_HEIGHT
        return top

    for column, head in enumerate(heads):
        write(head, _MARGIN + column * step, _MARGIN)
    top = _MARGIN + head_height
    for row, title in zip(strips, lines, strict=True):
        top = write(title, _MARGIN, top)
        for column, strip in enumerate(row):
            sheet.paste(strip, (_MARGIN + column * step, top))
        top += high + _MARGIN
    return np.asarray(sheet)


def _strip(frames: np.ndarray, columns: int, cell_height: int) -> Image.Image:
    """Returns evenly spaced frames side by side, the first and the last among them."""
    picks = np.linspace(0, len(frames) - 1, min(columns, len(frames))).round().astype(int)
    scale = max(-(-cell_height // frames.shape[1]), 1)
    cells = frames[picks].repeat(scale, axis=1).repeat(scale, axis=2)
    _, height, width, _ = cells.shape
    gap = _MARGIN // 2
    strip = Image.new("RGB", (len(cells) * (width + gap) - gap, height), _PAPER)
    for column, cell in enumerate(cells):
        strip.paste(Image.fromarray(cell), (column * (width + gap), 0))
    return strip


def _wrap(label: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Breaks a label into lines that fit the width; a longer single word sticks out."""
    lines: list[str] = []
    for word in label.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
