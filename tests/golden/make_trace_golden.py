"""Makes tests/golden/trace.safetensors: what every module of the model in tests/golden/bert_erf gives in transformers.

    python3 tests/golden/make_trace_golden.py        (needs torch, transformers, safetensors)

Double precision, eager attention, one text at a time, so without padding; the rows of the texts one after another. Modules are
named as named_modules() names them; of those that give the same tensor only the first is kept, the others are in the metadata
("same": other name -> name). Versions are in the metadata.
"""

import json
import pathlib

import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).parent
TEXTS = [([17], [0]), ([3, 150, 42, 42], [0, 0, 0, 0]), ([9, 61, 5, 120, 7], [0, 0, 1, 1, 1])]
LABELS = [2, 0, 1]


def main():
    torch.set_num_threads(1)
    model = transformers.BertForSequenceClassification.from_pretrained(
        HERE / "bert_erf", attn_implementation="eager", dtype=torch.float64).eval()
    seen = {}

    def keep(name):
        def hook(module, inputs, output):
            value = output if torch.is_tensor(output) else output[0]
            seen.setdefault(name, []).append(value.detach().reshape(-1, value.shape[-1]))
        return hook

    for name, module in model.named_modules():
        if name not in ("", "bert") and not name.endswith("self.dropout"):  # several outputs; the probabilities
            module.register_forward_hook(keep(name))
    for ids, types in TEXTS:
        model(input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([types]))
    golden, same = {}, {}
    for name, parts in seen.items():
        rows = torch.cat(parts)
        first = next((kept for kept, value in golden.items() if torch.equal(value, rows)), None)
        if first is None:
            golden[name] = rows
        else:
            same[name] = first
    golden = {"act." + name: value for name, value in golden.items()}
    golden["ids"] = torch.tensor(sum((ids for ids, _ in TEXTS), []), dtype=torch.int32)
    golden["type_ids"] = torch.tensor(sum((types for _, types in TEXTS), []), dtype=torch.int32)
    golden["lengths"] = torch.tensor([len(ids) for ids, _ in TEXTS], dtype=torch.int32)
    golden["labels"] = torch.tensor(LABELS, dtype=torch.int32)
    safetensors.torch.save_file(golden, HERE / "trace.safetensors", metadata={
        "same": json.dumps(same), "torch": torch.__version__, "transformers": transformers.__version__,
        "safetensors": safetensors.__version__, "script": "tests/golden/make_trace_golden.py"})
    print(len(golden), "tensors,", len(same), "further names")


if __name__ == "__main__":
    main()
