"""Draws toybox scenes with signed distances: smooth, anti-aliased, deterministic, quick.

Coordinates run over [-1, 1] in both directions, down is positive. All drawing is on float tensors
of shape (frames, 3, SIZE, SIZE) with values in [0, 1]; edges are about two pixels soft, so that a
small autoencoder can carry them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from setseq.toybox.backdrop import LIGHT_TINT, draw_place, draw_weather
from setseq.toybox.bodies import BODIES
from setseq.toybox.canvas import Canvas, Frames, coverage, times_s
from setseq.toybox.world import LONE_RADIUS, NUM_FRAMES, PAIR_RADIUS, Character, Scene

RGB = {
    "red": (0.90, 0.16, 0.14),
    "orange": (1.00, 0.55, 0.08),
    "yellow": (1.00, 0.90, 0.15),
    "green": (0.16, 0.70, 0.22),
    "blue": (0.15, 0.33, 0.92),
    "purple": (0.56, 0.20, 0.80),
    "pink": (1.00, 0.55, 0.78),
    "white": (0.97, 0.97, 0.97),
}
_BLACK = (0.07, 0.06, 0.08)


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where a body is in each frame; every field has shape (frames, 1, 1) or is a number.

    Attributes:
        x: Horizontal centre.
        y: Vertical centre.
        angle: Rotation in radians, clockwise on screen.
        width: Horizontal scale factor.
        height: Vertical scale factor.
    """

    x: Tensor | float = 0.0
    y: Tensor | float = 0.0
    angle: Tensor | float = 0.0
    width: Tensor | float = 1.0
    height: Tensor | float = 1.0


def character_pose(character: Character, t: Tensor) -> Pose:
    """The grammar's eight motions as poses at times t, shape (frames, 1, 1), in seconds."""
    turn = 2 * math.pi * (t / character.period_s + character.phase)
    reach, x, y = character.reach, character.x, character.y
    roomy = 1.0 if character.radius > (LONE_RADIUS + PAIR_RADIUS) / 2 else 0.6
    match character.motion:
        case "standing":
            return Pose(x=x, y=y)
        case "bouncing":
            lift = torch.sin(turn / 2).abs()
            squash = 0.16 * torch.exp(-6 * lift)
            up = 0.48 * reach * lift
            return Pose(x=x, y=y + 0.18 - up, width=1 + squash, height=1 - squash)
        case "sliding":
            return Pose(x=x + 0.44 * roomy**1.5 * reach * torch.sin(turn), y=y)
        case "spinning":
            return Pose(x=x, y=y, angle=turn)
        case "circling":
            size = 0.26 * roomy**0.5 * reach
            return Pose(x=x + size * torch.cos(turn), y=y - 0.08 + size * torch.sin(turn))
        case "pulsing":
            scale = 1 + 0.3 * reach * torch.sin(turn)
            return Pose(x=x, y=y, width=scale, height=scale)
        case "shaking":
            return Pose(x=x + 0.1 * reach * torch.sin(turn), y=y)
        case "swinging":
            return Pose(x=x, y=y, angle=0.65 * reach * torch.sin(turn))
        case motion:
            raise ValueError(f"no drawing for the motion {motion!r}")


def zoom_at(scene: Scene, t: Tensor) -> Tensor:
    """How much the camera magnifies at times t, shape (frames, 1, 1), in seconds."""
    return 1 + 0.15 * t if scene.camera == "zooming" else torch.ones_like(t)


def _pattern(name: str, u: Tensor, v: Tensor) -> Tensor | None:
    """How dark the second shade is, in [0, 1], or None for a plain body."""
    if name == "striped":
        return (0.5 + 2.2 * torch.sin(5.2 * v + 0.6)).clamp(0, 1)
    if name == "spotted":
        return (4.0 * (torch.cos(4.6 * u) * torch.cos(4.6 * v + 0.5) - 0.25)).clamp(0, 1)
    return None


