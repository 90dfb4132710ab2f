"""Tests the embedded model's domain: its words, its pictures, the held-out pairs, and the matcher that scores
pictures.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from assets.train_tiny_flux.build import clip_tokenizer, t5_tokenizer
from assets.train_tiny_flux.domain import (
    BACKGROUNDS,
    PLACES,
    SIZES,
    TEXT_TOKENS,
    THINGS,
    TOKEN,
    Light,
    Sampler,
    Spec,
    caption,
    held_out_pairs,
    light,
    offset,
    words,
)
from assets.train_tiny_flux.evaluate import held_out, judge, nearest
from assets.train_tiny_flux.render import backdrop, glyph, render

# Hue in degrees, saturation and brightness in 0..1 that a word for a colour allows.
COLOURS = {
    "red": ((330, 380), (0.5, 1), (0.5, 1)),
    "orange": ((10, 45), (0.6, 1), (0.6, 1)),
    "yellow": ((33, 65), (0.4, 1), (0.75, 1)),
    "green": ((50, 165), (0.35, 1), (0.3, 1)),
    "blue": ((180, 255), (0.25, 1), (0.4, 1)),
    "purple": ((255, 310), (0.25, 1), (0.3, 1)),
    "pink": ((330, 392), (0.1, 0.6), (0.8, 1)),
    "brown": ((5, 45), (0.2, 1), (0.25, 0.85)),
}


@pytest.mark.parametrize("tokenizer", [t5_tokenizer(), clip_tokenizer()], ids=["t5", "clip"])
def test_every_known_word_has_a_token_of_its_own(tokenizer):
    ids = {}
    for word in (w for w in words() if w.isalpha()):
        (ids[word],) = tokenizer(word, add_special_tokens=False).input_ids
        assert tokenizer.decode([ids[word]]).strip() == word
    assert len(set(ids.values())) == len(ids)
    assert tokenizer.unk_token_id not in ids.values()


@pytest.mark.parametrize("tokenizer", [t5_tokenizer(), clip_tokenizer()], ids=["t5", "clip"])
def test_every_caption_fits_and_is_understood(tokenizer):
    sampler = Sampler(5)
    for _ in range(400):
        _, _, text = sampler.draw()
        ids = tokenizer(text).input_ids
        assert len(ids) <= TEXT_TOKENS, text
        assert tokenizer.unk_token_id not in ids[1:-1], text


def test_an_unknown_word_is_no_known_token():
    tokenizer = t5_tokenizer()
    assert tokenizer.unk_token_id in tokenizer("an astronaut").input_ids


def test_held_out_pairs_are_many_spread_and_never_drawn():
    pairs = set(held_out_pairs())
    assert len(pairs) >= 0.15 * len(THINGS) * len(BACKGROUNDS)
    assert {thing for thing, _ in pairs} == set(THINGS)
    assert {background for _, background in pairs} == set(BACKGROUNDS)
    sampler = Sampler(0)
    drawn = {(spec.thing, spec.background) for spec, _, _ in (sampler.draw() for _ in range(6000))}
    assert not drawn & pairs
    assert drawn | pairs == {(thing, background) for thing in THINGS for background in BACKGROUNDS}
    assert {(spec.thing, spec.background) for spec, _ in held_out(200)} == pairs


def test_the_domain_is_as_large_as_promised():
    assert len(THINGS) >= 40
    assert len(SIZES) >= 3


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", PLACES)
def test_a_thing_is_drawn_where_and_as_large_as_its_caption_says(place, size):
    rng = Random(1)
    for thing in list(THINGS)[::11]:
        spec = Spec(thing, "white", place, size)
        chosen, (left, top) = light(rng), offset(place, size)
        drawn = np.abs(render(spec, chosen) - backdrop("white", *chosen)).max(axis=2) > 0.02
        rows, columns = np.where(drawn.any(axis=1))[0], np.where(drawn.any(axis=0))[0]
        side = SIZES[size] * TOKEN
        assert left * TOKEN <= columns.min() <= columns.max() < left * TOKEN + side
        assert top * TOKEN <= rows.min() <= rows.max() < top * TOKEN + side
        assert max(np.ptp(rows), np.ptp(columns)) + 1 >= 0.85 * side
        x, y = left * TOKEN + side / 2, top * TOKEN + side / 2
        assert {
            name
            for name, true in (("left", x < 64), ("right", x > 64), ("top", y < 64), ("bottom", y > 64))
            if true
        } >= set(place.split()) - {"anywhere", "center"}


def test_captions_name_what_they_promise():
    rng = Random(2)
    for _ in range(300):
        spec = Spec(
            rng.choice(list(THINGS)), rng.choice(list(BACKGROUNDS)), rng.choice(list(PLACES)), "medium"
        )
        text = caption(spec, rng).split()
        plain = [word.strip(",") for word in text]
        assert spec.thing in plain
        assert spec.background in plain or (spec.background == "gray" and "grey" in plain)
        assert all(
            word in plain or word == "center" for word in spec.place.split() if spec.place != "anywhere"
        )


def test_the_matcher_finds_what_was_drawn_through_noise():
    rng, noise = Random(3), np.random.default_rng(3)
    for spec, _ in held_out(40):
        picture = render(spec, light(rng))
        match = nearest(picture + noise.normal(0, 0.08, picture.shape).astype(np.float32))
        assert (match.x, match.y) == offset(spec.place, spec.size)
        verdict = judge(spec, match)
        assert all(verdict[name] for name in ("thing", "background", "place", "size")), (spec, match)


def test_the_matcher_sees_what_is_wrong():
    asked = Spec("apple", "blue", "left", "small")
    picture = render(Spec("pear", "green", "right", "large"), Light(1.0, 0.0))
    verdict = judge(asked, nearest(picture))
    assert not any(verdict[name] for name in ("thing", "background", "place", "size"))


@pytest.mark.parametrize("size", SIZES)
def test_every_place_is_another_offset_and_no_place_is_the_middle(size):
    named = [place for place in PLACES if place != "anywhere"]
    assert len({offset(place, size) for place in named}) == len(named)
    assert offset("anywhere", size) == offset("center", size)


@pytest.mark.parametrize("word", COLOURS)
def test_a_thing_has_the_colour_that_its_captions_say(word: str) -> None:
    """At least a third of its coloured pixels."""
    (low, high), saturation, brightness = COLOURS[word]
    for thing in (name for name, (_, own) in THINGS.items() if word in own):
        bitmap = glyph(thing)
        opaque = np.asarray(bitmap)[..., 3] > 128
        hue, strength, value = (
            channel[opaque] for channel in np.moveaxis(np.asarray(bitmap.convert("RGB").convert("HSV")), 2, 0)
        )
        coloured = (strength > 50) & (value > 60)
        degrees = hue[coloured] / 255 * 360
        fits = ((degrees >= low) & (degrees <= high)) | ((degrees + 360 >= low) & (degrees + 360 <= high))
        for channel, (least, most) in ((strength, saturation), (value, brightness)):
            fits &= (channel[coloured] >= 255 * least) & (channel[coloured] <= 255 * most)
        assert fits.mean() > 1 / 3, (thing, word)


def test_every_word_for_a_colour_is_checked() -> None:
    words = {word for _, adjectives in THINGS.values() for word in adjectives}
    assert words - {"ripe", "sweet", "happy"} <= set(COLOURS)
    assert {word for word in words if word in BACKGROUNDS} <= set(COLOURS)
