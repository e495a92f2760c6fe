"""Shows that PEFT loads an adapter that holdfast wrote; run by hand.

    python3 tests/golden/check_peft_loads.py BASE ADAPTER [MERGED]        (needs torch, transformers, peft)

BASE is the model folder that the adapter was trained on, MERGED a folder of the same model with the adapter merged in: the
logits of PEFT's model and of the merged one must agree to single precision.
"""

import sys
import warnings

import peft
import torch
import transformers


def main(base, adapter, merged=None):
    torch.set_num_threads(1)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        state = peft.utils.load_peft_weights(adapter, device="cpu")
        labels = len(state["base_model.model.classifier.bias"])  # the base may have another head
        model = peft.PeftModel.from_pretrained(
            transformers.AutoModelForSequenceClassification.from_pretrained(
                base, num_labels=labels, ignore_mismatched_sizes=True), adapter).eval()
    complaints = [str(w.message) for w in said if "adapter" in str(w.message).lower()]
    assert not complaints, complaints
    loaded = peft.get_peft_model_state_dict(model)
    assert loaded.keys() == state.keys() and all(torch.equal(loaded[k], state[k]) for k in state)
    ids = torch.randint(1, model.config.vocab_size, (4, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = model(input_ids=ids).logits
        if merged is not None:
            other = transformers.AutoModelForSequenceClassification.from_pretrained(merged).eval()
            error = ((other(input_ids=ids).logits - logits).abs().max() / logits.abs().max()).item()
            assert error < 1e-5, error
    print(f"peft {peft.__version__}, transformers {transformers.__version__}: {len(state)} tensors of {adapter} loaded"
          + (f", logits as merged to {error:.1e}" if merged else ""))


if __name__ == "__main__":
    main(*sys.argv[1:])
