"""Training steps of a BERT classifier in PyTorch: fused AdamW, eager or compiled. As bench_step: real tokens, one step warms up."""
import statistics
import torch, transformers
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification
import torch_side

args = torch_side.parse(__doc__, grouped=dict(action="store_true", help="batches as the Trainer's group_by_length makes them"))
precision = torch_side.set_up(args)
if args.config:
    config = BertConfig.from_json_file(args.config)
    config.num_labels = 4
    model = BertForSequenceClassification._from_config(config, attn_implementation="sdpa")
else:
    model = AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=4, attn_implementation="sdpa")
model.to(args.device).train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01, fused=True)
forward = torch.compile(model) if args.compile else model
batches = torch_side.make_batches(args, args.grouped)
seconds = []
for batch in batches:
    labels = torch.arange(len(batch["input_ids"])) % 4
    start = torch_side.clock(args)
    with precision:
        loss = forward(**{name: x.to(args.device) for name, x in batch.items()}, labels=labels.to(args.device)).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    seconds.append(torch_side.clock(args) - start)
tokens = torch_side.tokens_of(batches[1:])
torch_side.finish(args, f"pytorch {torch.__version__}, transformers {transformers.__version__}", rate=tokens / sum(seconds[1:]),
                  step_seconds=statistics.median(seconds[1:]), tokens=tokens)
