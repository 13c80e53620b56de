"""Identity: is it the same one? For faces by ArcFace, for everything else by DINO."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from setseq.evaluation.encoders import ThingEncoder
from setseq.evaluation.faces import FaceEncoder
from setseq.evaluation.footage import Footage


def likeness(reference: Tensor, generated: Tensor) -> float:
    """Cosine of the mean embeddings of two videos' frames.

    A video stands for one thing: its frames' unit vectors are averaged, as face verification does
    with sets of pictures. So the order and the number of frames do not matter, and a video is like
    itself by exactly 1.

    Args:
        reference: Embeddings (f, d).
        generated: Embeddings (g, d).
    """
    first, second = (F.normalize(rows, dim=1).mean(0) for rows in (reference, generated))
    return float(torch.cosine_similarity(first, second, dim=0))


def thing_identity(encoder: ThingEncoder, reference: Footage, generated: Footage) -> float:
    """Identity for things that are not faces.

    Definition: ``likeness`` of the two videos' DINO embeddings, of frames as the encoder's own
    processor crops them (DINOv2's takes the middle square).
    Source: DINO similarity of pictures, Ruiz et al., "DreamBooth", CVPR 2023; the mean per video
    is our choice. On the toybox the encoder is an ArcFace-trained one of its own.
    Range: [-1, 1], higher is better; what counts as high depends on the encoder.
    Blind to: motion. A general encoder also sees the background, so that a new place lowers it (the
    toybox's encoder was trained not to), and two things of one kind can pass for one.
    """
    return likeness(*(encoder.pictures(video.frames) for video in (reference, generated)))


@dataclass(frozen=True, kw_only=True)
class FaceIdentity:
    """ID, and how much of the video it speaks for.

    Attributes:
        similarity: [-1, 1], or None where a video shows no face.
        share: Share of the generated frames in which a face was found, [0, 1].
    """

    similarity: float | None
    share: float


def face_identity(encoder: FaceEncoder, reference: Footage, generated: Footage) -> FaceIdentity:
    """ID: is it the same face?

    Definition: ArcFace cosine similarity between the faces of the generated and of the reference
    video: the largest face of each frame, ``likeness`` over the frames that show one.
    Source: the paper's ID (Tables 1 and 2), arXiv:2502.14844; Deng et al., "ArcFace", CVPR 2019.
    The mean per video is our choice, the paper does not say how frames are joined.
    Range: [-1, 1], higher is better; above about 0.3 to 0.4 is commonly taken for the same person.
    Blind to: hair, clothes and body; frames in which no face is found do not count, so read it with
    the share of frames that it speaks for.
    """
    first, second = (encoder.faces(video.frames) for video in (reference, generated))
    share = len(second) / len(generated.frames)
    if not len(first) or not len(second):
        return FaceIdentity(similarity=None, share=share)
    return FaceIdentity(similarity=likeness(first, second), share=share)
