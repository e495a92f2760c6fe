#!/usr/bin/env python3
"""Mutation check: does a test fail, and does `holdfast audit`, when a formula is wrong?

Draws lines by seed from all arithmetic of kernels and formulas, spread over tensor, autograd, nn and train and over their
files; on each it flips a sign, swaps * and /, drops a term or a factor, or changes a constant; builds the folder's tests and
`holdfast` in a copy of HEAD (build-mutants/tree) and runs both. A mutant is killed when a test fails, dies or exceeds its time
limit. One that the compiler refuses, with warnings as errors as in .ci/run, is drawn anew. Nothing of the working tree is
touched.

    scripts/mutate.py [--seed 1] [--count 72] [--limit N] [--retry] [--markdown FILE] [--list]

Every finished mutant is a line of build-mutants/results.jsonl; the next call goes on from there, and repeats what has changed
since. --retry repeats those that were not killed or not noticed. --limit stops after N more. --list shows all places, builds
nothing. Exit status: 0 all killed and noticed, 1 not all, 3 not finished.

What is arithmetic: operators + - * / and their assignments, signs, and constants beside them. The code is laid out by
clang-format, so a binary operator stands between blanks, a pointer or a template bracket does not. Left out: text and errors,
headers of loops, subscripts, offsets of pointers, and what decides on speed alone (SPEED in arithmetic.py).

What is audited: a file whose header is in the "covers" of `holdfast audit --json`; kernels and operations are reached through
autograd/ops.h and fused.h (REACHED). Exceptions: NOT_AUDITED, each with its reason.
"""
import argparse
import hashlib
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from arithmetic import Source

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build-mutants"
TREE, RESULTS = WORK / "tree", WORK / "results.jsonl"
BUILD = TREE / "build"  # where a plain build has it: ccache then shares its objects
SHARES = {"tensor": 20, "autograd": 17, "nn": 11, "train": 24}  # of the sample
SOURCES = {"tensor": ("tensor/kernels/*.cpp", "tensor/kernels/*.h", "tensor/random.*", "base/elementary.h"),
           "autograd": ("autograd/*.cpp", "autograd/ops/*.cpp"), "nn": ("nn/*.cpp",), "train": ()}

# Whose tests: by default the folder's own.
TESTED_BY = (("base/elementary.h", ("base", "tensor")),  # kernels inline it
             ("tensor/kernels/update.", ("train",)),  # the optimizer's arithmetic: tests/train/optimizer_test.cpp
             ("tensor/kernels/per_sample.", ("train",)),  # per-text gradients: tests/train/per_sample_test.cpp
             ("tensor/kernels/", ("autograd", "tensor")))  # a kernel is tested through its operation

# Files without a header of their own among the covers -> what reaches them.
REACHED = (("tensor/kernels/", "autograd/ops.h: "), ("tensor/random.", "tensor/random.h: "),
           ("base/elementary.h", "tensor/kernels/elementwise.h: "), ("autograd/ops/", "autograd/ops.h: "),
           ("autograd/summed_gradients.cpp", "autograd/ops.h: "), ("nn/bert.cpp", "nn/model.h: Model"),
           ("nn/adapter.cpp", "nn/model.h: Model"))
NOT_AUDITED = (  # (file, regular expression of the line, reason)
    ("autograd/ops/attention.cpp", r"<= 65536", "which texts are refused: the audit's table has what is computed"),)
EQUIVALENT = (  # (file, regular expression of the line, reason): the same results, never drawn
    ("tensor/kernels/lanes.h", r"x - Lanes<T>\{\}", "x - 0 makes a vector of a number; x + 0 does too"),
    ("tensor/kernels/lanes.h", r"& 0xffffffff\)", "compiled on AArch64 alone"),
    ("autograd/grad_check.cpp", r"stream\.", "random weights and directions: where the checker looks, not what it finds"))


def formula_files(tree):
    test = (tree / "tests/audit/audit_test.cpp").read_text()
    body = test[test.index("formula_headers()"):test.index("return headers;")]
    return [f"train/{name}.{end}" for name in re.findall(r'\{"(\w+)\.h",', body) for end in ("cpp", "h")]


def sources(tree, folder):
    paths = [p for pattern in SOURCES[folder] for p in tree.glob(pattern)]
    if folder == "train":
        paths = [tree / p for p in formula_files(tree) if (tree / p).exists()]
    return [Source(str(p.relative_to(tree)), p.read_text()) for p in sorted(paths)]


