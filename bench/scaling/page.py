"""Puts the tables of what run.py measured into a page: page.py FILE.md FOLDER.

A table stands between the lines <!-- measured: NAME --> and <!-- end -->, NAME one of scaling.csv's quantities, "machine", "kernels" or "memory".
"""
import csv, json, os, re, sys

NAMES = {"tokens": "tokens a text", "batch": "texts a batch"}
MIB = 2**20


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def rounded(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def scaling_table(quantity, rows):
    """A line for each value; times of every number of threads, all else of one thread."""
    of_it = [row for row in rows if row["quantity"] == quantity]
    threads = sorted({int(row["threads"]) for row in of_it}) if quantity != "threads" else []
    lines = []
    for row in of_it:
        if threads and int(row["threads"]) != threads[0]:
            continue
        same = [other for other in of_it if other[quantity] == row[quantity]]
        milliseconds = [rounded(1e3 * float(other["step_seconds"])) for other in same]
        lines.append([row[quantity], *milliseconds, rounded(1e3 * float(row["fixed_seconds"])), rounded(1e6 / float(row["tokens_per_second"])),
                      rounded(float(row["gflops"])), rounded(float(row["peak_bytes"]) / MIB), rounded(float(row["peak_tensor_bytes"]) / MIB)])
    times = [f"ms, {n} thread{'s' if n > 1 else ''}" for n in threads] or ["ms"]
    return table([NAMES.get(quantity, quantity), *times, "fixed ms", "us a token", "GFLOP/s", "peak MiB", "of tensors"], lines)


def machine_line(machine):
    return (f"{machine['cpu']}, {machine['cpus']} CPUs, {machine['isa']}, last-level cache {machine['cache_bytes'] >> 20} MiB; {machine['gemm']}. "
            f"One thread: {machine['fma_gflops']:.0f} GFLOP/s of f32 multiply-adds, {machine['bf16_gflops']:.0f} of bf16; memory: "
            f"copy {machine['copy_gbs']:.0f}, update in place {machine['update_gbs']:.0f}, read {machine['read_gbs']:.0f} GB/s.")


def kernel_table(text):
    """From the table that bench_kernels prints: columns of 40 and 22 characters, then words."""
    rows = []
    for line in text.splitlines():
        words = line[62:].split()
        if len(words) < 4 or not words[-1].endswith("%"):
            continue
        bound = {"GB/s": "memory", "GFLOP/s": "arithmetic"}[words[2]] + (" (bf16)" if words[3] == "bf16" else "")
        rows.append([f"`{line[:40].strip()}`", bound, f"{float(words[0]):.0f} {words[2]}", f"{float(words[1]):.0f}", words[-1]])
    return table(["one thread", "held to", "rate", "ceiling", "share"], rows)


def memory_table(rows):
    """What a token adds to the tensors' peak, from the two largest batches, beside what the layers keep of it."""
    at = {int(row["batch"]): row for row in rows if row["quantity"] == "batch" and row["threads"] == "1"}
    low, high = sorted(at)[-2:]
    C, L, T = (int(at[low][name]) for name in ("width", "layers", "tokens"))
    measured = (float(at[high]["peak_tensor_bytes"]) - float(at[low]["peak_tensor_bytes"])) / ((high - low) * T)
    kept = (L - 1) * (64 * C + 4 * (C // 32)) + 16 * C
    return table([f"bytes a token, {L} layers, width {C}", ""],
                 [["at the peak, measured", f"{measured:.0f}"], ["kept by the layers: (L - 1) (64 C + 4 H) + 16 C", kept]])


def fill(page, folder):
    with open(os.path.join(folder, "scaling.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    with open(os.path.join(folder, "machine.json")) as file:
        machine = json.load(file)
    with open(os.path.join(folder, "kernels.txt")) as file:
        kernels = file.read()

    def content(name):
        made = {"machine": lambda: machine_line(machine), "kernels": lambda: kernel_table(kernels), "memory": lambda: memory_table(rows)}
        return made.get(name, lambda: scaling_table(name, rows))()
    with open(page) as file:
        text = file.read()
    text = re.sub(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", lambda m: m[1] + content(m[2]) + "\n" + m[3], text, flags=re.S)
    with open(page, "w") as file:
        file.write(text)


if __name__ == "__main__":
    fill(sys.argv[1], sys.argv[2])
