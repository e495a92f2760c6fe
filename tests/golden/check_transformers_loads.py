"""Shows that transformers loads a directory that holdfast saved; run by hand.

    python3 tests/golden/check_transformers_loads.py SAVED [ORIGINAL]        (needs torch, transformers)

Every tensor must be found and used. With ORIGINAL, a directory of the same weights that transformers saved, the logits of both
must be equal bit for bit.
"""

import sys

import torch
import transformers


def load(folder):
    model, info = transformers.AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    problems = {kind: names for kind, names in info.items() if names}
    assert not problems, f"{folder}: {problems}"
    return model.eval()


def main(saved, original=None):
    torch.set_num_threads(1)
    model = load(saved)
    labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
    ids = torch.randint(1, model.config.vocab_size, (4, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = model(input_ids=ids).logits
        if original is not None:
            assert torch.equal(logits, load(original)(input_ids=ids).logits), "the logits differ"
    print(f"transformers {transformers.__version__} loads {saved}: labels {labels}, dtype {model.dtype}, "
          f"problem_type {model.config.problem_type}, logits {'equal' if original else logits[0].tolist()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