class Mutant:
    def __init__(self, folder, source, place):
        self.folder, self.path, self.text = folder, source.path, source.text
        self.line, self.change, start, end, replacement = place
        self.mutated = self.text[:start] + replacement + self.text[end:]
        self.before, self.after = (t.split("\n")[self.line - 1].strip() for t in (self.text, self.mutated))
        self.name = f"{self.path}:{self.line} {self.change}"
        self.key = hashlib.sha256((self.mutated + self.name).encode()).hexdigest()[:16]

    def equivalent(self):
        return any(self.path == path and re.search(line, self.before) for path, line, _ in EQUIVALENT)

    def tests(self):
        return next((tests for prefix, tests in TESTED_BY if self.path.startswith(prefix)), (self.folder,))

    def audited(self, covers):
        if any(self.path == path and re.search(line, self.before) for path, line, _ in NOT_AUDITED):
            return False
        header = re.sub(r"\.(cpp|h)$", ".h: ", self.path)
        header = next((reach for prefix, reach in REACHED if self.path.startswith(prefix)), header)
        return any(cover.startswith(header) for cover in covers)


def drawn(tree, folder, seed):
    """All lines of a folder in the order in which they are drawn: a line of each file in turn, on it one change."""
    rng = random.Random(f"{seed}/{folder}")
    files = []
    for source in sources(tree, folder):
        lines = {}
        for place in source.places:
            lines.setdefault(place[0], []).append(place)
        mutants = [Mutant(folder, source, rng.choice(places)) for _, places in sorted(lines.items())]
        rng.shuffle(mutants)
        files.append(mutants)
    rng.shuffle(files)
    for turn in range(max(map(len, files))):
        yield from (mutants[turn] for mutants in files if turn < len(mutants) and not mutants[turn].equivalent())


def limits():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))  # a wrong size must not take the machine down


