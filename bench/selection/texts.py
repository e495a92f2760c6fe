"""Writes synthetic labelled texts, as large as asked for: Zipf words, of which each class and the new task prefer some.

usage: texts.py DIR [--old 500000] [--new 10000] [--classes 8] [--seed 7]
leaves DIR/old.csv and DIR/new.csv (text,label). No word is a word of any language.
"""
import argparse, os
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("dir")
parser.add_argument("--old", type=int, default=500_000)
parser.add_argument("--new", type=int, default=10_000)
parser.add_argument("--classes", type=int, default=8)
parser.add_argument("--seed", type=int, default=7)
args = parser.parse_args()

VOCABULARY, LENGTH = 400_000, 60
random = np.random.default_rng(args.seed)


def spelling(number):
    """Letters in base 20, short for frequent words as in languages."""
    letters = "etaoinshrdlcumwfgypb"
    out = letters[number % 20]
    number //= 20
    while number:
        out += letters[number % 20]
        number //= 20
    return out + "x"


words = np.array([spelling(i) for i in range(VOCABULARY)])
ranks = np.arange(1, VOCABULARY + 1)
common = np.cumsum(1 / (ranks + 2.7))  # Zipf-Mandelbrot
common /= common[-1]


def write(name, count, topics):
    """Half of a text's words from the language, half from one of its class's topics: other words, equally skewed."""
    with open(os.path.join(args.dir, name), "w", encoding="utf-8", newline="") as out:
        out.write("text,label\n")
        for begin in range(0, count, 10_000):
            n = min(10_000, count - begin)
            lengths = np.clip(random.lognormal(np.log(LENGTH), 0.4, n).astype(int), 5, 400)
            labels = random.choice(args.classes, n, p=weights)
            topic = labels * topics + random.integers(0, topics, n)
            picks = np.searchsorted(common, random.random(lengths.sum()))
            # A topic renames ranks: rank r of topic k is word (r * 31 + k * 7919) mod V.
            of_topic = random.random(picks.size) < 0.5
            renamed = (picks * 31 + np.repeat(topic, lengths) * 7919 + 101) % VOCABULARY
            tokens = words[np.where(of_topic, renamed, picks)]
            for tokens_of_text, label in zip(np.split(tokens, np.cumsum(lengths)[:-1]), labels):
                out.write(" ".join(tokens_of_text) + f",class{label}\n")


os.makedirs(args.dir, exist_ok=True)
weights = 1 / np.arange(1, args.classes + 1) ** 0.5
weights /= weights.sum()
write("old.csv", args.old, 40)
write("new.csv", args.new, 3)
