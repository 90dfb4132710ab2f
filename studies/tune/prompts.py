"""The prompts on which tunes are measured: pairs of thing and background that training never showed to the
embedded model.

They were drawn once (``held_out(71, seed=2611)``), without the pairs of the PSNR calibration and without the
prompts of studies/whatif and studies/quality. Nothing was fitted or chosen on these prompts.
"""

# A whole grid of settings runs on each of these prompts.
GRID = (
    "bottom, little sailboat, purple background",
    "a rocket on the top of a yellow background",
    "a butterfly on the left of a purple background",
    "a medium sun in the middle of a green background",
    "a huge pig on a pink background, middle",
    "blue background, fox, top right",
    "a large dog on a yellow background",
    "blue background, big train, bottom right",
    "a sweet donut on a green background, bottom",
    "a tiny panda at the top right of a green background",
)
# A tune searches on these prompts; its best setting is then tested on ACCEPTED.
TUNED = (
    "on a black background, a small fox on the top left",
    "a tiny sailboat on the right, green background",
    "on a gray background, a tiny house at the left",
    "a small panda on a blue background, top left",
    "a medium butterfly on the left of a yellow background",
    "tiny grapes, top left, black",
    "on a purple background, a small pineapple on the top",
    "a house on a purple background, middle",
)
ACCEPTED = (
    "left, tiny bus, red background",
    "on an orange background, a little cupcake at the top left",
    "a large tree at the top right, white background",
    "cactus, red",
    "on a yellow background, a small pineapple on the bottom right",
    "on a red background, a little pig on the bottom left",
    "a small fish in the middle, yellow background",
    "a cat on an orange background, right",
    "a tiny whale on a white background",
    "a car on a grey background",
    "on a blue background, a large balloon on the top left",
    "a huge green frog on the bottom of a gray background",
    "a small banana at the top left of a gray background",
    "purple grapes on the bottom right of a blue background",
    "a small blue whale on the top of an orange background",
    "red background, small pumpkin",
    "pink background, large pumpkin, bottom",
    "small penguin, middle, black",
    "a medium mushroom on a yellow background, top left",
    "a lemon on an orange background, top left",
    "a small donut on the top left, pink background",
    "bottom right, small ladybug, black background",
    "white background, rocket, bottom",
    "a cupcake on the top right of a pink background",
    "a large heart in the center of a white background",
    "a medium watermelon on a black background, bottom",
    "top left, little ladybug, green background",
    "a small gift on the bottom of an orange background",
    "on a yellow background, a strawberry on the bottom right",
    "a little lion on the left of a purple background",
)