class Program:
    """A test program or the audit, started; stopped with all its children at its time limit."""

    def __init__(self, command, limit):
        self.limit, self.output = time.monotonic() + limit, WORK / (Path(command[0]).name + ".out")
        scratch = WORK / "tmp"
        scratch.mkdir(exist_ok=True)
        with self.output.open("w") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=scratch, start_new_session=True,
                                            preexec_fn=limits, env=dict(os.environ, TMPDIR=str(scratch)))

    def wait(self):
        """Exit status ("hangs" at the limit) and output."""
        try:
            status = self.process.wait(max(0.0, self.limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            status = "hangs"
        finally:
            self.stop()
        return status, self.output.read_text(errors="replace")

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def sync():
    """build-mutants/tree becomes HEAD: changed files alone are written, so that builds stay incremental."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    kept = set()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in (m for m in tar if m.isfile()):
            path, data = TREE / member.name, tar.extractfile(member).read()
            kept.add(path)
            if not path.exists() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                path.chmod(member.mode)
    for path in [p for p in TREE.rglob("*") if p.is_file() and p not in kept and BUILD not in p.parents]:
        path.unlink()
    return hashlib.sha256(archive).hexdigest()


def build(targets, jobs):
    return subprocess.run(["cmake", "--build", str(BUILD), "-j", str(jobs), "--target", *targets], capture_output=True, text=True)


def prepare(jobs):
    """Configures and builds once; the unchanged tree must pass. Returns the times of the programs and the audit's covers."""
    digest, state = sync(), WORK / "baseline.json"
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["cmake", "-S", str(TREE), "-B", str(BUILD), "-G", "Ninja", "-DHOLDFAST_WERROR=ON"], check=True)
    if state.exists() and json.loads(state.read_text())["tree"] == digest:
        return json.loads(state.read_text())
    names = ["base", *SHARES]
    made = build(["holdfast"] + ["test_" + name for name in names], jobs)
    if made.returncode != 0:
        sys.exit(made.stdout[-4000:])
    seconds = {}
    for name in [*names, "audit"]:
        start = time.monotonic()
        status, output = program(name, 1800).wait()
        if status != 0:
            sys.exit(f"{output[-4000:]}\n{name}: without a mutant exit status is {status}")
        seconds[name] = time.monotonic() - start
    rows = json.loads(subprocess.run([BUILD / "holdfast", "audit", "--json", "--quiet"], check=True, capture_output=True).stdout)
    baseline = {"tree": digest, "seconds": seconds,
                "covers": sorted({c.strip() for row in rows for c in row["covers"].split(",")})}
    state.write_text(json.dumps(baseline))
    return baseline


def program(name, limit):
    command = [str(BUILD / "holdfast"), "audit", "--quiet"] if name == "audit" else \
        [str(BUILD / "tests" / f"test_{name}"), "--gtest_fail_fast", "--gtest_color=no"]
    return Program(command, limit)


def verdict(status, output):
    """Which test fails, and how; None when none does."""
    if status == 0:
        return None
    failed = re.search(r"^\[  FAILED  \] ([\w/.]+)", output, re.M)
    if failed and status == 1:
        return failed.group(1)
    last = re.findall(r"^\[ RUN      \] (\S+)", output, re.M) or ["start"]
    return f"{last[-1]} ({'hangs' if status == 'hangs' else f'ends with status {status}'})"


def execute(mutant, baseline, jobs):
    """Builds and runs one mutant; its line for the results."""
    result = {"key": mutant.key, "name": mutant.name, "folder": mutant.folder, "before": mutant.before, "after": mutant.after,
              "audited": mutant.audited(baseline["covers"])}
    path = TREE / mutant.path
    path.write_text(mutant.mutated)
    try:
        if build(["holdfast"] + ["test_" + t for t in mutant.tests()], jobs).returncode != 0:
            return dict(result, compiles=False)
        limit = {name: 30 + 5 * s for name, s in baseline["seconds"].items()}
        audit, killed = program("audit", limit["audit"]), None
        try:
            for test in mutant.tests():
                killed = killed or verdict(*program(test, limit[test]).wait())
            status, output = audit.wait()
        finally:
            audit.stop()
        wrong = re.search(r"^WRONG: (.*?): ", output, re.M)
        return dict(result, compiles=True, killed=killed, audit=status, row=wrong.group(1) if wrong else "")
    finally:
        path.write_text(mutant.text)
        shutil.rmtree(WORK / "tmp", ignore_errors=True)


def good(r):
    """Killed, and noticed by the audit: exit status 1, or it does not end as a program does (memory overwritten, no end)."""
    ends_wrong = r["audit"] == "hangs" or isinstance(r["audit"], int) and r["audit"] < 0
    return r["killed"] is not None and (not r["audited"] or r["audit"] == 1 or ends_wrong)


def table(results):
    rows = [("mutant", "line", "killed by", "audit", "first row beyond its bound")]
    for r in results:
        audit = ("" if r["audited"] else "not audited, ") + f"exit {r['audit']}"
        rows.append((r["name"], r["after"], r["killed"] or "SURVIVES", audit, r["row"]))
    return rows


def markdown(results):
    def cell(text, code):
        text = text.replace("|", "\\|")
        return f"`{text}`" if code and text else text
    head, *rows = table(results)
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(cell(c, i < 3) for i, c in enumerate(row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def read_results():
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return {r["key"]: r for r in map(json.loads, lines)}  # the last line of a key counts


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=sum(SHARES.values()))
    parser.add_argument("--limit", type=int, default=10**9)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--retry", action="store_true")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def show_all():
    for folder in SHARES:
        for m in (Mutant(folder, s, p) for s in sources(ROOT, folder) for p in s.places):
            print(f"{m.name}\n    {m.before}")


def finish_next(mutants, known, retry, limit, baseline, jobs):
    """The result of the next mutant that compiles: known, or found out now; None where the limit is reached."""
    for mutant in mutants:
        result = known.get(mutant.key)
        if result is None or (retry and result["compiles"] and not good(result)):
            if limit[0] == 0:
                return None
            limit[0] -= 1
            result = execute(mutant, baseline, jobs)
            with RESULTS.open("a") as out:
                out.write(json.dumps(result) + "\n")
            print(mutant.name, "|", result.get("killed", "does not compile"), "|", result.get("audit"), flush=True)
        if result["compiles"]:
            return result
    sys.exit("there are not so many places")


def main():
    args = options()
    if args.list:
        return show_all()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # restores the file on the way out
    baseline, known, limit = prepare(args.jobs), read_results(), [args.limit]
    wanted = {folder: round(args.count * share / sum(SHARES.values())) for folder, share in SHARES.items()}
    order = {folder: drawn(TREE, folder, args.seed) for folder in SHARES}
    results = {folder: [] for folder in SHARES}
    unfinished = False
    for turn in range(max(wanted.values())):  # folder by folder in turn: what is stopped early is spread, too
        for folder in (f for f in SHARES if turn < wanted[f] and not unfinished):
            result = finish_next(order[folder], known, args.retry, limit, baseline, args.jobs)
            results[folder].append(result)
            unfinished = result is None
    report([r for of_folder in results.values() for r in of_folder if r], args.markdown)
    bad = any(not good(r) for of_folder in results.values() for r in of_folder if r)
    return 3 if unfinished else 1 if bad else 0


def report(results, page):
    if page:
        page.write_text(markdown(results))
    for row in table(results):
        print("  ".join(row))
    survivors = sum(r["killed"] is None for r in results)
    unnoticed = sum(not good(r) for r in results) - survivors
    print(f"{len(results)} mutants, {survivors} survive, {unnoticed} killed but not noticed by the audit")


if __name__ == "__main__":
    sys.exit(main())
