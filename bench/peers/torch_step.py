"""Training steps of a BERT classifier in PyTorch: eager, fused AdamW. As bench_step: real tokens, one step warms up."""
import statistics, time
import torch, transformers
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification
import torch_side

args = torch_side.parse(__doc__, grouped=dict(action="store_true", help="batches as the Trainer's group_by_length makes them"))
torch.set_num_threads(args.threads)
torch.manual_seed(7)
if args.config:
    config = BertConfig.from_json_file(args.config)
    config.num_labels = 4
    model = BertForSequenceClassification._from_config(config, attn_implementation="sdpa")
else:
    model = AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=4, attn_implementation="sdpa")
model.train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01, fused=True)
batches = torch_side.make_batches(args, args.grouped)
seconds = []
for batch in batches:
    labels = torch.arange(len(batch["input_ids"])) % 4
    start = time.perf_counter()
    loss = model(**batch, labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    seconds.append(time.perf_counter() - start)
tokens = torch_side.tokens_of(batches[1:])
torch_side.finish(f"pytorch {torch.__version__}, transformers {transformers.__version__}", rate=tokens / sum(seconds[1:]),
                  step_seconds=statistics.median(seconds[1:]), tokens=tokens)
