"""Places, light and weather behind and before the characters."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from setseq.toybox.canvas import Canvas, Color, coverage
from setseq.toybox.world import Scene

# How each light tints bodies; the scenery has the stronger _SCENERY_TINT.
LIGHT_TINT: dict[str, Color] = {
    "day": (1.0, 1.0, 1.0),
    "night": (0.72, 0.74, 0.90),
    "dusk": (1.0, 0.88, 0.84),
    "rain": (0.88, 0.90, 0.94),
    "snowfall": (0.96, 0.97, 1.0),
}
_SCENERY_TINT: dict[str, Color] = {
    "day": (1.0, 1.0, 1.0),
    "night": (0.30, 0.32, 0.52),
    "dusk": (0.92, 0.66, 0.62),
    "rain": (0.66, 0.70, 0.76),
    "snowfall": (0.86, 0.88, 0.93),
}
_SKY: dict[str, tuple[Color, Color]] = {
    "day": ((0.45, 0.74, 1.0), (0.80, 0.92, 1.0)),
    "night": ((0.03, 0.03, 0.14), (0.10, 0.12, 0.30)),
    "dusk": ((0.45, 0.25, 0.55), (1.0, 0.60, 0.35)),
    "rain": ((0.42, 0.47, 0.54), (0.60, 0.64, 0.70)),
    "snowfall": ((0.68, 0.72, 0.80), (0.82, 0.85, 0.90)),
}
_GROUND: dict[str, Color] = {
    "meadow": (0.40, 0.74, 0.28),
    "desert": (0.88, 0.70, 0.40),
    "snowfield": (0.96, 0.97, 1.0),
    "sea": (0.10, 0.36, 0.70),
    "city": (0.42, 0.42, 0.46),
    "forest": (0.20, 0.42, 0.20),
}


def _rgb(color: Color) -> Tensor:
    return torch.tensor(color).view(1, 3, 1, 1)


def _lay(image: Tensor, alpha: Tensor, color: Tensor) -> Tensor:
    return torch.lerp(image, color, alpha.unsqueeze(1))


def _horizon(place: str, x: Tensor, shift: float) -> Tensor:
    """Height of the ground's edge, by place."""
    match place:
        case "meadow":
            return 0.30 + 0.06 * torch.sin(2.6 * x + shift)
        case "desert":
            return 0.28 + 0.10 * torch.sin(1.7 * x + shift) + 0.04 * torch.sin(3.9 * x + 2 * shift)
        case "snowfield":
            return 0.34 + 0.05 * torch.sin(2.0 * x + shift)
        case "sea":
            return 0.22 + 0.0 * x
        case "city":
            return 0.42 + 0.0 * x
        case _:
            return 0.36 + 0.03 * torch.sin(3.0 * x + shift)


def _skyline(place: str, x: Tensor, y: Tensor, shift: float, pixels: Tensor | float) -> Tensor:
    """Coverage of what stands on the horizon: buildings or trees."""
    if place == "city":
        column = torch.floor((x + shift) * 2.6)
        height = -0.22 - 0.36 * torch.sin(2.3 * column + 1.0)
        gap = ((x + shift) * 2.6 - column - 0.5).abs() / 2.6 - 0.165
        return coverage(torch.maximum(height - y, gap), pixels)
    cell = torch.round((x + shift) * 2.2)
    centre = cell / 2.2 - shift
    top = -0.22 + 0.12 * torch.sin(2.7 * cell)
    return coverage(torch.maximum((x - centre).abs() - 0.46 * (y - top), top - y) * 0.8, pixels)


def _draw_sky(scene: Scene, x: Tensor, y: Tensor, pixels: Tensor | float) -> Tensor:
    top, bottom = (_rgb(color) for color in _SKY[scene.light])
    image = torch.lerp(top, bottom, ((y + 1) / 1.4).clamp(0, 1).unsqueeze(1))
    if scene.light in ("day", "night", "dusk"):
        side = 0.66 if scene.shift > 0 else -0.66
        height = -0.15 if scene.light == "dusk" else -0.66
        disc = coverage(torch.hypot(x - side, y - height) - 0.17, pixels)
        color = {"day": (1.0, 0.95, 0.55), "night": (0.92, 0.92, 0.80)}.get(
            scene.light, (1.0, 0.42, 0.25)
        )
        image = _lay(image, disc, _rgb(color))
    return image


