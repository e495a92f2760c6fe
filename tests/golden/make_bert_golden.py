"""Makes the golden files of a small random BERT: tests/golden/bert_{erf,tanh}/.

    python3 tests/golden/make_bert_golden.py        (needs torch, transformers, safetensors, numpy)

bert_erf/ is a model as transformers saves it (f32; weights of deviation 0.2, so that attention is far from uniform); bert_tanh/
has the same weights, so that only its config.json is kept. golden.safetensors: packed inputs, labels, and what transformers
computes in double precision with eager attention: logits, loss, every gradient and the losses of ten AdamW steps. Versions are
in the metadata.
"""

import pathlib

import numpy
import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).parent
LENGTHS = [1, 2, 3, 7, 16, 33, 64, 129, 512]  # tokens of the single texts
PAIRS = [(5, 9), (40, 23)]  # tokens of the first and the second text of a pair
LABELS = 3
STEPS, RATE, DECAY = 10, 1e-3, 0.01


def make_model(activation):
    config = transformers.BertConfig(
        vocab_size=200, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=512, hidden_act=activation, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, num_labels=LABELS, attn_implementation="eager",
        id2label={0: "one", 1: "two", 2: "three"}, label2id={"one": 0, "two": 1, "three": 2})
    model = transformers.BertForSequenceClassification(config)
    generator = torch.Generator().manual_seed(20260101)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1.0 + 0.1 * noise if name.endswith("LayerNorm.weight") else 0.2 * noise)
    return model.eval()


def make_inputs():
    generator = torch.Generator().manual_seed(7)
    ids, types = [], []
    for first, second in [(n, 0) for n in LENGTHS] + PAIRS:
        # 1..199: row 0 is [PAD], whose gradient transformers leaves out; a packed batch has no [PAD]
        ids.append(torch.randint(1, 200, (first + second,), generator=generator))
        types.append(torch.tensor([0] * first + [1] * second))
    return ids, types, torch.randint(0, LABELS, (len(ids),), generator=generator)


def padded(rows):
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


def forward(model, ids, types, labels):
    mask = padded([torch.ones_like(row) for row in ids])
    return model(input_ids=padded(ids), token_type_ids=padded(types), attention_mask=mask, labels=labels)


def adamw_losses(model, ids, types, labels):
    plain = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
    decayed = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": DECAY},
                                   {"params": plain, "weight_decay": 0.0}], lr=RATE, betas=(0.9, 0.999), eps=1e-8)
    losses = []
    for _ in range(STEPS):
        loss = forward(model, ids, types, labels).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return torch.tensor(losses, dtype=torch.float64)


def make(name, activation):
    ids, types, labels = make_inputs()
    model = make_model(activation)
    folder = HERE / name
    model.save_pretrained(folder)
    golden = {
        "ids": torch.cat(ids).int(), "type_ids": torch.cat(types).int(),
        "lengths": torch.tensor([len(row) for row in ids], dtype=torch.int32), "labels": labels.int(),
    }
    exact = make_model(activation).double()
    out = forward(exact, ids, types, labels)
    out.loss.backward()
    golden["logits"], golden["loss"] = out.logits.detach(), out.loss.detach()
    for parameter_name, parameter in exact.named_parameters():
        golden["grad." + parameter_name] = parameter.grad
    golden["losses"] = adamw_losses(make_model(activation).double(), ids, types, labels)
    safetensors.torch.save_file(golden, folder / "golden.safetensors", metadata={
        "torch": torch.__version__, "transformers": transformers.__version__,
        "safetensors": safetensors.__version__, "numpy": numpy.__version__,
        "script": "tests/golden/make_bert_golden.py"})
    print(name, out.loss.item(), golden["losses"].tolist())


if __name__ == "__main__":
    torch.set_num_threads(1)
    make("bert_erf", "gelu")
    make("bert_tanh", "gelu_new")
    (HERE / "bert_tanh" / "model.safetensors").unlink()
