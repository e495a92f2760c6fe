"""Finds arithmetic in C++ that clang-format laid out, and small changes to it: signs, * for /, dropped terms, other constants.
For scripts/mutate.py, whose head says what is left out."""
import re

SPEED = re.compile(r"k(Grain|Piece|Block|Tile\w*|Chunk|Step|Lanes|Row|Vectors|Counters|Alignment|Slack|Group)\b|grain|chunk|"
                   r"panel|stride|reserve|scratch|profil|\blap\b|prefetch|round_up|few_rows\b|slots_|middle =|clock|kLine|kWide")
TEXT = {"throw", "fail", "format", "static_assert", "string", "to_string", "text", "printable", "append", "path", "parent_path",
        "directory"}
TOKEN = re.compile(r"""(?P<skip>//[^\n]*|/\*.*?\*/|^[ \t]*\#[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    |(?P<number>0[xX][\da-fA-F'.]+(?:[pP][+-]?\d+)?[fFuUlL]*|(?:\d[\d']*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fFuUlL]*)
    |(?P<name>[A-Za-z_]\w*)|(?P<mark><<=|>>=|\.\.\.|::|->|\+\+|--|[-+*/%&|^=!<>]=|&&|\|\||<<|[^\s\w])""", re.S | re.M | re.X)
SWAPS = {"+": "-", "-": "+", "*": "/", "/": "*", "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*="}
ENDS = {")", "]", "}", ",", ";", "?", ":", "==", "!=", "<=", ">=", "&&", "||", "|", "&", "^", "=", "%"}


class Token:
    def __init__(self, match):
        self.kind, self.text, self.start, self.end = match.lastgroup, match.group(), match.start(), match.end()


