"""The works that bench-peers compares, and what each is held to."""
from __future__ import annotations
import copy, os, sys
from dataclasses import dataclass, field
from typing import Callable

HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass
class Side:
    """A program that prints one JSON object; {threads} and {steps} in its command are filled in. `first_line`: what counts is
    the time to its first line of output."""
    command: list
    steps: int = 0
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
    tolerance: float = 1e-4  # of the sides' mean probabilities


class Programs:
    """Commands of both sides."""

    def __init__(self, build, holdfast, folder, quick):
        self.build, self.holdfast, self.folder, self.quick = build, holdfast, folder, quick

    def path(self, name):
        return os.path.join(self.folder, name)

    device, precision = "cpu", "f32"

    def on(self, device, precision):
        """The same programs elsewhere."""
        there = copy.copy(self)
        there.device, there.precision = device, precision
        return there

    def ours(self, name, steps, *arguments):
        return self.side([os.path.join(self.build, "bench", "bench_" + name)], steps, arguments)

    def torch(self, name, steps, *arguments):
        return self.side([sys.executable, os.path.join(HERE, f"torch_{name}.py")], steps, arguments)

    def side(self, program, steps, arguments):
        if (self.device, self.precision) != ("cpu", "f32"):
            arguments = [*arguments, "--device", self.device, "--precision", self.precision]
        return Side([*program, *arguments, "--steps", "{steps}", "--threads", "{threads}"], steps=2 if self.quick else steps)


def rate(peer, of="ours"):
    return lambda r: (r[of]["rate"], r[peer]["rate"])


def peak(peer):
    return lambda r: (r["ours"]["peak_bytes"] / 2**20, r[peer]["peak_bytes"] / 2**20)


def full_step(p, key, name, weights, shape, steps, speed, memory):
    options = [*weights, "--full", shape]
    return Work(key, {"ours": p.ours("step", steps, *options), "torch": p.torch("step", steps, *options)},
                [Row(f"{name}, training step, {shape} tokens", rate("torch"), speed, unit="tokens/s"),
                 Row("  its peak memory", peak("torch"), memory, at_least=False, unit="MiB")])


def news_steps(p, classifier, news):
    options = [*classifier, *news]
    return Work("news", {"ours": p.ours("step", 12, *options), "dynamic": p.torch("step", 12, *options),
                         "grouped": p.torch("step", 12, "--grouped", *options)},
                [Row("MiniLM, training on news texts, batches of 32", rate("dynamic"), 2.5, unit="tokens/s"),
                 Row("  its peak memory", peak("dynamic"), 0.4, at_least=False, unit="MiB"),
                 Row("  PyTorch with group_by_length", rate("grouped"), 1.5, unit="tokens/s")])


def inference(p, classifier, news, batch, steps, name):
    options = [*classifier, *news, "--batch", str(batch)]
    sides = {"ours": p.ours("infer", steps, *options), "torch": p.torch("infer", steps, *options)}
    rows = [Row(f"MiniLM, predictions for news, {name}", rate("torch"), 2.0, unit="texts/s"),
            Row("  its peak memory", peak("torch"), None, unit="MiB")]
    if os.path.exists(p.path("classifier.onnx")):
        sides["onnx"] = p.torch("infer", steps, "--onnx", p.path("classifier.onnx"), *options)
        rows.append(Row("  ONNX Runtime", rate("onnx"), 1.2, unit="texts/s"))
    return Work(f"infer-{batch}", sides, rows)


def share_of_gemm(p, classifier, products):
    options = [*classifier, "--full", "32x128"]
    openblas = p.ours("gemm", 5, *options)
    openblas.environment["HOLDFAST_ISA"] = "avx2"
    sides = {"ours": p.ours("step", 5, *options), "gemm": p.ours("gemm", 5, *options), "openblas": openblas,
             "torch": p.torch("gemm", 5, "--products", products)}
    best = lambda r: (r["ours"]["gflops"], max(r[side]["rate"] for side in ("gemm", "openblas", "torch")))
    return Work("gemm", sides, [Row("MiniLM step's useful GFLOP/s, best library's GEMM", best, 0.85, unit="GFLOP/s")])


def recipe_step(p, classifier, tokens):
    return Work(f"recipe-{tokens}", {"ours": p.ours("recipe", 10, *classifier, "--full", f"32x{tokens}")},
                [Row(f"Full recipe's step, naive step, 32x{tokens} tokens",
                     lambda r: (r["ours"]["full_step_seconds"], r["ours"]["naive_step_seconds"]), 1.03, at_least=False, unit="s")])


