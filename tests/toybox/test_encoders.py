import math
import random

import pytest
import torch

from setseq.evaluation.encoders import load_clip_encoder, load_thing_encoder
from setseq.evaluation.footage import Footage
from setseq.evaluation.identity import thing_identity
from setseq.toybox import encoders
from setseq.toybox.encoder_report import ConceptReading, EncoderReport, measure_encoders
from setseq.toybox.encoders import (
    arcface_loss,
    captioned_picture,
    contrastive_loss,
    look_pictures,
    train_encoders,
    train_identity,
)
from setseq.toybox.looks import random_look
from setseq.toybox.settings import EncoderSettings
from setseq.toybox.shipped import asset
from setseq.toybox.unseen import UNSEEN
from tests.evaluation.films import drawn

SHIPPED = asset("identity").parent
_TINY = EncoderSettings(clip_steps=1, clip_batch=2, identity_steps=2, identity_batch=2)


def test_the_recipe_makes_two_folders_that_the_metrics_load(tmp_path):
    seen = []
    folders = train_encoders(
        tmp_path, _TINY, on_progress=lambda part, done, total, loss: seen.append((part, done))
    )
    assert seen == [("identity", 1), ("identity", 2), ("clip", 1)]
    frames = torch.zeros(2, 64, 64, 3, dtype=torch.uint8).numpy()
    assert load_thing_encoder(folders[0]).pictures(frames).shape == (2, 256)
    assert load_clip_encoder(folders[1]).pictures(frames).shape == (2, 128)
    assert sum(f.stat().st_size for d in folders for f in d.iterdir()) < 12e6
    report = measure_encoders(tmp_path, looks=8, groups=1)
    assert not report.is_good
    assert report.words < 0.2  # 32 captions


def test_the_shipped_identity_encoder_ranks_itself_before_another_scene_before_another_concept():
    def film(name: str, **scene: str) -> Footage:
        video = drawn(name, **scene)
        return Footage(frames=video.frames[::4], fps=video.fps / 4)

    things = load_thing_encoder("toybox")
    names = list(UNSEEN)
    for name, another in zip(names, names[1:] + names[:1], strict=True):
        clip = film(name)
        elsewhere = thing_identity(things, clip, film(name, place="meadow", light="night"))
        other = thing_identity(things, clip, film(another, place="meadow", light="night"))
        assert thing_identity(things, clip, clip) == pytest.approx(1.0, abs=1e-5)
        assert other + 0.2 < elsewhere < 1.0 - 1e-5


@pytest.mark.slow
def test_the_shipped_encoders_reach_their_bars():
    assert measure_encoders(SHIPPED).is_good


def test_the_margin_waits_until_looks_can_be_told_apart(tmp_path, monkeypatch):
    margins = []

    def noted(cosines, *, margin):
        margins.append(margin)
        return cosines.mean()

    monkeypatch.setattr(encoders, "arcface_loss", noted)
    settings = EncoderSettings(identity_steps=4, identity_batch=2, margin=0.4)
    train_identity(tmp_path / "state", settings)
    assert margins == pytest.approx([0.0, 0.0, 0.0, 0.2])


def test_the_identity_encoder_goes_on_where_it_was_stopped(tmp_path):
    once = train_identity(tmp_path / "once", _TINY)

    def stop(step, loss):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_identity(tmp_path / "twice", _TINY, on_step=stop)
    again = train_identity(tmp_path / "twice", _TINY)
    for a, b in zip(once.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_look_is_the_same_for_the_same_seed_and_another_for_another():
    assert random_look(3) == random_look(3)
    assert len({random_look(seed) for seed in range(200)}) == 200


def test_two_pictures_of_a_look_share_nothing_but_the_look():
    pictures = look_pictures([1, 2, 3], random.Random(0))
    assert pictures.shape == (2, 3, 3, 64, 64)
    assert pictures.abs().max() <= 1
    assert (pictures[0] - pictures[1]).abs().mean() > 0.05


def test_captioned_pictures_show_grammar_and_unnamed_creatures():
    rng = random.Random(0)
    pairs = [captioned_picture(rng) for _ in range(40)]
    assert all(picture.shape == (3, 64, 64) for picture, _ in pairs)
    words = [text for _, text in pairs]
    assert any("creature" in text or "character" in text for text in words)
    assert any("ball" in text or "star" in text for text in words)


def test_the_margin_makes_the_loss_larger_and_nought_is_the_plain_loss():
    cosines = torch.tensor([[0.9, 0.1], [0.2, 0.7]])
    plain = arcface_loss(cosines, margin=0.0)
    assert plain == pytest.approx(float(contrastive_loss(16 * cosines)), abs=1e-4)
    assert arcface_loss(cosines, margin=0.3) > plain


def test_the_margin_is_added_to_the_angle_of_the_own_look_alone():
    cosines = torch.tensor([[0.5, 0.0], [0.0, 0.5]])
    harder = math.cos(math.acos(0.5) + 0.3)
    expected = math.log1p(math.exp(-16 * harder))
    assert float(arcface_loss(cosines, margin=0.3)) == pytest.approx(expected, rel=1e-4)


def test_contrastive_loss_is_lowest_where_each_has_its_own():
    right = contrastive_loss(10 * torch.eye(4))
    assert right < contrastive_loss(torch.zeros(4, 4))
    assert contrastive_loss(torch.zeros(4, 4)) == pytest.approx(math.log(4))


def test_encoders_are_good_when_every_bar_is_reached():
    def report(nearest: float) -> EncoderReport:
        reading = ConceptReading(
            name="crab", own=0.9, own_least=0.8, other=0.1, other_most=0.2, nearest=nearest
        )
        return EncoderReport(words=0.9, pictures=0.1, looks=0.9, readings=(reading,))

    assert report(1.0).is_good
    assert not report(0.9).is_good
    assert "| crab | 0.90 | 0.80 | 0.10 | 0.20 | 1.00 |" in report(1.0).markdown()
