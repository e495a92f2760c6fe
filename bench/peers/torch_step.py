"""One side of bench-peers: training steps of a BERT classifier in PyTorch eager with fused AdamW. Prints one JSON object.

usage: torch_step.py --model DIR (--full BATCHxTOKENS | --data FILE.csv --batch N --max-length T) --steps N --threads N
"""
import argparse, csv, json, resource, statistics, time
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--full")
parser.add_argument("--data")
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--max-length", type=int, default=128)
parser.add_argument("--steps", type=int, default=6)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()

torch.set_num_threads(args.threads)
torch.manual_seed(7)
model = AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=4, attn_implementation="sdpa")
model.train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01, fused=True)

batches = []
if args.full:
    b, t = map(int, args.full.split("x"))
    ids = torch.randint(1000, 20000, (b, t))
    batches = [dict(input_ids=ids, attention_mask=torch.ones_like(ids))] * (args.steps + 1)
    real = [b * t] * (args.steps + 1)
else:
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    with open(args.data, newline="", encoding="utf-8") as f:
        texts = [row["text"] for row in csv.DictReader(f)]
    for i in range(args.steps + 1):
        part = texts[i * args.batch:(i + 1) * args.batch]
        enc = tokenizer(part, truncation=True, max_length=args.max_length, padding="longest", return_tensors="pt")
        batches.append(dict(input_ids=enc["input_ids"], attention_mask=enc["attention_mask"]))
    real = [int(b["attention_mask"].sum()) for b in batches]

seconds = []
for batch in batches:
    labels = torch.arange(len(batch["input_ids"])) % 4
    start = time.perf_counter()
    loss = model(**batch, labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    seconds.append(time.perf_counter() - start)
tokens_per_second = [n / s for n, s in zip(real[1:], seconds[1:])]
print(json.dumps({"side": "pytorch " + torch.__version__, "tokens_per_second": sum(real[1:]) / sum(seconds[1:]),
                  "median_step_seconds": statistics.median(seconds[1:]),
                  "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