class Source:
    """The places of one file: (line number, change, first and last byte, replacement)."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.tokens = [Token(m) for m in TOKEN.finditer(text) if m.lastgroup != "skip"]
        self.integers = set(re.findall(r"(?:u?int\d+_t|size_t|\bint|\bWide)>?(?: &)? (\w+)", text)) | self.listed_integers()
        self.integers -= set(re.findall(r"(?:double|float|\bT) (\w+)", text))
        self.strings = set(re.findall(r"(?:string|string_view|path|char\*)&? (\w+)", text))
        self.places = []
        self.collect()

    def listed_integers(self):  # const std::int64_t a = ..., b = ...;
        return {name for line in re.findall(r"const (?:std::)?(?:u?int64_t|size_t) (\w+ = [^;]*);", self.text)
                for name in re.findall(r"(\w+) =", line)}

    def spaced(self, t):
        return self.text[t.start - 1].isspace() and self.text[t.end].isspace()

    def collect(self):
        begin, subscripts, header = 0, [], 0
        outside = []  # places of this statement that may be changed
        for i, t in enumerate(self.tokens):
            if t.text == "for" and t.kind == "name":
                header = 1
            elif header and t.text in "()":
                header += 1 if t.text == "(" else -1
                header = 0 if header == 1 else header
            elif t.text == "[":
                before = self.tokens[i - 1]
                subscripts.append(before.kind == "name" and before.text != "return" or before.text in (")", "]"))
            elif t.text == "]":
                subscripts.pop()
            elif not header and not any(subscripts):
                outside.append(i)
            if t.text in (";", "{", "}"):
                self.statement(begin, i, outside)
                begin, outside = i + 1, []

    def statement(self, begin, end, inside):
        tokens = self.tokens[begin:end]
        words = {t.text for t in tokens}
        text = " ".join(t.text for t in tokens)
        if any(t.kind == "string" for t in tokens) or words & TEXT or SPEED.search(text):
            return
        if re.match(r"(?:const )?(?:auto|T|float|double|Bf16|std :: \w+) \* \w+ =", text):
            return  # an offset of a pointer
        for i in inside:
            if self.tokens[i].kind == "number":
                self.constant(i, words)
            elif self.tokens[i].text in SWAPS:
                self.operator(i)

    def operator(self, i):
        t = self.tokens[i]
        if not self.spaced(t):
            before, after = self.tokens[i - 1], self.tokens[i + 1]
            if t.text == "-" and (before.text in ("(", ",", "=", "return", "?", ":", "*", "/", "+") and
                                  (after.kind == "name" or "." in after.text)):
                self.add(t, "sign of " + after.text, t.start, t.end, "")
            return
        if self.is_index(i):
            return
        self.add(t, f"'{t.text}' -> '{SWAPS[t.text]}'", t.start, t.end, SWAPS[t.text])
        if t.text == "+=":
            self.add(t, "'+=' -> '='", t.start, t.end, "=")
        elif "=" not in t.text:
            last = self.operand_end(i)
            operand = " ".join(self.text[self.tokens[i + 1].start:last].split())
            self.add(t, f"without '{t.text} {operand}'", t.start - 1, last, "")

    def operand_end(self, i):
        stops, depth = ENDS | ({"+", "-"} if self.tokens[i].text in "+-" else {"+", "-", "*", "/"}), 0
        for j in range(i + 1, len(self.tokens)):
            t = self.tokens[j]
            if depth == 0 and (t.text in stops or t.text in ("<", ">")) and j > i + 1:
                if t.text in ENDS or self.spaced(t):
                    return self.tokens[j - 1].end
            depth += (t.text in ("(", "[", "{")) - (t.text in (")", "]", "}"))
        raise ValueError(self.path)

    def is_index(self, i):
        """Offsets, counts and text in kernels and operations; offsets of data and text elsewhere."""
        before, after = self.tokens[i - 1].text, self.tokens[i + 1].text
        if {before, after} & self.strings or self.pointer_before(i):
            return True
        names = {before, after} & self.integers
        if self.path.startswith(("tensor", "autograd", "base")):
            names |= {self.tokens[i + 2].text} & self.integers if after == "(" else set()
            return bool(names) or after in ("C", "N", "K") or self.path.endswith("views.cpp")
        return bool(names & {"begin", "end", "first", "last", "at", "offset", "texts_count", "length"})

    def pointer_before(self, i):
        before = self.text[max(0, self.tokens[i].start - 40):self.tokens[i].start]
        return re.search(r"(?:data(?:<[\w:]+>)?|begin|end)\(\)\s*$", before) is not None

    def constant(self, i, words):
        t, before, after = self.tokens[i], self.tokens[i - 1], self.tokens[i + 1]
        if before.text == "-" and not self.spaced(before):
            before = self.tokens[i - 2]
        wrapped = before.text in ("(", "{") and after.text in (")", "}") and self.tokens[i - 2].text in ("T", "double", "float")
        chosen = {before.text, after.text} & {"<", ">", "<=", ">=", "==", "!=", "?", ":"}  # a limit, or one of two cases
        slack = re.search(r"e-(9|\d\d)$", t.text)  # for rounding: may be dropped, but not made larger by a hundredth
        if chosen or slack or re.fullmatch(r"0?\.?0*f?", t.text):
            return
        beside = [j for j in (i - 1, i + 1) if self.tokens[j].text in SWAPS and self.spaced(self.tokens[j])]
        if re.search(r"[.p]|e-", t.text) and not t.text.startswith("0x3"):
            if beside or wrapped or words & {"constexpr", "horner", "min", "max"}:
                f = "f" if t.text.endswith("f") else ""
                self.add(t, f"{t.text} -> {t.text} * 1.01{f}", t.start, t.end, f"({t.text} * 1.01{f})")
        elif wrapped or any(not self.is_index(j) for j in beside):
            digits = re.match(r"0x[\da-fA-F]+|[\d']+", t.text).group()
            more = str(int(digits.replace("'", ""), 0) + 1) + t.text[len(digits):]
            self.add(t, f"{t.text} -> {more}", t.start, t.end, more)

    def add(self, t, change, start, end, replacement):
        self.places.append((self.text.count("\n", 0, t.start) + 1, change, start, end, replacement))
