"""Runs both sides in turn and prints a table of medians. Called by run.sh."""
import argparse, json, os, platform, statistics, subprocess, sys

parser = argparse.ArgumentParser()
parser.add_argument("--ours", required=True)
parser.add_argument("--model", required=True)
parser.add_argument("--news")
parser.add_argument("--pairs", type=int, default=5)
parser.add_argument("--threads", default="2")
args = parser.parse_args()
here = os.path.dirname(os.path.abspath(__file__))


def run(command):
    out = subprocess.run(command, capture_output=True, text=True)
    if out.returncode != 0:
        sys.exit("bench-peers: " + " ".join(command) + "\n" + out.stderr)
    return json.loads(out.stdout.splitlines()[-1])


cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
print(f"{cpu}, {os.cpu_count()} CPUs, {args.threads} threads, {args.pairs} pairs in turn, medians")
print(f"{'work':<44}{'ours tok/s':>12}{'peer tok/s':>12}{'ratio':>8}{'  (lowest-highest)':<20}{'peak, ours/peer':>16}")
works = [("MiniLM step, 32 x 128 tokens, full", ["--full", "32x128", "--steps", "5"])]
if args.news:
    works.append(("MiniLM steps, news texts, batches of 32", ["--data", args.news, "--max-length", "128", "--batch", "32", "--steps", "12"]))
for name, work in works:
    ours, peers = [], []
    for _ in range(args.pairs):
        ours.append(run([args.ours, "--model", args.model, "--threads", args.threads, *work]))
        peers.append(run([sys.executable, os.path.join(here, "torch_step.py"), "--model", args.model, "--threads", args.threads, *work]))
    rate = lambda runs: statistics.median(r["tokens_per_second"] for r in runs)
    ratios = sorted(a["tokens_per_second"] / b["tokens_per_second"] for a, b in zip(ours, peers))
    memory = statistics.median(r["peak_bytes"] for r in ours) / statistics.median(r["peak_bytes"] for r in peers)
    print(f"{name:<44}{rate(ours):>12.0f}{rate(peers):>12.0f}{statistics.median(ratios):>8.2f}"
          f"{f'  ({ratios[0]:.2f}-{ratios[-1]:.2f})':<20}{memory:>16.2f}")
    print(f"  {ours[0]['side']} / {peers[0]['side']}")
