"""The other side: the same selection with scikit-learn, scipy and numpy. Prints one JSON object; writes the lines chosen.

usage: sklearn_select.py OLD.csv NEW.csv --count N --diversity D --quota class|none -o FILE
"""
import argparse, csv, json, resource, time
import numpy as np
import scipy
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer

parser = argparse.ArgumentParser()
parser.add_argument("old")
parser.add_argument("new")
parser.add_argument("--count", type=int, required=True)
parser.add_argument("--diversity", type=float, default=0.3)
parser.add_argument("--quota", default="class")
parser.add_argument("-o", "--output", required=True)
args = parser.parse_args()


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return zip(*((row["text"], row["label"]) for row in rows))


def mmr(rows, scores, count, diversity):
    """Greedy choice; the rows by term, so that a choice costs only the postings of its own terms."""
    by_term = rows.tocsc()
    base = (1 - diversity) * scores
    nearest = np.zeros(len(scores))
    free = np.ones(len(scores), dtype=bool)
    value = base.copy()
    product = np.zeros(len(scores))
    chosen = []
    for _ in range(count):
        best = int(np.argmax(value))
        chosen.append(best)
        free[best] = False
        product[:] = 0
        for k in range(rows.indptr[best], rows.indptr[best + 1]):
            t = rows.indices[k]
            span = slice(by_term.indptr[t], by_term.indptr[t + 1])
            product[by_term.indices[span]] += rows.data[k] * by_term.data[span]
        np.maximum(nearest, product, out=nearest)
        value = np.where(free, base - diversity * nearest, -np.inf)
    return chosen


def quotas(sizes, count):
    quota = np.zeros(len(sizes), dtype=int)
    while quota.sum() < count:  # fill all that still have texts, level by level
        open_classes = np.flatnonzero(quota < sizes)
        step = max(1, (count - quota.sum()) // len(open_classes))
        for c in open_classes:
            quota[c] += min(step, sizes[c] - quota[c], count - quota.sum())
    return quota


seconds, start = {}, time.perf_counter()


def lap(name):
    global start
    now = time.perf_counter()
    seconds[name] = now - start
    start = now


old, labels = read(args.old)
new, _ = read(args.new)
labels = np.array(labels)
lap("read")
vectorizer = TfidfVectorizer(sublinear_tf=True)
matrix = vectorizer.fit_transform(old + new)
lap("vectorize")
rows, target = matrix[:len(old)], np.asarray(matrix[len(old):].mean(axis=0)).ravel()
scores = rows @ (target / np.linalg.norm(target))
lap("score")
chosen = []
classes = [np.flatnonzero(labels == c) for c in sorted(set(labels))] if args.quota == "class" else [np.arange(len(old))]
for members, quota in zip(classes, quotas(np.array([len(m) for m in classes]), args.count)):
    order = members[np.argsort(-scores[members], kind="stable")]
    if args.diversity == 0:
        chosen += order[:quota].tolist()
        continue
    pool = np.sort(order[:4 * quota])
    chosen += pool[mmr(rows[pool], scores[pool], quota, args.diversity)].tolist()
lap("choose")
with open(args.output, "w") as out:
    out.writelines(f"{i + 2}\n" for i in chosen)
print(json.dumps({"seconds": seconds, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                  "side": f"scikit-learn {sklearn.__version__}, scipy {scipy.__version__}, numpy {np.__version__}"}))
