"""Makes the golden files of bottleneck adapters: tests/golden/adapter_{houlsby,pfeiffer}.safetensors.

    python3 tests/golden/make_adapter_golden.py        (needs torch, adapters and the transformers that it asks for, safetensors)

AdapterHub's double_seq_bn, with GELU, and seq_bn on bert_erf/: the adapter's tensors under holdfast's names (deviation 0.2), packed
inputs and labels, and in double precision the logits and the gradients of the mean cross entropy of the adapter's tensors. Versions
are in the metadata.
"""

import pathlib

import adapters
import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).parent
LENGTHS = [1, 7, 33]
CONFIGS = {"houlsby": adapters.DoubleSeqBnConfig(reduction_factor=8, non_linearity="gelu"),
           "pfeiffer": adapters.SeqBnConfig(reduction_factor=8)}


def our_name(theirs):
    return (theirs.removeprefix("bert.").replace(".adapters.t.", ".adapter.")
            .replace("adapter_down.0", "down").replace("adapter_up", "up"))


def main():
    for kind, config in CONFIGS.items():
        model = transformers.AutoModelForSequenceClassification.from_pretrained(HERE / "bert_erf", attn_implementation="eager")
        adapters.init(model)
        model.add_adapter("t", config=config)
        model.set_active_adapters("t")
        generator = torch.Generator().manual_seed(20260103)
        modules = {name: p for name, p in sorted(model.named_parameters()) if ".adapters.t." in name}
        with torch.no_grad():
            for parameter in modules.values():
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
        tensors = {"adapter." + our_name(name): p.detach().clone() for name, p in modules.items()}
        model = model.double().eval()
        ids = [torch.randint(1, 200, (n,), generator=generator) for n in LENGTHS]
        labels = torch.tensor([2, 0, 1])
        logits = torch.cat([model(input_ids=row[None]).logits for row in ids])
        torch.nn.functional.cross_entropy(logits, labels).backward()
        for name, parameter in model.named_parameters():
            if ".adapters.t." in name:
                tensors["grad." + our_name(name)] = parameter.grad
        tensors |= {"ids": torch.cat(ids).int(), "lengths": torch.tensor(LENGTHS).int(), "labels": labels.int(),
                    "logits": logits.detach()}
        path = HERE / f"adapter_{kind}.safetensors"
        safetensors.torch.save_file(tensors, path, {"torch": torch.__version__, "transformers": transformers.__version__,
                                                    "adapters": adapters.__version__})
        path.chmod(0o644)


if __name__ == "__main__":
    main()
