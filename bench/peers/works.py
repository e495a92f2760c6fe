"""The works that bench-peers compares, and what each is held to."""
from __future__ import annotations
import os, sys
from dataclasses import dataclass, field
from typing import Callable

HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass
class Side:
    """A program that prints one JSON object; {threads} in its command is filled in. `first_line`: what counts is the
    time to its first line of output."""
    command: list
    environment: dict = field(default_factory=dict)
    first_line: bool = False


@dataclass
class Row:
    """One line of the table: `pair` takes what the sides of one round printed, and gives our figure and the peer's."""
    name: str
    pair: Callable
    target: float | None  # of ours / peer
    at_least: bool = True  # else at most
    unit: str = ""


@dataclass
class Work:
    key: str
    sides: dict
    rows: list
    missing: str = ""  # why it cannot run


class Programs:
    """Commands of both sides."""

    def __init__(self, build, holdfast, folder, quick):
        self.build, self.holdfast, self.folder, self.quick = build, holdfast, folder, quick

    def path(self, name):
        return os.path.join(self.folder, name)

    def steps(self, number):
        return ["--steps", str(2 if self.quick else number), "--threads", "{threads}"]

    def ours(self, name, *arguments):
        return Side([os.path.join(self.build, "bench", "bench_" + name), *arguments])

    def torch(self, name, *arguments):
        return Side([sys.executable, os.path.join(HERE, f"torch_{name}.py"), *arguments])


def rate(peer, of="ours"):
    return lambda r: (r[of]["rate"], r[peer]["rate"])


def peak(peer):
    return lambda r: (r["ours"]["peak_bytes"] / 2**20, r[peer]["peak_bytes"] / 2**20)


def full_step(p, key, name, weights, shape, steps, speed, memory):
    options = [*weights, "--full", shape, *p.steps(steps)]
    return Work(key, {"ours": p.ours("step", *options), "torch": p.torch("step", *options)},
                [Row(f"{name}, training step, {shape} tokens", rate("torch"), speed, unit="tokens/s"),
                 Row("  its peak memory", peak("torch"), memory, at_least=False, unit="MiB")])


def news_steps(p, classifier, news):
    options = [*classifier, *news, *p.steps(12)]
    return Work("news", {"ours": p.ours("step", *options), "dynamic": p.torch("step", *options),
                         "grouped": p.torch("step", "--grouped", *options)},
                [Row("MiniLM, training on news texts, batches of 32", rate("dynamic"), 2.5, unit="tokens/s"),
                 Row("  its peak memory", peak("dynamic"), 0.4, at_least=False, unit="MiB"),
                 Row("  PyTorch with group_by_length", rate("grouped"), 1.5, unit="tokens/s")])


def inference(p, classifier, news, batch, steps, name):
    options = [*classifier, *news, "--batch", str(batch), *p.steps(steps)]
    sides = {"ours": p.ours("infer", *options), "torch": p.torch("infer", *options)}
    rows = [Row(f"MiniLM, predictions for news, {name}", rate("torch"), 2.0, unit="texts/s"),
            Row("  its peak memory", peak("torch"), None, unit="MiB")]
    if os.path.exists(p.path("classifier.onnx")):
        sides["onnx"] = p.torch("infer", "--onnx", p.path("classifier.onnx"), *options)
        rows.append(Row("  ONNX Runtime", rate("onnx"), 1.2, unit="texts/s"))
    return Work(f"infer-{batch}", sides, rows)


def share_of_gemm(p, classifier, products):
    options = [*classifier, "--full", "32x128", *p.steps(5)]
    openblas = p.ours("gemm", *options)
    openblas.environment["HOLDFAST_ISA"] = "avx2"
    sides = {"ours": p.ours("step", *options), "gemm": p.ours("gemm", *options), "openblas": openblas,
             "torch": p.torch("gemm", "--products", products, *p.steps(5))}
    best = lambda r: (r["ours"]["gflops"], max(r[side]["rate"] for side in ("gemm", "openblas", "torch")))
    return Work("gemm", sides, [Row("MiniLM step's useful GFLOP/s, best library's GEMM", best, 0.85, unit="GFLOP/s")])


def recipe_step(p, classifier, tokens):
    return Work(f"recipe-{tokens}", {"ours": p.ours("recipe", *classifier, "--full", f"32x{tokens}", *p.steps(10))},
                [Row(f"Full recipe's step, naive step, 32x{tokens} tokens",
                     lambda r: (r["ours"]["full_step_seconds"], r["ours"]["naive_step_seconds"]), 1.03, at_least=False, unit="s")])


def fisher(p, classifier, news):
    side = p.ours("fisher", *classifier, *news, "--texts", "64" if p.quick else "128", "--loop", "0", *p.steps(3))
    epoch = lambda kind: lambda r: (r["ours"][kind + "_seconds"], r["ours"]["training_epoch_seconds"])

    def passes(r):  # four classes: one forward pass, three backward
        forward, both = r["ours"]["forward_seconds"], r["ours"]["forward_backward_seconds"]
        return r["ours"]["true_seconds"], forward + 3 * (both - forward)
    return Work("fisher", {"ours": side},
                [Row("Empirical Fisher, training epoch", epoch("empirical"), 1.3, at_least=False, unit="s"),
                 Row("Sketched Fisher, training epoch", epoch("sketch"), 1.4, at_least=False, unit="s"),
                 Row("True Fisher of 4 classes, forward + 3 backward passes", passes, 1.0, at_least=False, unit="s")])


def first_prediction(p):
    text = "Stocks rose on Friday after the bank cut its rates."
    ours = Side([p.holdfast, "predict", "--model", p.path("classifier"), "--text", text], first_line=True)
    torch = p.torch("first", p.path("classifier"), text)
    torch.first_line = True
    return Work("first", {"ours": ours, "torch": torch},
                [Row("Start to first prediction, MiniLM", lambda r: (1 / r["ours"]["seconds"], 1 / r["torch"]["seconds"]), 50, unit="1/s"),
                 Row("  its peak memory", peak("torch"), None, unit="MiB")])


def all_works(p, products):
    """`products` of a MiniLM step as bench_gemm prints them."""
    classifier = ["--model", p.path("classifier")]
    news = ["--data", p.path("news.csv"), "--max-length", "128"]
    works = [full_step(p, "minilm", "MiniLM", classifier, "32x128", 5, speed=1.5, memory=0.4),
             news_steps(p, classifier, news),
             full_step(p, "base", "BERT-base", ["--config", p.path("base.json")], "8x128", 3, speed=1.15, memory=0.65),
             full_step(p, "tiny", "Tiny BERT (2x128)", ["--config", p.path("tiny.json")], "32x64", 40, speed=2.5, memory=0.4),
             inference(p, classifier, news, 32, 20, "batches of 32"),
             inference(p, classifier, news, 1, 300, "one text at a time"),
             share_of_gemm(p, classifier, products),
             recipe_step(p, classifier, 128), recipe_step(p, classifier, 54),
             fisher(p, classifier, news),
             first_prediction(p)]
    if not os.path.exists(p.path("news.csv")):
        for work in works:
            if any(p.path("news.csv") in side.command for side in work.sides.values()):
                work.missing = "needs news texts: NEWS=FILE.csv"
    return works
