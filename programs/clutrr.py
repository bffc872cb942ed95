"""Writes the stories that clutrr.toml names: python programs/clutrr.py.

A story is a chain of people, each related to the next by a word, of which an image is drawn. Words
are drawn so that every part of the chain from its beginning has a name in the table of clutrr.pl,
and all words occur about equally often. Sentences stand in one of a few orders, and some stories
have a sentence more, about somebody who does not matter.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from groundkit import load_data
from groundkit.data.images import ImageSet

HERE = Path(__file__).parent
PEOPLE = ["ann", "bob", "cas", "dan", "eve", "fay", "gus", "hal", "ida", "jon", "kim"]
BYSTANDER = "zoe"
ORDERS = 3
PARTS = {"stories": (1500, range(2, 6)), "longer": (300, range(6, 11))}


def read_table(program: str) -> dict[tuple[str, str], str]:
    """Reads the compositions (relation, word) -> relation out of the program's facts."""
    facts = re.findall(r"related\(([a-z]\w*), ([a-z]\w*), ([a-z]\w*)\)\.", program)
    return {(first, second): third for first, second, third in facts}


def draw_chain(
    table: dict[tuple[str, str], str],
    words: tuple[str, ...],
    length: int,
    used: Counter[str],
    rng: np.random.Generator,
) -> tuple[list[str], str]:
    """Draws the words of a chain, and how its first person is related to its last."""
    while True:
        chain: list[str] = []
        now: str | None = None
        while len(chain) < length:
            choices = list(words) if now is None else [w for w in words if (now, w) in table]
            if not choices:
                break
            weights = np.array([(1.0 + used[w] + chain.count(w)) ** -4.0 for w in choices])
            word = choices[rng.choice(len(choices), p=weights / weights.sum())]
            now = word if now is None else table[now, word]
            chain.append(word)
        if now is not None and len(chain) == length:
            return chain, now


def sentences(length: int, order: int) -> list[tuple[str, str]]:
    """Lists who is spoken of, sentence by sentence, in one of the orders of a length."""
    pairs = list(itertools.pairwise(PEOPLE[: length + 1]))
    rng = np.random.default_rng([length, order])
    if order == ORDERS - 1:
        pairs.append((PEOPLE[int(rng.integers(1, length))], BYSTANDER))
    return pairs if order == 0 else [pairs[i] for i in rng.permutation(len(pairs))]


def write_part(
    folder: Path, name: str, words: ImageSet, table: dict[tuple[str, str], str], seed: int
) -> None:
    """Writes the stories of one part, and the images of their words."""
    assert words.labels is not None  # they are drawn with their labels
    rng = np.random.default_rng(seed)
    count, lengths = PARTS[name]
    used: Counter[str] = Counter()
    by_word = [np.flatnonzero(words.labels == k) for k in range(len(words.classes))]
    lines = []
    for number in range(count):
        length = lengths[number % len(lengths)]
        chain, answer = draw_chain(table, words.classes, length, used, rng)
        told = sentences(length, int(rng.integers(ORDERS)))
        word_of = dict(zip(PEOPLE, chain, strict=False))
        truth = [word_of[a] if b != BYSTANDER else str(rng.choice(words.classes)) for a, b in told]
        used.update(truth)
        picked = [int(rng.choice(by_word[words.classes.index(word)])) for word in truth]
        for place in picked:
            file = folder / "words" / f"{name}-{place:04d}.png"
            if not file.exists():
                Image.fromarray(words.pixels[place, 0].numpy()).save(file)
        line = {
            "Xs": [f"words/{name}-{place:04d}.png" for place in picked],
            "A": PEOPLE[0],
            "B": PEOPLE[length],
            "R": answer,
            "facts": [f"told({i},{a},{b})" for i, (a, b) in enumerate(told)],
            "Xs.truth": truth,
        }
        lines.append(json.dumps(line))
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(folder: Path) -> None:
    """Writes both parts: stories to train on, and longer ones from images of the test split."""
    (folder / "words").mkdir(parents=True, exist_ok=True)
    data = load_data("kin-words")
    table = read_table((HERE / "clutrr.pl").read_text(encoding="utf-8"))
    write_part(folder, "stories", data.train, table, seed=1)
    write_part(folder, "longer", data.test, table, seed=2)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "clutrr")
