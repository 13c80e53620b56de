"""The picture that a scene is drawn on: pixel coordinates, soft coverage, styles."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from setseq.toybox.world import FPS, SIZE

Frames = Iterable[float] | None
Color = tuple[float, float, float]

_SOFTNESS_PIXELS = 1.7
_AXIS = (torch.arange(SIZE, dtype=torch.float32) + 0.5) * (2 / SIZE) - 1


def times_s(frames: Iterable[float]) -> Tensor:
    """Frame numbers as seconds, shape (frames, 1, 1)."""
    return torch.tensor([float(frame) / FPS for frame in frames]).view(-1, 1, 1)


def coverage(distance: Tensor, pixels_per_unit: Tensor | float) -> Tensor:
    """Share of each pixel inside a signed distance, soft over _SOFTNESS_PIXELS, in [0, 1]."""
    return (0.5 - distance * (pixels_per_unit / _SOFTNESS_PIXELS)).clamp_(0, 1)


class Canvas:
    """Frames being painted, with the style applied as things are painted.

    Attributes:
        pixels: (frames, 3, SIZE, SIZE), float in [0, 1].
        x: Horizontal scene coordinate of every pixel, (1 or frames, 1, SIZE).
        y: Vertical scene coordinate, (1 or frames, SIZE, 1).
        pixels_per_unit: Pixels in one scene unit, a number or (frames, 1, 1).
        style: One of world.STYLES.
    """

    def __init__(self, *, num_frames: int, style: str = "plain", tint: Color = (1, 1, 1)) -> None:
        """A black canvas; the tint (of the light) multiplies what is painted on bodies."""
        self.pixels = torch.zeros(num_frames, 3, SIZE, SIZE)
        self.x: Tensor = _AXIS.view(1, 1, SIZE)
        self.y: Tensor = _AXIS.view(1, SIZE, 1)
        self.pixels_per_unit: Tensor | float = SIZE / 2
        self.style = style
        self._tint = torch.tensor(tint).view(3, 1, 1)

    def zoom(self, factor: Tensor) -> None:
        """Moves the camera in by a factor per frame, shape (frames, 1, 1)."""
        self.x = self.x / factor
        self.y = self.y / factor
        self.pixels_per_unit = self.pixels_per_unit * factor

    def backdrop(self, image: Tensor) -> None:
        """Sets the background, (1 or frames, 3, SIZE, SIZE), already lit; styles repaint it."""
        if self.style == "pencil":
            image = 0.42 + 0.44 * image.mean(1, keepdim=True) + 0.12 * image
        elif self.style == "neon":
            image = image * 0.26 + torch.tensor((0.05, 0.0, 0.10)).view(3, 1, 1)
        self.pixels[:] = image

    def paint(self, alpha: Tensor, color: Color | Tensor) -> None:
        """Lays a lit colour over the frames where alpha, (frames, SIZE, SIZE), is above 0."""
        lit = self._lit(color)
        if self.style == "pencil":
            lit = 0.35 * lit + 0.65 * lit.mean(-3, keepdim=True)
        self.pixels = torch.lerp(self.pixels, lit, alpha.unsqueeze(1))

    def paint_raw(self, alpha: Tensor, color: Color) -> None:
        """Lays a colour over the frames untinted by the light, as weather and glow are."""
        self.pixels = torch.lerp(self.pixels, torch.tensor(color).view(3, 1, 1), alpha.unsqueeze(1))

    def paint_body(
        self, distance: Tensor, pixels_per_unit: Tensor | float, color: Color, shade: Tensor | None
    ) -> None:
        """Paints a body of the current style.

        Args:
            distance: Signed distance to the body's edge in body units, (frames, SIZE, SIZE).
            pixels_per_unit: Pixels in one body unit.
            color: Its colour.
            shade: Where the darker second shade is, in [0, 1], or None.
        """
        inside = coverage(distance, pixels_per_unit)
        fill = torch.tensor(color).view(3, 1, 1)
        edge = coverage(distance.abs() * pixels_per_unit - 1.0, 1.0)
        if self.style == "neon":
            self.paint(inside, fill * 0.28)
            if shade is not None:
                self.paint_raw(inside * shade * 0.55, color)
            self.paint_raw(edge, color)
            return
        if self.style == "pencil":
            fill = 0.3 + 0.7 * (0.55 * fill + 0.45 * fill.mean())
            self.pixels = torch.lerp(self.pixels, fill, inside.unsqueeze(1))
            if shade is not None:
                dark = fill * 0.5
                self.pixels = torch.lerp(self.pixels, dark, (inside * shade).unsqueeze(1))
            self.paint_raw(edge * 0.85, (0.18, 0.18, 0.2))
            return
        self.paint(inside, fill)
        if shade is not None:
            self.paint(inside * shade, fill * 0.42)

    def _lit(self, color: Color | Tensor) -> Tensor:
        value = color if isinstance(color, Tensor) else torch.tensor(color).view(3, 1, 1)
        return value * self._tint