def fisher(p, classifier, news):
    side = p.ours("fisher", 3, *classifier, *news, "--texts", "64" if p.quick else "128", "--all", "0")
    epoch = lambda kind: lambda r: (r["ours"][kind + "_seconds"], r["ours"]["training_epoch_seconds"])

    def passes(r):  # four classes: one forward pass, three backward
        forward, both = r["ours"]["forward_seconds"], r["ours"]["forward_backward_seconds"]
        return r["ours"]["true_seconds"], forward + 3 * (both - forward)
    return Work("fisher", {"ours": side},
                [Row("Empirical Fisher, training epoch", epoch("empirical"), 1.3, at_least=False, unit="s"),
                 Row("Sketched Fisher, training epoch", epoch("sketch"), 1.4, at_least=False, unit="s"),
                 Row("True Fisher of 4 classes, forward + 3 backward passes", passes, 1.0, at_least=False, unit="s")])


def bf16(p, classifier, missing):
    gains = lambda r: (r["ours"]["step_gain"], r["ours"]["gemm_gain"])
    return Work("bf16", {"ours": p.ours("bf16", 5, *classifier, "--full", "32x128")},
                [Row("bf16 beside f32: gain of MiniLM's step, of its GEMM", gains, 0.8, unit="x")],
                missing and "bf16 needs " + missing)


def first_prediction(p):
    text = "Stocks rose on Friday after the bank cut its rates."
    ours = Side([p.holdfast, "predict", "--model", p.path("classifier"), "--text", text], first_line=True)
    torch = Side([sys.executable, os.path.join(HERE, "torch_first.py"), p.path("classifier"), text], first_line=True)
    return Work("first", {"ours": ours, "torch": torch},
                [Row("Start to first prediction, MiniLM", lambda r: (1 / r["ours"]["seconds"], 1 / r["torch"]["seconds"]), 50, unit="1/s"),
                 Row("  its peak memory", peak("torch"), None, unit="MiB")])


def all_works(p, products, missing_for_bf16):
    """`products` of a MiniLM step as bench_gemm prints them, `missing_for_bf16` as bench_machine does."""
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
             fisher(p, classifier, news), bf16(p, classifier, missing_for_bf16),
             first_prediction(p)]
    if not os.path.exists(p.path("news.csv")):
        for work in works:
            if any(p.path("news.csv") in side.command for side in work.sides.values()):
                work.missing = "needs news texts: NEWS=FILE.csv"
    return works


def device_memory(peer):
    workspace = 32  # MiB of cuBLASLt's, which ours are without
    return lambda r: (r["ours"]["peak_tensor_bytes"] / 2**20 + workspace, r[peer]["peak_tensor_bytes"] / 2**20)


def device_step(p, key, name, weights, products):
    """Beside PyTorch eager and compiled, and beside its products alone."""
    options = [*weights, "--full", "32x128"]
    torch = p.torch("step", 50, *options)
    compiled = p.torch("step", 50, "--compile", *options)
    return Work(f"{key}-{p.precision}", {"ours": p.ours("step", 50, *options), "torch": torch, "compiled": compiled,
                                         "gemm": p.torch("gemm", 50, "--products", products)},
                [Row(f"{name}, training step, 32x128, {p.precision}", rate("torch"), 1.5, unit="tokens/s"),
                 Row("  torch.compile", rate("compiled"), 1.1, unit="tokens/s"),
                 Row("  its peak memory", device_memory("torch"), 0.6, at_least=False, unit="MiB"),
                 Row("  useful GFLOP/s, PyTorch's products", lambda r: (r["ours"]["gflops"], r["gemm"]["rate"]), None, unit="GFLOP/s")])


def device_inference(p, classifier):
    options = [*classifier, "--full", "32x128"]
    sides = {"ours": p.ours("infer", 100, *options), "torch": p.torch("infer", 100, *options),
             "compiled": p.torch("infer", 100, "--compile", *options)}
    return Work(f"infer-{p.precision}", sides,
                [Row(f"MiniLM, predictions, 32x128, {p.precision}", rate("torch"), 1.5, unit="texts/s"),
                 Row("  torch.compile", rate("compiled"), 1.1, unit="texts/s")],
                tolerance={"f32": 1e-4, "tf32": 1e-3, "bf16": 1e-2}[p.precision])


def all_device_works(programs, device, minilm_products, base_products):
    works = []
    for precision in ("f32", "tf32", "bf16"):
        p = programs.on(device, precision)
        classifier = ["--model", p.path("classifier")]
        works += [device_step(p, "minilm", "MiniLM", classifier, minilm_products),
                  device_step(p, "base", "BERT-base", ["--config", p.path("base.json")], base_products),
                  device_inference(p, classifier)]
    return works
