"""The matrix products of a training step alone in PyTorch, as bench_gemm multiplies them: --products [[rows, in, out, count], ...]."""
import json, statistics
import torch
import torch_side

args = torch_side.parse(__doc__, products=dict(type=json.loads, required=True))
torch_side.set_up(args)
kind = dict(device=args.device, dtype=torch.bfloat16 if args.precision == "bf16" else torch.float32)
operands = [(torch.randn(rows, i, **kind), torch.randn(o, i, **kind), torch.randn(rows, o, **kind), count)
            for rows, i, o, count in args.products]
results = [(torch.empty_like(y), torch.empty_like(x), torch.empty_like(w)) for x, w, y, _ in operands]
seconds = []
for _ in range(args.steps + 1):
    start = torch_side.clock(args)
    for (x, w, y, count), (out_y, out_x, out_w) in zip(operands, results):
        for _ in range(count):
            torch.mm(x, w.t(), out=out_y)
            torch.mm(y, w, out=out_x)
            torch.mm(y.t(), x, out=out_w)
    seconds.append(torch_side.clock(args) - start)
flops = sum(6 * rows * i * o * count for rows, i, o, count in args.products)
torch_side.finish(args, "pytorch " + torch.__version__, rate=flops / statistics.median(seconds[1:]) * 1e-9)
