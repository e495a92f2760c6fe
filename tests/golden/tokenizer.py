"""Writes what Hugging Face's tokenizers answers, for tests/tokenizer:

tokenizer_code_points.txt   a CRC-32 for each 256 code points of the words and offsets of a text with each of them
tokenizer_cases.json        tokenizer.json files as the peer writes them, with texts, ids, types and offsets

python tests/golden/tokenizer.py     (needs tokenizers; about a minute)
"""

import json
import pathlib
import random
import zlib

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

HERE = pathlib.Path(__file__).parent
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# lower case, strip accents, space around ideographs, clean
MODES = {
    "uncased": (True, None, True, True),
    "cased": (False, None, True, True),
    "cased, stripped": (False, True, False, False),
    "uncased, accents": (True, False, True, False),
}


def make_tokenizer(vocabulary, mode, max_chars=100):
    lowercase, strip, chinese, clean = MODES[mode]
    ids = {token: i for i, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(
        models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=max_chars)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=clean, handle_chinese_chars=chinese, strip_accents=strip, lowercase=lowercase
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return tokenizer


def byte_offsets(encoding, texts):
    """The peer counts code points."""
    out = []
    for (begin, end), sequence in zip(encoding.offsets, encoding.sequence_ids):
        text = texts[sequence or 0]
        out.append([len(text[:begin].encode()), len(text[:end].encode())])
    return out


def code_point_record(tokenizer, code):
    text = f"a{chr(code)}b"
    words = [
        word
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(
            tokenizer.normalizer.normalize_str(text)
        )
    ]
    offsets = byte_offsets(tokenizer.encode(text, add_special_tokens=False), [text])
    return " ".join(words) + " " + " ".join(f"{begin}-{end}" for begin, end in offsets) + "\n"


def write_code_points():
    peers = [make_tokenizer(SPECIAL, mode) for mode in MODES]
    lines = [
        f"# Made by tests/golden/tokenizer.py with tokenizers {tokenizers.__version__}: the first code point, then a CRC-32",
        "# for each of sixteen blocks of 256 code points; what is summed up is told in tests/tokenizer/code_points_test.cpp.",
    ]
    for start in range(0, 0x110000, 0x1000):
        sums = []
        for block in range(start, start + 0x1000, 0x100):
            codes = [c for c in range(block, block + 0x100) if not 0xD800 <= c < 0xE000]
            records = "".join(code_point_record(peer, c) for peer in peers for c in codes)
            sums.append(f"{zlib.crc32(records.encode()):08x}")
        lines.append(f"{start:06x} " + " ".join(sums))
    (HERE / "tokenizer_code_points.txt").write_text("\n".join(lines) + "\n")


NASTY = [
    "",
    " ",
    "a",
    "The quick brown fox.",
    "THE QUICK",
    "don't-stop",
    "x  y\tz\r\nq",
    "\u00a0a\u3000b\u2028c\u2029d\u0085e\u000bf\u000cg\u001ch",
    "café naïve Ångström ÅNGSTRÖM",
    "cafe\u0301 nai\u0308ve A\u030angstro\u0308m",
    "e\u0301\u0323\u0302a",
    "a\u0345\u0301\u0334\u0323b",
    "\u0301\u0323start",
    "\u0344\u0323x",
    "e\u0301\u200d\u0323x",
    "\u1e69\u0323\u0307s",
    "q\u0307\u0323 \u1e0b\u0323",
    "a\u302e\u0301\u0323b \u16ff0\u0301",
    "가각힣 한국어",
    "각",
    "ΑΣ ΑΣ. ΣΑΣ ς",
    "İstanbul IĞDIR ı",
    "ǅ ǈ ﬀ ß ẞ",
    "中文字符 test中文",
    "日本語のテキスト カタカナ",
    "\uf900\ufa0e\U0002f800",
    "\U0002b81f\U0002b820\U0002b91f\U0002b920\U0002ceaf\U0002ceb0 \u9fff\ua000",
    "々〇",
    "nul\0in",
    "\ufeffbom \ufffd rep",
    "soft\u00adhyphen zero\u200bwidth \u200e\u202eabc\u202c",
    "\ue000private \U000f0000x",
    "unassigned \u0378\U0001ffff\U000e0080",
    "tag\U000e0041\U000e007f",
    "😀 👨‍👩‍👧‍👦 🇩🇪 👍🏽 ✈️ ☎",
    "смесь mixed κείμενο 文字 نص עִבְרִית",
    "हिन्दी में",
    "ภาษาไทย ที่",
    "العَرَبِيَّة",
    "\u1734\u1885\u1886\ua9bd\U0001171e\u166d\U000111c9",
    "\u1c89\ua7cb\ua7dc\U00010d50\U00016ea0 \u2c2f\ua7c0",
    "$+<=>^`|~ %&*()",
    "¿qué? «oui» “quoted” —dash– … ‽ ⁂ 、。・",
    "§¶©®°±×÷€£¥",
    "a_b a-b a/b a\\b [a] {b}",
    "3.14 1,000 50% #1 @me",
    "[MASK] is [mask] and [ MASK ]",
    "a[MASK]b [MASK][SEP][CLS] [PAD]",
    "[[MASK]] [MASK [UNK]",
    "x [SEP] é [MASK]\u0301 [MASK]\u4e2d",
    "[MASK]",
    "[SEP][SEP]",
    "a" * 99,
    "a" * 100,
    "a" * 101,
    "b" * 300,
    "é" * 100,
    "é" * 101,
    "e\u0301" * 100,
    "😀" * 100,
    "😀" * 101,
    "a" * 100 + "." + "a" * 101,
    "xyzzyqqq unknownwordzzz",
    "##a ## # a##b",
    "un##aff able",
    "\u0130\u0130 i\u0307",
    "K Å Ω \u212a\u212b\u2126",
    "ﷺ ㎏ ① Ⅷ",
    "ཀྵ \u0f73\u0f75\u0f81",
    "ṩ\u0323\u0307 \u0f71\u0f72\u0f74",
    "\U0001d15e\U0001d160",
    "\U00011131\U0001112e \U00011938",
    "<b>html</b> &amp; #39; http://a.b/c?d=e",
    "tab\tend\t",
    "  lead and trail  ",
    "\n",
    "\u2003\u2003",
    "\u0300",
    "\u200d",
]

EXTRA_TOKENS = [
    AddedToken("<new>", normalized=False),
    AddedToken("Wörd", normalized=True),
    AddedToken("<l>", lstrip=True, normalized=False),
    AddedToken("<r>", rstrip=True, normalized=False),
    AddedToken("<both>", lstrip=True, rstrip=True, normalized=True),
    AddedToken("<new><new>", normalized=False),
    AddedToken("the", normalized=True, lstrip=True),
]
EXTRA_TEXTS = [
    "a<new>b",
    "a <l> b  <l>c<l>",
    "a <r>  b<r> <r>\u00a0\u3000x",
    "WÖRD wo\u0308rd swordwörds Wo\u0301rd",
    "a  <BOTH>  b <both><both>",
    "<new><new><new>",
    "\u3000<l>\u00a0<r>\t<l>",
    "other THE them  the",
    "[MASK] <l>",
    "é<l>é <r> é Wörd",
    " <l>",
    "<r> ",
    "",
    "中<new>中 Wörd中",
]


def generated_vocabulary():
    """Every character of the texts in both forms of case, some words and some pieces."""
    rng = random.Random(7)
    letters = sorted(
        {c for text in NASTY + EXTRA_TEXTS for form in (text, text.lower()) for c in form}
        - set(" \t\r\n\0")
    )
    plain = [c for c in letters if rng.random() < 0.9]
    words = [
        "the",
        "quick",
        "brown",
        "cafe",
        "naive",
        "mixed",
        "mask",
        "un",
        "##aff",
        "##able",
        "##a",
        "don",
        "stop",
        "html",
        "test",
        "##st",
        "te",
        "aaaa",
        "##aaaaaaaa",
        "star",
        "##tt",
        "##ht",
        "##ml",
        "angstrom",
        "##ngstrom",
        "Wörd",
        "word",
        "##rd",
        "한",
        "국",
        "##어",
        "ста",
        "##есь",
        "istanbul",
        "##stanbul",
    ]
    return SPECIAL + list(
        dict.fromkeys(plain + [f"##{c}" for c in letters if rng.random() < 0.8] + words)
    )


def case(peer, model, text, pair=None, max_length=0):
    peer.no_truncation()
    if max_length:
        peer.enable_truncation(max_length)
    encoding = peer.encode(text, pair)
    peer.no_truncation()
    return {
        "model": model,
        "text": text,
        "pair": pair,
        "max_length": max_length,
        "ids": encoding.ids,
        "type_ids": encoding.type_ids,
        "offsets": sum(byte_offsets(encoding, [text, pair]), []),
    }


def write_cases():
    vocabulary = generated_vocabulary()
    peers = {mode: make_tokenizer(vocabulary, mode) for mode in MODES}
    peers["max 7"] = make_tokenizer(vocabulary, "uncased", max_chars=7)
    for name, mode in (("added", "uncased"), ("added, cased", "cased")):
        peers[name] = make_tokenizer(vocabulary, mode)
        peers[name].add_tokens(EXTRA_TOKENS)
    peers["added"].post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    cases = [case(peers[mode], mode, text) for mode in MODES for text in NASTY]
    cases += [case(peers["max 7"], "max 7", text) for text in NASTY if len(text) > 7][:25]
    cases += [
        case(peers[name], name, text)
        for name in ("added", "added, cased")
        for text in EXTRA_TEXTS + NASTY[:8]
    ]
    short, middle, long = "a b c", "the quick brown fox x y", " ".join("abcdefghijklmnopqrstuvwxyz")
    for first, second in [
        (short, middle),
        (middle, short),
        (long, short),
        (short, long),
        (long, middle),
        (middle, long),
        (long, long),
        ("", short),
        (short, ""),
        ("", ""),
        ("[MASK] é", "[SEP] e\u0301"),
    ]:
        cases += [
            case(peers["uncased"], "uncased", first, second, n)
            for n in (0, 4, 5, 8, 9, 12, 13, 20, 64)
        ]
    cases += [
        case(peers["uncased"], "uncased", text, None, n)
        for text in (short, long, "", "aaaaaaaaaaaaaaab c")
        for n in (2, 3, 4, 5, 9, 64)
    ]
    golden = {
        "made_by": "tests/golden/tokenizer.py",
        "tokenizers": tokenizers.__version__,
        "models": {name: json.loads(peer.to_str()) for name, peer in peers.items()},
        "cases": cases,
    }
    (HERE / "tokenizer_cases.json").write_text(
        json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n"
    )


if __name__ == "__main__":
    write_cases()
    write_code_points()