def _draw_eyes(canvas: Canvas, u: Tensor, v: Tensor, unit: Tensor | float) -> None:
    distance = torch.hypot(u.abs() - 0.36, v + 0.14)
    canvas.paint(coverage(distance - 0.27, unit), (1.0, 1.0, 1.0))
    canvas.paint(coverage(distance - 0.13, unit), _BLACK)


def draw_accessory(canvas: Canvas, name: str, u: Tensor, v: Tensor, unit: Tensor | float) -> None:
    """Paints what a character wears, if anything, in its body coordinates."""
    if name == "hat":
        crown = torch.maximum(u.abs() - 0.42, (v + 1.2).abs() - 0.34)
        brim = torch.maximum(u.abs() - 0.8, (v + 0.84).abs() - 0.13)
        canvas.paint(coverage(torch.minimum(crown, brim), unit), (0.30, 0.16, 0.10))
        band = torch.maximum(u.abs() - 0.42, (v + 1.08).abs() - 0.1)
        canvas.paint(coverage(band, unit), (0.95, 0.8, 0.3))
    elif name == "glasses":
        ring = (torch.hypot(u.abs() - 0.37, v + 0.14) - 0.36).abs() - 0.11
        arm = torch.maximum((u.abs() - 0.85).abs() - 0.18, (v + 0.14).abs() - 0.09)
        canvas.paint(coverage(torch.minimum(ring, arm), unit), _BLACK)
    elif name == "bow tie":
        wing = torch.maximum(u.abs() - 0.62, (v - 0.55).abs() - 0.1 - 0.42 * u.abs())
        canvas.paint(coverage(wing - 0.05, unit), (1.0, 1.0, 1.0))
        canvas.paint(coverage(wing + 0.04, unit), (0.75, 0.05, 0.25))


def local_frame(canvas: Canvas, pose: Pose, radius: float) -> tuple[Tensor, Tensor, Tensor | float]:
    """Body coordinates of every pixel.

    Args:
        canvas: The picture being drawn.
        pose: Where the body is.
        radius: Half size of the body in picture units.

    Returns:
        u, v with the body's edge near length 1, each (frames, SIZE, SIZE), and the length of one
        body unit in pixels, for anti-aliasing.
    """
    dx, dy = canvas.x - pose.x, canvas.y - pose.y
    if isinstance(pose.angle, Tensor) or pose.angle:
        angle = torch.as_tensor(pose.angle)
        c, s = torch.cos(angle), torch.sin(angle)
        dx, dy = c * dx + s * dy, c * dy - s * dx
    unit = canvas.pixels_per_unit * radius * (pose.width * pose.height) ** 0.5
    return dx / (radius * pose.width), dy / (radius * pose.height), unit


def _draw_character(canvas: Canvas, character: Character, t: Tensor) -> None:
    u, v, unit = local_frame(canvas, character_pose(character, t), character.radius)
    body = BODIES[character.shape](u, v)
    shade = _pattern(character.pattern, u, v)
    canvas.paint_body(body, unit, RGB[character.color], shade)
    _draw_eyes(canvas, u, v, unit)
    draw_accessory(canvas, character.accessory, u, v, unit)


def draw_scene(scene: Scene, frames: Frames = None) -> Tensor:
    """Renders a scene.

    Args:
        scene: What to draw.
        frames: Frame numbers to draw (may be fractional), all of NUM_FRAMES by default.

    Returns:
        Pixels of shape (frames, 3, SIZE, SIZE), float32 in [0, 1].
    """
    t = times_s(range(NUM_FRAMES) if frames is None else frames)
    canvas = Canvas(num_frames=t.shape[0], style=scene.style, tint=LIGHT_TINT[scene.light])
    if scene.camera == "zooming":
        canvas.zoom(zoom_at(scene, t))
    draw_place(canvas, scene, t)
    draw_weather(canvas, scene, t)
    for character in scene.characters:
        _draw_character(canvas, character, t)
    return canvas.pixels.clamp(0, 1)
