"""What the PyTorch scripts of bench-peers share: the command line, batches, and the JSON line."""
import argparse, csv, json, resource, time


def parse(description, **more):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model")
    parser.add_argument("--config", help="a config.json: random weights")
    parser.add_argument("--full", metavar="BxT", help="batches of B texts of T tokens")
    parser.add_argument("--data", help="CSV file of texts, in order")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--steps", type=int, default=6, help="batches, after one that warms up")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="f32", choices=["f32", "tf32", "bf16"])
    parser.add_argument("--compile", action="store_true", help="by torch.compile")
    for name, options in more.items():
        parser.add_argument("--" + name, **options)
    return parser.parse_args()


def encode_texts(args):
    """Token ids of every text of the file, cut, without padding."""
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    with open(args.data, newline="", encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    return tokenizer(texts, truncation=True, max_length=args.max_length)["input_ids"]


def grouped_by_length(ids, batch, steps):
    """Of the batches that the Trainer's group_by_length makes of these texts, `steps` from the longest to the shortest."""
    ids = sorted(ids, key=len, reverse=True)
    batches = [ids[i:i + batch] for i in range(0, len(ids), batch)]
    return [batches[(2 * i + 1) * len(batches) // (2 * steps)] for i in range(steps)]


def padded(ids):
    """A batch padded to its longest text."""
    import torch
    longest = max(map(len, ids))
    return {"input_ids": torch.tensor([row + [0] * (longest - len(row)) for row in ids]),
            "attention_mask": torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])}


def make_batches(args, grouped=False):
    if args.full:  # the texts of bench/workload.h
        B, T = map(int, args.full.split("x"))
        ids = [[1000 + (n * 7919 + t * 104729) % 19000 for t in range(T)] for n in range((args.steps + 1) * B)]
        return [padded(ids[i * B:(i + 1) * B]) for i in range(args.steps + 1)]
    ids = encode_texts(args)
    if grouped:
        return [padded(rows) for rows in [ids[:args.batch]] + grouped_by_length(ids, args.batch, args.steps)]
    return [padded(ids[i * args.batch:(i + 1) * args.batch]) for i in range(args.steps + 1)]


def set_up(args):
    """The precision of products, and a context for forward passes. TF32 is off unless asked for, as it is in ours."""
    import torch
    torch.set_num_threads(args.threads)
    torch.manual_seed(7)
    torch.backends.cuda.matmul.allow_tf32 = args.precision == "tf32"
    return torch.autocast(args.device.split(":")[0], torch.bfloat16, enabled=args.precision == "bf16")


def clock(args):
    """The time when the device has done what it was asked for."""
    import torch
    if args.device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()


def tokens_of(batches):
    """Real ones, without padding."""
    return sum(int(batch["attention_mask"].sum()) for batch in batches)


def finish(args, side, **results):
    if args.device != "cpu":
        import torch
        results["peak_tensor_bytes"] = torch.cuda.max_memory_allocated()
        side += ", " + torch.cuda.get_device_name()
    print(json.dumps({"side": side, **results, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
