"""Selection at full scale beside scikit-learn: both read the same CSV files and write what they keep, in turn.

usage: run.py --ours build/holdfast [--pairs 3] [--old 500000] [--new 10000] [--count 50000]
Any Python with scikit-learn. Prints medians of wall time, CPU time and peak memory, and whether both kept the same texts.
"""
import argparse, csv, os, platform, statistics, subprocess, sys, tempfile, time

parser = argparse.ArgumentParser()
parser.add_argument("--ours", required=True, help="the holdfast program")
parser.add_argument("--pairs", type=int, default=3)
parser.add_argument("--old", type=int, default=500_000)
parser.add_argument("--new", type=int, default=10_000)
parser.add_argument("--count", type=int, default=50_000)
args = parser.parse_args()
here = os.path.dirname(os.path.abspath(__file__))


def measure(command):
    """Wall seconds, CPU seconds, peak bytes of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit("bench/selection: failed: " + " ".join(command))
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def median(runs, i):
    return statistics.median(run[i] for run in runs)


with tempfile.TemporaryDirectory() as folder:
    path = lambda name: os.path.join(folder, name)
    subprocess.run([sys.executable, os.path.join(here, "texts.py"), folder, "--old", str(args.old), "--new", str(args.new)], check=True)
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    print(f"{cpu}, {os.cpu_count()} CPUs; {args.count} kept of {args.old}, new task of {args.new}; {args.pairs} pairs in turn, medians")
    print(f"{'work':<36}{'ours s':>9}{'peer s':>9}{'ratio':>7}{'  (lowest-highest)':<20}{'CPU s':>13}{'peak MiB':>14}  same texts")
    for name, options in [("scores and top-k", ["--diversity", "0", "--quota", "none"]),
                          ("class quota, diversity 0.3", ["--diversity", "0.3", "--quota", "class"])]:
        ours, peers = [], []
        for _ in range(args.pairs):
            ours.append(measure([args.ours, "select", "--quiet", "--old", path("old.csv"), "--new", path("new.csv"),
                                 "--count", str(args.count), "-o", path("ours.csv"), *options]))
            peers.append(measure([sys.executable, os.path.join(here, "sklearn_select.py"), path("old.csv"), path("new.csv"),
                                  "--count", str(args.count), "-o", path("peers.txt"), *options]))
        ratios = sorted(b[0] / a[0] for a, b in zip(ours, peers))
        with open(path("ours.csv"), newline="", encoding="utf-8") as file:
            kept = [row["line"] for row in csv.DictReader(file)]
        same = kept == open(path("peers.txt")).read().split()
        print(f"{name:<36}{median(ours, 0):>9.1f}{median(peers, 0):>9.1f}{statistics.median(ratios):>7.2f}"
              f"{f'  ({ratios[0]:.2f}-{ratios[-1]:.2f})':<20}{f'{median(ours, 1):.1f}/{median(peers, 1):.1f}':>13}"
              f"{f'{median(ours, 2) / 2**20:.0f}/{median(peers, 2) / 2**20:.0f}':>14}  {'yes, in order' if same else 'no'}", flush=True)
