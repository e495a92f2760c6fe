"""Compares a trace of holdfast with the same model in transformers: every activation, every gradient, logits and loss.

    holdfast trace --model runs/news/model --text "Stocks rose on Friday." --label business \
                   --precision f64 -o trace.safetensors
    python3 compare.py runs/news/model trace.safetensors        (needs torch, transformers, safetensors)

Replace `forward` to compare an implementation of your own: it is given ids, token types and labels, and returns logits, loss,
{module path: output} and {parameter name: gradient}, with the rows of the texts one after another.
"""

import argparse
import json

import safetensors
import torch
import transformers


def read(path):
    with safetensors.safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


def forward(folder, dtype, texts, labels, label_names):
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, attn_implementation="eager", dtype=dtype).eval()
    names = [model.config.id2label[k] for k in range(model.config.num_labels)]
    if names != label_names:
        raise SystemExit(f"the trace is of the classes {label_names}, the first head of {folder} of {names}")
    outputs = {}

    def keep(name):
        def hook(module, inputs, output):
            value = output if torch.is_tensor(output) else output[0]
            outputs.setdefault(name, []).append(value.detach().reshape(-1, value.shape[-1]))
        return hook

    for name, module in model.named_modules():
        module.register_forward_hook(keep(name))
    logits = torch.cat([model(input_ids=ids[None].long(), token_type_ids=types[None].long()).logits
                        for ids, types in texts])  # one by one: no padding
    loss = torch.nn.functional.cross_entropy(logits, labels.long())
    loss.backward()
    activations = {name: torch.cat(parts) for name, parts in outputs.items()}
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return logits.detach(), loss.detach(), activations, gradients


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("trace")
    parser.add_argument("--all", action="store_true", help="print every tensor, not only the worst of each kind")
    parser.add_argument("--bound", type=float, help="exit with status 1 when a difference is larger")
    arguments = parser.parse_args()
    trace, metadata = read(arguments.trace)
    offsets = trace["offsets"].tolist()
    texts = [(trace["input_ids"][begin:end], trace["token_type_ids"][begin:end])
             for begin, end in zip(offsets, offsets[1:])]
    logits, loss, activations, gradients = forward(
        arguments.model, trace["logits"].dtype, texts, trace["labels"], json.loads(metadata["labels"]))
    theirs = {"logits": logits, "loss": loss}
    theirs.update({"act." + name: value for name, value in activations.items()})
    theirs.update({"grad." + name: value for name, value in gradients.items()})

    # A key's bias has no gradient but rounding (softmax does not feel it), so it is compared on the query's scale.
    given = {"input_ids", "token_type_ids", "offsets", "labels"}
    missing = sorted(name for name in theirs if name.startswith("grad.") and name not in trace)
    if missing:
        raise SystemExit(f"{arguments.trace}: has no {missing[0]} ({len(missing)} missing)")
    rows = []
    for name, ours in trace.items():
        if name in given:
            continue
        if name not in theirs or ours.shape != theirs[name].shape:
            raise SystemExit(f"{arguments.trace}: {name} is of another model than {arguments.model}")
        difference = (ours - theirs[name]).abs().max().item()
        scale = theirs[name.replace("key.bias", "query.bias")].abs().max().item()
        rows.append((name, difference, difference / scale if scale > 0 else difference))
    print(f"{metadata['task']} ({', '.join(json.loads(metadata['labels']))}), {metadata['precision']}, "
          f"{len(texts)} texts, {offsets[-1]} tokens")
    print(f"{'':60} {'difference':>10}  {'relative':>9}")
    kinds = {"logits": "logits", "loss": "loss", "act.": "activations", "grad.": "gradients"}
    for begin, kind in kinds.items():
        of_kind = [row for row in rows if row[0].startswith(begin)]
        if len(of_kind) > 1:
            print(f"{len(of_kind)} {kind}, the worst:")
        shown = of_kind if arguments.all else [max(of_kind, key=lambda row: (row[2] != row[2], row[2]))]  # NaN first
        for name, difference, relative in shown:
            print(f"{name:60} {difference:10.1e}  {relative:9.1e}")
    beyond = arguments.bound is not None and not all(relative <= arguments.bound for _, _, relative in rows)  # NaN is
    raise SystemExit(1 if beyond else 0)


if __name__ == "__main__":
    main()