def draw_place(canvas: Canvas, scene: Scene, t: Tensor) -> None:
    """Paints sky, horizon and ground, with waves and fire where the scene has them.

    Args:
        canvas: The picture to fill.
        scene: What stands where.
        t: Times in seconds, (frames, 1, 1).
    """
    x, y, pixels = canvas.x, canvas.y, canvas.pixels_per_unit
    tint = _rgb(_SCENERY_TINT[scene.light])
    ground = _rgb(_GROUND[scene.place]) * tint
    image = _draw_sky(scene, x, y, pixels)
    if scene.place in ("city", "forest"):
        color = (0.34, 0.33, 0.42) if scene.place == "city" else (0.10, 0.30, 0.14)
        image = _lay(image, _skyline(scene.place, x, y, scene.shift, pixels), _rgb(color) * tint)
    edge = _horizon(scene.place, x, scene.shift)
    image = _lay(image, coverage(edge - y, pixels), ground)
    if scene.place == "sea":
        turn = 2 * math.pi * (0.5 * t + scene.phase)
        crest = torch.sin(16 * y + 0.9 * torch.sin(3.5 * x + turn + scene.shift) - turn)
        alpha = (1.2 * crest - 0.35).clamp(0, 0.6) * coverage(0.06 + edge - y, pixels)
        image = _lay(image, alpha, _rgb((0.45, 0.70, 0.95)) * tint)
    elif scene.place == "city":
        lane = coverage(torch.maximum((y - 0.72).abs() - 0.05, 0.0 * x), pixels)
        image = _lay(image, lane, _rgb((0.85, 0.82, 0.60)) * tint)
    canvas.backdrop(image)
    if scene.element == "bonfire":
        _draw_bonfire(canvas, scene, t)


def _draw_bonfire(canvas: Canvas, scene: Scene, t: Tensor) -> None:
    turn = 2 * math.pi * (1.3 * t + scene.phase)
    dx = canvas.x - 0.72 * scene.element_side
    rise = (0.62 - canvas.y) / (0.56 + 0.10 * torch.sin(turn))
    sway = 0.08 * torch.sin(turn + 2 * rise) * rise
    flame = (dx - sway).abs() - 0.24 * (1 - rise) * (0.45 + 1.2 * rise)
    distance = torch.maximum(flame, (rise - 0.5).abs() * 0.5 - 0.25)
    canvas.paint_raw(coverage(distance, canvas.pixels_per_unit), (1.0, 0.45, 0.08))
    canvas.paint_raw(coverage(distance + 0.08, canvas.pixels_per_unit), (1.0, 0.88, 0.30))
    logs = torch.maximum(dx.abs() - 0.24, (canvas.y - 0.66).abs() - 0.06)
    canvas.paint_raw(coverage(logs, canvas.pixels_per_unit), (0.30, 0.18, 0.10))


def draw_weather(canvas: Canvas, scene: Scene, t: Tensor) -> None:
    """Paints rain or snow before the scenery and behind the characters, as soft moving shapes.

    Args:
        canvas: The finished scenery.
        scene: Its light decides the weather.
        t: Times in seconds, (frames, 1, 1).
    """
    if scene.light not in ("rain", "snowfall"):
        return
    x, y, turn = canvas.x, canvas.y, 2 * math.pi * scene.phase
    if scene.light == "rain":
        slanted = torch.sin(9 * x + 2.4 * y + turn)
        falling = torch.sin(3.6 * y - 9 * t + 4.0 * torch.sin(1.7 * x + turn))
        canvas.paint_raw((1.6 * (slanted + falling) - 2.1).clamp(0, 0.5), (0.80, 0.88, 1.0))
    else:
        column = 5.0 * x + 0.5 * torch.sin(2.0 * y + turn) + turn
        row = 5.0 * y - 3.6 * t + 1.8 * torch.sin(1.5 * x + turn)
        flakes = (torch.cos(column) * torch.cos(row)).abs()
        canvas.paint_raw((4 * (flakes - 0.80)).clamp(0, 0.85), (1.0, 1.0, 1.0))
