"""Writes tokenizer/unicode_exceptions.inc: where Hugging Face's tokenizers disagree with ICU about a code point.

The peer carries three Unicode versions: categories of 8.0 (crate unicode_categories), decompositions and combining
classes of 9.0 (unicode-normalization-alignments), lower case of the Rust that built it. unicode.cpp asks ICU and counts
a code point newer than that version as unassigned; what is left differs because a property of an assigned code point
changed later, or because ICU is older than the peer. Any ICU from 70 (Unicode 14) on must give the same answers, so a
line is written as soon as one database differs: the installed ICU and each folder given, an installed `unicodedata2`.

  python tests/golden/unicode_exceptions.py [FOLDER...]     (needs tokenizers and libicuuc)
"""

import ctypes
import ctypes.util
import glob
import importlib.util
import pathlib
import re
import sys
import unicodedata

import tokenizers
from tokenizers import normalizers, pre_tokenizers

CATEGORY_AGE, COMBINING_AGE, LOWER_AGE, OLDEST_ICU = (8, 0), (9, 0), (17, 0), (14, 0)
ICU_CLASSES = {
    6: "mark",
    15: "control",
    16: "control",
    17: "control",
    19: "punctuation",
    20: "punctuation",
    21: "punctuation",
    22: "punctuation",
    23: "punctuation",
    28: "punctuation",
    29: "punctuation",
}
NAME_CLASSES = {"Mn": "mark", "Cc": "control", "Cf": "control", "Co": "control"}


class Icu:
    def __init__(self):
        path = ctypes.util.find_library("icuuc")
        self.major = re.search(r"so\.(\d+)", path).group(1)
        library = ctypes.CDLL(path)
        self.type = self.function(library, "u_charType", ctypes.c_int8)
        self.combining = self.function(library, "u_getCombiningClass", ctypes.c_uint8)
        self.lower = self.function(library, "u_tolower", ctypes.c_int32)
        self.age_of = self.function(library, "u_charAge", None)

    def function(self, library, name, result):
        function = getattr(library, f"{name}_{self.major}")
        function.restype = result
        return function

    def age(self, code):
        version = (ctypes.c_uint8 * 4)()
        self.age_of(code, version)
        return version[0], version[1]

    def category(self, code):
        return ICU_CLASSES.get(self.type(code), "none")


def load_database(folder):
    [path] = glob.glob(f"{folder}/**/unicodedata2*.so", recursive=True)
    spec = importlib.util.spec_from_file_location("unicodedata2", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def named_class(database, character):
    name = database.category(character)
    return "punctuation" if name[0] == "P" else NAME_CLASSES.get(name, "none")


def peer_normalizer(**on):
    options = dict(
        clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False
    )
    return normalizers.BertNormalizer(**(options | on))


CLEAN, STRIP = peer_normalizer(clean_text=True), peer_normalizer(strip_accents=True)
LOWER, NFD = peer_normalizer(lowercase=True), normalizers.NFD()
SPLIT = pre_tokenizers.BertPreTokenizer()


def peer_answer(normalizer, character):
    return normalizer.normalize_str(f"a{character}b")[1:-1]


def peer_class(character):
    if not peer_answer(CLEAN, character):
        return "control"
    if not peer_answer(STRIP, character):
        return "mark"
    words = SPLIT.pre_tokenize_str(f"a{character}b")
    return "punctuation" if len(words) == 3 else "none"


def check_decomposition(code, character, databases, assigned):
    """Decompositions and combining classes need no exceptions: only make sure of it."""
    for database in databases:
        wanted = database.normalize("NFD", character) if assigned else character
        assert peer_answer(NFD, character) == wanted, hex(code)
        if len(wanted) > 1:
            continue
        combining = database.combining(character) if assigned else 0
        for probe in "\u0334\u0316\u0301\u0345":  # classes 1, 220, 230 and 240
            swapped = 0 < database.combining(probe) < combining
            wanted_pair = f"{probe}{wanted}" if swapped else f"{wanted}{probe}"
            assert peer_answer(NFD, character + probe) == wanted_pair, hex(code)


def main():
    icu = Icu()
    databases = [unicodedata] + [load_database(folder) for folder in sys.argv[1:]]
    newest = max(databases, key=lambda d: tuple(map(int, d.unidata_version.split("."))))
    categories, lower = [], []
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000 or code < 0x80:
            continue
        character, age = chr(code), icu.age(code)
        assigned = (0, 0) < age <= CATEGORY_AGE
        seen = (
            {icu.category(code)} | {named_class(d, character) for d in databases}
            if assigned
            else {"none"}
        )
        answer = peer_class(character)
        if code != 0xFFFD and seen != {answer}:
            categories.append((code, answer))
        current = [d for d in databases if d.category(character) != "Cn"]
        check_decomposition(code, character, current, (0, 0) < age <= COMBINING_AGE)
        small = peer_answer(LOWER, character)
        if code == 0x130:
            assert small == "i\u0307"  # the one code point with two; unicode.cpp has it
        elif small != character and (age == (0, 0) or age > OLDEST_ICU):
            lower.append((code, ord(small)))
        else:
            assert small == chr(icu.lower(code)), hex(code)
    assert newest.unidata_version.startswith(f"{LOWER_AGE[0]}.") or len(databases) == 1
    lines = [
        f"// Generated by tests/golden/unicode_exceptions.py with tokenizers {tokenizers.__version__}, ICU "
        f"{icu.major} and the Unicode",
        "// databases " + ", ".join(d.unidata_version for d in databases) + ".",
        "",
        f"constexpr Age kCategoryAge = {{{CATEGORY_AGE[0]}, {CATEGORY_AGE[1]}}};",
        f"constexpr Age kCombiningAge = {{{COMBINING_AGE[0]}, {COMBINING_AGE[1]}}};",
        f"constexpr Age kLowerAge = {{{LOWER_AGE[0]}, {LOWER_AGE[1]}}};",
        "",
        f"constexpr std::array<CategoryException, {len(categories)}> kCategoryExceptions = {{{{",
    ]
    lines += [f"    {{0x{code:05X}, Category::{name}}}," for code, name in categories]
    lines += [
        "}};",
        "",
        f"constexpr std::array<LowerException, {len(lower)}> kLowerExceptions = {{{{",
    ]
    lines += [f"    {{0x{code:05X}, 0x{small:05X}}}," for code, small in lower]
    lines += ["}};", ""]
    target = pathlib.Path(__file__).parents[2] / "tokenizer" / "unicode_exceptions.inc"
    target.write_text("\n".join(lines))
    print(f"{target.name}: {len(categories)} categories, {len(lower)} lower-case forms")


if __name__ == "__main__":
    main()
