"""Makes the golden files of a LoRA that PEFT saved: tests/golden/peft_lora/.

    python3 tests/golden/make_peft_golden.py        (needs torch, transformers, peft, safetensors)

The base is bert_erf/. adapter_config.json and adapter_model.safetensors are as PeftModel.save_pretrained writes them (A and B of
deviation 0.2; a classifier of its own); golden.safetensors has packed inputs and the logits in double precision. Versions are in
its metadata.
"""

import json
import pathlib
import shutil

import peft
import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).parent
LENGTHS = [1, 7, 33]


def main():
    folder = HERE / "peft_lora"
    base = transformers.AutoModelForSequenceClassification.from_pretrained(HERE / "bert_erf")
    model = peft.get_peft_model(base, peft.LoraConfig(task_type="SEQ_CLS", r=3, lora_alpha=7))
    generator = torch.Generator().manual_seed(20260102)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if parameter.requires_grad:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "bert_erf"
    config["target_modules"].sort()  # a set: its order varies
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")

    model = model.double().eval()
    ids = [torch.randint(1, 200, (n,), generator=generator) for n in LENGTHS]
    with torch.no_grad():
        logits = torch.cat([model(input_ids=row[None]).logits for row in ids])
    safetensors.torch.save_file(
        {"ids": torch.cat(ids).int(), "lengths": torch.tensor(LENGTHS).int(), "labels": torch.zeros(len(ids)).int(),
         "logits": logits},
        folder / "golden.safetensors",
        {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__})


if __name__ == "__main__":
    main()
