"""Writes the golden files of the recipe's mathematics: tests/golden/recipe_{tfidf,adamw,schedules,statistics}.json.

Run from anywhere with torch, transformers, scikit-learn, scipy and numpy installed; every file states the versions.
"""

import json
import pathlib
import random

import numpy
import scipy
import scipy.stats
import sklearn
import sklearn.metrics
import torch
import transformers
from sklearn.feature_extraction.text import TfidfVectorizer

HERE = pathlib.Path(__file__).parent


def write(name, versions, content):
    made_by = {"script": pathlib.Path(__file__).name, **versions}
    (HERE / name).write_text(json.dumps({"made_by": made_by, **content}, indent=None) + "\n")


def reference_selection(rows, labels, old, count, diversity, quota_by_class):
    """Greedy maximal marginal relevance, every candidate looked at in every round."""
    target = rows[old:].mean(axis=0)
    scores = rows[:old] @ target / numpy.linalg.norm(target)
    classes = sorted(set(labels)) if quota_by_class else [None]
    members = {c: [i for i in range(old) if c is None or labels[i] == c] for c in classes}
    quota = {c: 0 for c in classes}
    while sum(quota.values()) < count:  # round robin over classes that have texts left
        for c in classes:
            if quota[c] < len(members[c]) and sum(quota.values()) < count:
                quota[c] += 1
    chosen_in_all = []
    for c in classes:
        candidates = sorted(members[c], key=lambda i: (-scores[i], i))[: 4 * quota[c]]
        chosen = []
        for _ in range(quota[c]):
            def value(i):
                repeats = max((rows[i] @ rows[j] for j in chosen), default=0.0)
                return (1 - diversity) * scores[i] - diversity * repeats
            best = max((i for i in candidates if i not in chosen), key=lambda i: (value(i), -i))
            chosen.append(best)
        chosen_in_all += chosen
    return scores, chosen_in_all


def tfidf():
    generator = random.Random(7)
    words = ["w%02d" % i for i in range(60)]

    def text(first, last):
        return " ".join(generator.choices(words[first:last], k=generator.randint(1, 14)))

    labels = [i % 3 if i < 30 else 0 for i in range(36)]
    old = [text(8 * labels[i], 8 * labels[i] + 30) for i in range(36)]
    new = [text(20, 60) for _ in range(15)]
    vectorizer = TfidfVectorizer(sublinear_tf=True, smooth_idf=True, norm="l2")
    matrix = vectorizer.fit_transform(old + new)
    rows = matrix.toarray()
    terms = vectorizer.get_feature_names_out().tolist()
    sparse = [{terms[j]: float(row[j]) for j in row.nonzero()[0]} for row in rows]
    selections = []
    for count, diversity, by_class in [(9, 0.3, True), (10, 0.0, False), (7, 0.8, True), (32, 0.3, True)]:
        scores, chosen = reference_selection(rows, labels, len(old), count, diversity, by_class)
        selections.append({"count": count, "diversity": diversity, "quota_by_class": by_class,
                           "chosen": chosen})
    write("recipe_tfidf.json", {"scikit-learn": sklearn.__version__, "numpy": numpy.__version__},
          {"old": [t.split() for t in old], "labels": labels, "new": [t.split() for t in new],
           "rows": sparse, "scores": scores.tolist(), "selections": selections})


def adamw():
    """A regression y = tanh(x W) with two groups; weights after every step in double."""
    torch.manual_seed(3)
    x = torch.randn(6, 4, dtype=torch.float64)
    y = torch.randn(6, 3, dtype=torch.float64)
    w = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    b = torch.randn(3, dtype=torch.float64, requires_grad=True)
    start = w.flatten().tolist() + b.tolist()
    optimizer = torch.optim.AdamW(
        [{"params": [w], "lr": 1e-2, "weight_decay": 0.1}, {"params": [b], "lr": 3e-2, "weight_decay": 0.0}],
        betas=(0.8, 0.95), eps=1e-6)
    steps = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = ((torch.tanh(x @ w + b) - y) ** 2).sum()
        loss.backward()
        gradient = w.grad.flatten().tolist() + b.grad.tolist()
        norm = torch.nn.utils.clip_grad_norm_([w, b], 1.5)
        optimizer.step()
        steps.append({"gradient": gradient, "norm": norm.item(), "loss": loss.item(),
                      "theta": w.flatten().tolist() + b.tolist()})
    write("recipe_adamw.json", {"torch": torch.__version__}, {"start": start, "steps": steps})


def schedules():
    tables = []
    for kind, total, warmup, ratio in [("cosine", 50, 3, 0.0), ("cosine", 50, 3, 0.05), ("cosine", 7, 0, 0.1),
                                       ("cosine", 10, 10, 0.5), ("linear", 40, 4, 0.0)]:
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        if kind == "linear":
            schedule = transformers.get_linear_schedule_with_warmup(optimizer, warmup, total)
        elif ratio == 0:
            schedule = transformers.get_cosine_schedule_with_warmup(optimizer, warmup, total)
        else:
            schedule = transformers.get_cosine_with_min_lr_schedule_with_warmup(
                optimizer, warmup, total, min_lr_rate=ratio)
        factors = []
        for _ in range(total):
            factors.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        tables.append({"kind": kind, "total": total, "warmup_steps": warmup, "minimum_ratio": ratio,
                       "factors": factors})
    write("recipe_schedules.json", {"transformers": transformers.__version__, "torch": torch.__version__},
          {"tables": tables})


def statistics():
    wilson = []
    for k, n in [(0, 10), (10, 10), (1, 1), (7, 20), (450, 500), (68, 100), (9999, 10000)]:
        interval = scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
        wilson.append([k, n, interval.low, interval.high])
    mcnemar = []
    for b, c in [(0, 0), (6, 0), (0, 5), (12, 2), (40, 25), (300, 210), (1500, 1300)]:
        p = scipy.stats.binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
        mcnemar.append([b, c, p])
    generator = random.Random(5)
    labels = [generator.randrange(4) for _ in range(80)]
    predicted = [y if generator.random() < 0.6 else generator.randrange(3) for y in labels]
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(5), zero_division=0)
    write("recipe_statistics.json", {"scipy": scipy.__version__, "scikit-learn": sklearn.__version__},
          {"wilson": wilson, "mcnemar": mcnemar, "labels": labels, "predicted": predicted,
           "precision": precision.tolist(), "recall": recall.tolist(), "f1": f1.tolist(),
           "support": support.tolist(),
           "accuracy": sklearn.metrics.accuracy_score(labels, predicted),
           "macro_f1": sklearn.metrics.f1_score(labels, predicted, average="macro", zero_division=0),
           "confusion": sklearn.metrics.confusion_matrix(labels, predicted, labels=range(5)).tolist()})


if __name__ == "__main__":
    tfidf()
    adamw()
    schedules()
    statistics()
