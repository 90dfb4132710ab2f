"""The things, backgrounds, places and sizes that the embedded model knows, and captions for them."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

SIZE = 128  # side in pixels of the pictures that the encoder sees
DRAWN = 2 * SIZE  # side in pixels of the pictures that the decoder draws
TOKEN = 16  # side of an image token in pixels
GRID = SIZE // TOKEN  # side of a picture in tokens
TEXT_TOKENS = 16

# name -> emoji, words that may stand before the name
THINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "apple": ("\U0001f34e", ("red",)),
    "banana": ("\U0001f34c", ("yellow",)),
    "strawberry": ("\U0001f353", ("red", "ripe")),
    "lemon": ("\U0001f34b", ("yellow",)),
    "pear": ("\U0001f350", ("green",)),
    "watermelon": ("\U0001f349", ()),
    "pineapple": ("\U0001f34d", ()),
    "grapes": ("\U0001f347", ("purple",)),
    "carrot": ("\U0001f955", ("orange",)),
    "mushroom": ("\U0001f344", ("red",)),
    "pumpkin": ("\U0001f383", ("orange",)),
    "burger": ("\U0001f354", ()),
    "donut": ("\U0001f369", ("sweet",)),
    "cupcake": ("\U0001f9c1", ("sweet",)),
    "cat": ("\U0001f431", ("happy",)),
    "dog": ("\U0001f436", ("happy",)),
    "fox": ("\U0001f98a", ("orange",)),
    "panda": ("\U0001f43c", ()),
    "frog": ("\U0001f438", ("green",)),
    "pig": ("\U0001f437", ("pink",)),
    "lion": ("\U0001f981", ()),
    "penguin": ("\U0001f427", ()),
    "owl": ("\U0001f989", ("brown",)),
    "chick": ("\U0001f425", ("yellow",)),
    "fish": ("\U0001f420", ()),
    "whale": ("\U0001f433", ("blue",)),
    "turtle": ("\U0001f422", ("green",)),
    "ladybug": ("\U0001f41e", ("red",)),
    "butterfly": ("\U0001f98b", ()),
    "car": ("\U0001f697", ("red",)),
    "bus": ("\U0001f68c", ()),
    "train": ("\U0001f686", ()),
    "rocket": ("\U0001f680", ()),
    "sailboat": ("\u26f5", ()),
    "star": ("\u2b50", ("yellow",)),
    "heart": ("\u2764\ufe0f", ("red",)),
    "sun": ("\U0001f31e", ("yellow", "happy")),
    "rainbow": ("\U0001f308", ()),
    "sunflower": ("\U0001f33b", ("yellow",)),
    "tree": ("\U0001f333", ("green",)),
    "cactus": ("\U0001f335", ("green",)),
    "balloon": ("\U0001f388", ("red",)),
    "gift": ("\U0001f381", ()),
    "house": ("\U0001f3e0", ()),
}

BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "blue": (58, 110, 220),
    "green": (62, 170, 88),
    "red": (214, 62, 62),
    "yellow": (250, 214, 66),
    "orange": (246, 150, 54),
    "purple": (136, 88, 196),
    "pink": (250, 148, 190),
    "white": (242, 242, 242),
    "black": (26, 26, 32),
    "gray": (140, 144, 150),
}

SIZES = {"small": 2, "medium": 4, "large": 6}  # side of a thing in tokens
SIZE_WORDS = {
    "small": ("small", "small", "tiny", "little"),
    "medium": ("", "", "", "medium"),
    "large": ("large", "large", "big", "huge"),
}
PLACES = {
    "anywhere": "",
    "left": "l",
    "right": "r",
    "top": "t",
    "bottom": "b",
    "center": "c",
    "top left": "tl",
    "top right": "tr",
    "bottom left": "bl",
    "bottom right": "br",
}
PLACE_WEIGHTS = (5, 4, 4, 4, 4, 3, 2, 2, 2, 2)
FUNCTION_WORDS = (
    "a",
    "an",
    "the",
    "on",
    "of",
    "at",
    "in",
    "with",
    "background",
    "picture",
    "centre",
    "middle",
    "grey",
    ",",
    ".",
)
CAPTION_DROPOUT = 0.12
HELD_OUT_SHARE = 0.16


class Spec(NamedTuple):
    """The parts of a picture that a prompt can name."""

    thing: str
    background: str
    place: str
    size: str


class Light(NamedTuple):
    """The background's brightness (1 = as named) and its slope downwards. No prompt names the light."""

    shade: float
    slope: float


