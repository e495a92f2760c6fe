"""Compares `holdfast tokenize` with Hugging Face's tokenizers, ids and byte offsets, on any texts. Run by hand:

  python tests/golden/tokenizer_differential.py --model DIR [--holdfast build/holdfast] [--random N] [FILE...]

DIR holds a tokenizer.json. Every line of a FILE is a text, and so is every row's `text` column of a .csv file. --random
adds N random texts: code points of all kinds, fragments of the vocabulary, marks, spaces and special tokens in turn.
Prints the first differences and their number; the exit status is 1 when there is one.
"""

import argparse
import csv
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import tokenizers

POOLS = [
    (0x20, 0x7E),
    (0x20, 0x7E),
    (0x20, 0x7E),
    (0x00, 0x1F),
    (0xA0, 0x24F),
    (0x300, 0x36F),
    (0x370, 0x52F),
    (0x590, 0x6FF),
    (0x900, 0xDFF),
    (0xE00, 0xFFF),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1EFF),
    (0x1F00, 0x1FFF),
    (0x2000, 0x206F),
    (0x20D0, 0x20FF),
    (0x2E80, 0x33FF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xF900, 0xFAFF),
    (0xFE00, 0xFFEF),
    (0x10000, 0x1FFFF),
    (0x1F300, 0x1FAFF),
    (0x20000, 0x323AF),
    (0xE0000, 0x10FFFF),
]
MARKS = [c for c in range(0x300, 0x1F000) if 0 != __import__("unicodedata").combining(chr(c))]


def random_texts(count, vocabulary, seed=20240607):
    rng = random.Random(seed)
    words = [word.removeprefix("##") for word in vocabulary]

    def fragment():
        kind = rng.randrange(8)
        if kind == 0:
            return rng.choice(words)
        if kind == 1:
            return rng.choice(words) + rng.choice(words).upper()
        if kind == 2:
            return rng.choice(
                [
                    "[MASK]",
                    "[CLS]",
                    "[SEP]",
                    "[PAD]",
                    "[UNK]",
                    "[mask]",
                    "[MASK",
                    "[[SEP]]",
                    "##",
                    "Σς",
                    "İi",
                ]
            )
        if kind == 3:
            return "".join(chr(rng.choice(MARKS)) for _ in range(rng.randint(1, 6)))
        if kind == 4:
            return rng.choice(
                [
                    " ",
                    "  ",
                    "\t",
                    "\r",
                    "\u00a0",
                    "\u3000",
                    "\u2028",
                    "\u200b",
                    "\ufeff",
                    "\ufffd",
                    "\0",
                ]
            )
        if kind == 5 and rng.randrange(20) == 0:
            return rng.choice("aé中\U0001f600") * rng.randint(95, 105)
        low, high = rng.choice(POOLS)
        return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 5)))

    for _ in range(count):
        text = "".join(fragment() for _ in range(rng.randint(0, 12)))
        yield "".join(c for c in text if not 0xD800 <= ord(c) < 0xE000)


def file_texts(path):
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as rows:
            yield from (row["text"] for row in csv.DictReader(rows))
    else:
        yield from path.read_text(encoding="utf-8", newline="").split("\n")


def byte_offsets(text, offsets):
    """The peer counts code points."""
    at = [0]
    for character in text:
        at.append(at[-1] + len(character.encode()))
    return [[at[begin], at[end]] for begin, end in offsets]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--holdfast", default="build/holdfast")
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    options = parser.parse_args()

    peer = tokenizers.Tokenizer.from_file(str(options.model / "tokenizer.json"))
    peer.no_padding()
    peer.no_truncation()
    texts = [text for path in options.files for text in file_texts(path)]
    texts += random_texts(options.random, sorted(peer.get_vocab()))
    texts = [
        text.replace("\n", " ").rstrip("\r") for text in texts
    ]  # a line is a text to `holdfast tokenize`

    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as lines:
        lines.write("".join(text + "\n" for text in texts))
        lines.flush()
        command = [
            options.holdfast,
            "tokenize",
            "--model",
            options.model,
            "--json",
            "--offsets",
            lines.name,
        ]
        answer = subprocess.run(
            command, stdout=subprocess.PIPE, check=True, encoding="utf-8"
        ).stdout
    ours = [json.loads(line) for line in answer.splitlines()]
    assert len(ours) == len(texts), f"{len(texts)} texts, {len(ours)} answers"

    different = 0
    for text, mine in zip(texts, ours):
        theirs = peer.encode(text)
        wanted = theirs.ids, byte_offsets(text, theirs.offsets)
        if (mine["ids"], mine["offsets"]) != wanted:
            different += 1
            if different <= 5:
                print(f"{text!r}\n  peer     {wanted}\n  holdfast {mine['ids'], mine['offsets']}")
    tokens = sum(len(mine["ids"]) for mine in ours)
    print(
        f"tokenizers {tokenizers.__version__}: {different} of {len(texts)} texts differ ({tokens} tokens)"
    )
    return different != 0


if __name__ == "__main__":
    sys.exit(main())
