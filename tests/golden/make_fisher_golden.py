"""Makes tests/golden/fisher.safetensors: the Fisher diagonal of the model in tests/golden/bert_erf by torch.func.

    python3 tests/golden/make_fisher_golden.py        (needs torch, transformers, safetensors)

In double, one text at a time: J = d log p(y|x) / d theta for every class y by torch.func.jacrev, whole, then squared; so without
the factor B, without batches and without a padding mask. "true.NAME" is mean_n sum_y p_y J_y^2, "empirical.NAME" mean_n J_label^2, of the
parameter of that Hugging Face name. Of word and position embeddings only the rows that a text reads are kept ("rows.NAME"): the others are 0,
which is checked here. Versions are in the metadata.
"""

import pathlib

import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).parent
# A token that stands twice, a class that is observed twice, texts of several lengths.
TEXTS = [([17], [0]), ([3, 150, 42, 42], [0, 0, 0, 0]), ([9, 61, 5, 120, 7], [0, 0, 1, 1, 1]), ([42, 9, 42], [0, 1, 1])]
LABELS = [2, 0, 1, 0]
TABLES = ["bert.embeddings.word_embeddings.weight", "bert.embeddings.position_embeddings.weight"]


def main():
    torch.set_num_threads(1)
    model = transformers.BertForSequenceClassification.from_pretrained(
        HERE / "bert_erf", attn_implementation="eager", dtype=torch.float64).eval()
    parameters = {name: value.detach() for name, value in model.named_parameters()}
    true = {name: torch.zeros_like(value) for name, value in parameters.items()}
    empirical = {name: torch.zeros_like(value) for name, value in parameters.items()}
    for (ids, types), label in zip(TEXTS, LABELS):
        def log_p(theta):
            inputs = {"input_ids": torch.tensor([ids]), "token_type_ids": torch.tensor([types])}
            return torch.log_softmax(torch.func.functional_call(model, theta, (), inputs).logits[0], -1)

        p = log_p(parameters).exp()
        for name, jacobian in torch.func.jacrev(log_p)(parameters).items():  # (K, ...)
            true[name] += torch.tensordot(p, jacobian**2, 1) / len(TEXTS)
            empirical[name] += jacobian[label] ** 2 / len(TEXTS)
    golden = {}
    for name in parameters:
        for kind, fisher in (("true", true), ("empirical", empirical)):
            value = fisher[name]
            if name in TABLES:
                rows = torch.nonzero(true[name].sum(1)).flatten()
                golden["rows." + name] = rows.to(torch.int32)
                rest = value.clone()
                rest[rows] = 0
                assert not rest.any()
                value = value[rows]
            golden[f"{kind}.{name}"] = value.contiguous()
    golden["ids"] = torch.tensor(sum((ids for ids, _ in TEXTS), []), dtype=torch.int32)
    golden["type_ids"] = torch.tensor(sum((types for _, types in TEXTS), []), dtype=torch.int32)
    golden["lengths"] = torch.tensor([len(ids) for ids, _ in TEXTS], dtype=torch.int32)
    golden["labels"] = torch.tensor(LABELS, dtype=torch.int32)
    safetensors.torch.save_file(golden, HERE / "fisher.safetensors", metadata={
        "torch": torch.__version__, "transformers": transformers.__version__, "safetensors": safetensors.__version__,
        "script": "tests/golden/make_fisher_golden.py"})
    print(len(golden), "tensors")


if __name__ == "__main__":
    main()