def held_out_pairs() -> list[tuple[str, str]]:
    """Return the pairs (thing, background) that training never shows.

    The pairs are seeded, and spread evenly over things and backgrounds.
    """
    rng = random.Random(3)
    things, names = list(THINGS), list(BACKGROUNDS)
    wanted = math.ceil(HELD_OUT_SHARE * len(things) * len(names))
    rng.shuffle(things)
    pairs = []
    while len(pairs) < wanted:
        order = names * (len(things) // len(names) + 1)
        rng.shuffle(order)
        for thing, background in zip(things, order):
            if (thing, background) not in pairs and len(pairs) < wanted:
                pairs.append((thing, background))
    return sorted(pairs)


def offset(place: str, size: str) -> tuple[int, int]:
    """Return the offset (x, y) in tokens of the thing's top left corner.

    If the prompt names no place, the thing is in the middle.
    """
    free, code = GRID - SIZES[size], PLACES[place]
    near = 1 if free > 4 else 0
    x = near if "l" in code else free - near if "r" in code else free // 2
    y = near if "t" in code else free - near if "b" in code else free // 2
    return x, y


class Sampler:
    """Draws seeded training samples: a spec that is not held out, a light and a caption."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        held = set(held_out_pairs())
        self.pairs = [(t, b) for t in THINGS for b in BACKGROUNDS if (t, b) not in held]

    def draw(self) -> tuple[Spec, Light, str]:
        """Draw one training sample. The caption is empty with the probability CAPTION_DROPOUT."""
        rng = self.rng
        thing, background = rng.choice(self.pairs)
        place = rng.choices(list(PLACES), PLACE_WEIGHTS)[0]
        spec = Spec(thing, background, place, rng.choices(list(SIZES), (3, 4, 4))[0])
        text = "" if rng.random() < CAPTION_DROPOUT else caption(spec, rng)
        return spec, light(rng), text


def light(rng: random.Random) -> Light:
    """Draw a random light."""
    return Light(rng.uniform(0.86, 1.08), rng.uniform(-0.14, 0.14))


def caption(spec: Spec, rng: random.Random) -> str:
    """Put a spec into words: with random word order and synonyms, and sometimes the thing's own colour."""
    adjectives = THINGS[spec.thing][1]
    own = rng.choice(adjectives) if adjectives and rng.random() < 0.25 else ""
    words = " ".join(w for w in (rng.choice(SIZE_WORDS[spec.size]), own, spec.thing) if w)
    noun = words if spec.thing == "grapes" else f"{'an' if words[0] in 'aeo' else 'a'} {words}"
    colour = "grey" if spec.background == "gray" and rng.random() < 0.4 else spec.background
    back = f"{'an' if colour[0] == 'o' else 'a'} {colour} background"
    if spec.place == "anywhere":
        return rng.choice(
            (
                f"{noun} on {back}",
                f"{words}, {colour} background",
                f"{colour} background, {words}",
                f"on {back}, {noun}",
                f"{words}, {colour}",
            )
        )
    where = rng.choice(("center", "center", "centre", "middle")) if spec.place == "center" else spec.place
    at = (
        f"{rng.choice(('in', 'in', 'at')) if spec.place == 'center' else rng.choice(('on', 'at', 'on'))} the "
        f"{where}"
    )
    return rng.choice(
        (
            f"{noun} {at} of {back}",
            f"{noun} {at} of {back}",
            f"{noun} on {back}, {where}",
            f"{colour} background, {words}, {where}",
            f"{words}, {where}, {colour}",
            f"{noun} {at}, {colour} background",
            f"on {back}, {noun} {at}",
            f"{where}, {words}, {colour} background",
        )
    )


def words() -> list[str]:
    """Return all words that the model knows, sorted."""
    known = set(THINGS) | set(BACKGROUNDS) | {a for _, adjectives in THINGS.values() for a in adjectives}
    known |= {w for group in SIZE_WORDS.values() for w in group if w}
    known |= {w for place in PLACES if place != "anywhere" for w in place.split()}
    return sorted(known | set(FUNCTION_WORDS))
