"""Runs both sides of every work in turn (A B A B) and prints one table; called by run.sh.

A side runs with the number of threads that it is fastest with: each number in --threads is tried once, before the pairs, with
a quarter of the steps. What is compared within one program has the most threads.
Ratios are of one round each; the table shows their median, lowest and highest. --json FILE keeps all of it.
"""
import argparse, json, os, statistics, subprocess, sys, time
import works as table

parser = argparse.ArgumentParser()
parser.add_argument("--build", required=True)
parser.add_argument("--folder", required=True, help="what prepare.py has made")
parser.add_argument("--json", metavar="FILE")
parser.add_argument("--pairs", type=int, default=5)
parser.add_argument("--only", action="append", metavar="NAME", help="one work (repeatable)")
parser.add_argument("--threads", default="1,2", help="numbers to try")
parser.add_argument("--device", default="cpu", help="cuda: steps and predictions on a GPU, of a build with CUDA")
parser.add_argument("--quick", action="store_true", help="two steps a side: shows that all runs; figures mean little")
args = parser.parse_args()
started = time.perf_counter()
thread_counts = [int(n) for n in args.threads.split(",")]


class Failed(Exception):
    pass


def fail(command, text):
    raise Failed(" ".join(command) + "\n" + text)


def first_line(command, environment):
    """Seconds until the process has printed a line, and its peak memory."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    line = process.stdout.readline()
    seconds = time.perf_counter() - start
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0 or not line:
        fail(command, "printed nothing")
    return {"seconds": seconds, "peak_bytes": usage.ru_maxrss * 1024}


def run(side, threads, steps=None):
    command = [part.replace("{threads}", str(threads)).replace("{steps}", str(steps or side.steps)) for part in side.command]
    environment = {**os.environ, **side.environment}
    if side.first_line:
        return first_line(command, environment)
    out = subprocess.run(command, env=environment, capture_output=True, text=True)
    if out.returncode != 0:
        fail(command, out.stderr)
    return json.loads(out.stdout.splitlines()[-1])


def best_threads(work):
    """For each side."""
    most = max(thread_counts)
    if len(thread_counts) == 1 or len(work.sides) == 1:
        return {name: most for name in work.sides}
    rate = lambda side, threads: run(side, threads, max(2, side.steps // 4))["rate"]
    return {name: max(thread_counts, key=lambda n: rate(side, n)) if "{threads}" in side.command else most for name, side in work.sides.items()}


def check_same_work(work, r):
    """Both sides must have had the same tokens and, predicting, the same answers."""
    for key, tolerance in (("tokens", 0), ("mean_of_class_0", work.tolerance)):
        values = {name: result[key] for name, result in r.items() if key in result and name != "grouped"}
        if values and max(values.values()) - min(values.values()) > tolerance:
            raise Failed(f"the sides did different work: {key} {values}")


def measure(work):
    """One dictionary for each row of the work."""
    threads = best_threads(work)
    rounds = []
    for _ in range(args.pairs):
        rounds.append({name: run(side, threads[name]) for name, side in work.sides.items()})
        check_same_work(work, rounds[-1])
    out = []
    for row in work.rows:
        pairs = [row.pair(r) for r in rounds]
        ratios = sorted(ours / peer for ours, peer in pairs)
        ratio = statistics.median(ratios)
        met = None if row.target is None else ratio >= row.target if row.at_least else ratio <= row.target
        out.append({"work": work.key, "name": row.name, "unit": row.unit, "ours": statistics.median(p[0] for p in pairs),
                    "peer": statistics.median(p[1] for p in pairs), "ratio": ratio, "lowest": ratios[0], "highest": ratios[-1],
                    "target": row.target, "at_least": row.at_least, "met": met})
    return {"rows": out, "threads": threads, "sides": {name: r["side"] for name, r in rounds[0].items() if "side" in r}, "rounds": rounds}


def number(x):
    return f"{x:.0f}" if x >= 1000 else f"{x:.4g}"


def print_row(row):
    target = "" if row["met"] is None else ("" if row["at_least"] else "<=") + f"{row['target']:g}"
    print(f"{row['name']:<56}{number(row['ours']):>10}{number(row['peer']):>10} {row['unit']:<9}{row['ratio']:>6.2f}"
          f"{' (%.2f-%.2f)' % (row['lowest'], row['highest']):<16}{target:>7}  { {True: 'met', False: 'MISSED', None: ''}[row['met']]}", flush=True)


def bench_json(name, *arguments):
    return run(table.Side([os.path.join(args.build, "bench", "bench_" + name), *arguments]), 1)


machines = [bench_json("machine", "--threads", str(threads)) for threads in thread_counts]
facts = machines[0]
print(f"{facts['cpu']}, {os.cpu_count()} CPUs, {facts['isa']}, L3 {facts['cache_bytes'] >> 20} MiB; {facts['gemm']}")
for m in machines:
    print(f"  {m['threads']} thread(s): FMA {m['fma_gflops']:.0f} GFLOP/s, memory: copy {m['copy_gbs']:.1f}, triad {m['triad_gbs']:.1f}, "
          f"read {m['read_gbs']:.1f} GB/s")
print(f"{args.pairs} pairs in turn, medians; each side with the best of {args.threads} thread(s)" + ("; QUICK: no figures" if args.quick else ""))
print(f"{'work':<56}{'ours':>10}{'peer':>10} {'':<9}{'ratio':>6}{' (low-high)':<16}{'target':>7}")

programs = table.Programs(args.build, os.path.join(args.build, "holdfast"), args.folder, args.quick)
shapes = lambda *model: json.dumps(bench_json("gemm", *model, "--full", "32x128", "--steps", "1")["products"])
minilm = shapes("--model", programs.path("classifier"))
works = (table.all_works(programs, minilm, facts["missing_for_bf16"]) if args.device == "cpu" else
         table.all_device_works(programs, args.device, minilm, shapes("--config", programs.path("base.json"))))
for name in args.only or []:
    if name not in [work.key for work in works]:
        sys.exit(f"bench-peers: --only {name}: there are " + ", ".join(work.key for work in works))
results = {"machine": machines, "pairs": args.pairs, "quick": args.quick, "works": {}}
sides, failures = {}, 0
for work in works:
    if args.only and work.key not in args.only:
        continue
    if work.missing:
        print(f"{work.key}: left out: {work.missing}")
        continue
    try:
        result = results["works"][work.key] = measure(work)
    except Failed as reason:
        print(f"{work.key}: FAILED: {reason}", flush=True)
        failures += 1
        continue
    sides.update({result["sides"][name]: None for name in ("ours", "torch", "dynamic", "onnx") if name in result["sides"]})
    for row in result["rows"]:
        print_row(row)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(results, file, indent=1)
print("sides: " + "; ".join(sides) + f"; {(time.perf_counter() - started) / 60:.0f} minutes")
if args.json:
    print("all figures: " + args.json)
sys.exit(1 if failures else 0)
