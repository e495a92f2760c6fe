"""How time and memory of a training step grow: with tokens, texts, layers, width, classes and threads, one at a time from one point.

usage: run.py --build build --out FOLDER [--rounds 3] [--quick]
Writes scaling.csv, machine.json and a drawing for each quantity (plot.py). Every figure is of a process of its own; time is the median step's,
the median over rounds. Only Python's own library is needed.
"""
import argparse, csv, json, os, statistics, subprocess, sys
import plot

BASE = {"tokens": 128, "batch": 32, "layers": 6, "width": 384, "classes": 4, "threads": 1}
SWEEPS = {
    "tokens": [16, 32, 64, 128, 256, 512],
    "batch": [1, 2, 4, 8, 16, 32, 64],
    "layers": [1, 2, 4, 6, 8, 12],
    "width": [128, 256, 384, 512, 768, 1024],
    "classes": [2, 4, 16, 64, 256, 1024],
    "threads": [],  # 1, 2, 4, ... as many as there are CPUs
}
RESULTS = ["step_seconds", "tokens_per_second", "gflops", "peak_bytes", "peak_tensor_bytes"]


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


def call(program, *arguments):
    out = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if out.returncode != 0:
        sys.exit("bench-scaling: " + out.stderr)
    return json.loads(out.stdout)


def measure(program, folder, s, steps):
    path = os.path.join(folder, "config.json")
    with open(path, "w") as file:
        json.dump(config(s), file)
    out = call(program, "--config", path, "--full", f"{s['batch']}x{s['tokens']}", "--classes", s["classes"],
               "--threads", s["threads"], "--steps", steps)
    return {**out, "tokens_per_second": out["rate"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of one step of a small model: shows that all runs")
    args = parser.parse_args()
    if args.quick:
        args.rounds = args.steps = 1
        BASE.update(batch=4, layers=2, width=128)
    os.makedirs(args.out, exist_ok=True)
    program = os.path.join(args.build, "bench", "bench_step")
    machine = call(os.path.join(args.build, "bench", "bench_machine"))
    with open(os.path.join(args.out, "machine.json"), "w") as file:
        json.dump(machine, file, indent=1)
    cpus = len(os.sched_getaffinity(0))
    works = list(points(cpus))
    runs = [[] for _ in works]
    for round_ in range(args.rounds):
        for i, (quantity, settings) in enumerate(works):
            runs[i].append(measure(program, args.out, settings, args.steps))
            print(f"round {round_ + 1} of {args.rounds}, {i + 1} of {len(works)}: {quantity} {settings[quantity]}", file=sys.stderr)
    os.remove(os.path.join(args.out, "config.json"))
    path = os.path.join(args.out, "scaling.csv")
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["quantity", *BASE, *RESULTS])
        for (quantity, settings), results in zip(works, runs):
            writer.writerow([quantity, *settings.values(), *(f"{statistics.median(r[key] for r in results):.12g}" for key in RESULTS)])
    print(path)
    for drawing in plot.draw_all(path, args.out):
        print(drawing)


if __name__ == "__main__":
    main()
