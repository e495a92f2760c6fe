"""How time and memory of a training step grow: with tokens, texts, layers, width, classes and threads, one at a time from one point.

usage: run.py --build build --out FOLDER [--rounds 3] [--page FILE.md] [--quick]
Writes scaling.csv, machine.json, kernels.txt (what bounds each operation, of bench_kernels), a drawing for each quantity (plot.py), and
the tables of the page (page.py). Every figure is of a process of its own; time is the median step's, the median over rounds. Fixed
seconds are a step's on one text of two tokens: what a step costs however little it learns from. Only Python's own library is needed.
"""
import argparse, csv, json, os, statistics, subprocess, sys
import page, plot

BASE = {"tokens": 128, "batch": 32, "layers": 6, "width": 384, "classes": 4, "threads": 1}
SWEEPS = {
    "tokens": [16, 32, 64, 128, 256, 512],
    "batch": [1, 2, 4, 8, 16, 32, 64],
    "layers": [1, 2, 4, 6, 8, 12],
    "width": [128, 256, 384, 512, 768, 1024],
    "classes": [2, 4, 16, 64, 256, 1024],
    "threads": [],  # 1, 2, 4, ... as many as there are CPUs
}
RESULTS = ["step_seconds", "fixed_seconds", "tokens_per_second", "gflops", "peak_bytes", "peak_tensor_bytes"]
KERNELS = r"^(op\.|layer\.).* minilm full|^update\.(adamw|sum_squares)|^round\.|^gemm.* 4096x384x1536"


def points(cpus):
    """(quantity, settings): tokens and texts with one thread and with all."""
    counts = sorted({1, cpus, *(2**i for i in range(cpus.bit_length()) if 2**i <= cpus)})
    for quantity, values in {**SWEEPS, "threads": counts}.items():
        for threads in (sorted({1, cpus}) if quantity in ("tokens", "batch") else [1]):
            for value in values:
                yield quantity, {**BASE, "threads": threads, quantity: value}


def config(s):
    """config.json of these sizes, heads of 32 channels."""
    return {"model_type": "bert", "architectures": ["BertModel"], "vocab_size": 30522, "max_position_embeddings": 512,
            "num_hidden_layers": s["layers"], "hidden_size": s["width"], "num_attention_heads": s["width"] // 32,
            "intermediate_size": 4 * s["width"], "hidden_act": "gelu"}


def output_of(program, *arguments):
    out = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if out.returncode != 0:
        sys.exit("bench-scaling: " + out.stderr)
    return out.stdout


class Steps:
    """Runs bench_step; what a model's steps cost however few tokens is measured once a round."""

    def __init__(self, program, folder, steps):
        self.program, self.config, self.steps, self.fixed = program, os.path.join(folder, "config.json"), steps, {}

    def run(self, s, full, steps):
        with open(self.config, "w") as file:
            json.dump(config(s), file)
        return json.loads(output_of(self.program, "--config", self.config, "--full", full, "--classes", s["classes"],
                                    "--threads", s["threads"], "--steps", steps))

    def measure(self, s):
        model = tuple(s[name] for name in ("layers", "width", "classes", "threads"))
        if model not in self.fixed:
            self.fixed[model] = self.run(s, "1x2", 4 * self.steps)["step_seconds"]
        out = self.run(s, f"{s['batch']}x{s['tokens']}", self.steps)
        return {**out, "tokens_per_second": out["rate"], "fixed_seconds": self.fixed[model]}


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--page", metavar="FILE.md", help="put the tables into this page")
    parser.add_argument("--quick", action="store_true", help="one round of one step of a small model: shows that all runs")
    args = parser.parse_args()
    if args.quick:
        args.rounds = args.steps = 1
        BASE.update(batch=4, layers=2, width=128)
    os.makedirs(args.out, exist_ok=True)
    bench, out = (lambda name: os.path.join(args.build, "bench", name)), (lambda name: os.path.join(args.out, name))
    write(out("machine.json"), json.dumps(json.loads(output_of(bench("bench_machine"))), indent=1) + "\n")
    write(out("kernels.txt"), output_of(bench("bench_kernels"), "--benchmark_filter=" + KERNELS,
                                        f"--benchmark_min_time={0.01 if args.quick else 0.5}"))
    works = list(points(len(os.sched_getaffinity(0))))
    runs = [[] for _ in works]
    for round_ in range(args.rounds):
        steps = Steps(bench("bench_step"), args.out, args.steps)
        for i, (quantity, settings) in enumerate(works):
            runs[i].append(steps.measure(settings))
            print(f"round {round_ + 1} of {args.rounds}, {i + 1} of {len(works)}: {quantity} {settings[quantity]}", file=sys.stderr)
    os.remove(out("config.json"))
    with open(out("scaling.csv"), "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["quantity", *BASE, *RESULTS])
        for (quantity, settings), results in zip(works, runs):
            writer.writerow([quantity, *settings.values(), *(f"{statistics.median(r[key] for r in results):.6g}" for key in RESULTS)])
    print(out("scaling.csv"))
    for drawing in plot.draw_all(out("scaling.csv"), args.out, BASE):
        print(drawing)
    if args.page:
        page.fill(args.page, args.out)
        print(args.page)


if __name__ == "__main__":
    main()
