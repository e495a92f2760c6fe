"""Predictions of a BERT classifier in PyTorch (eval, no_grad, sdpa) or, with --onnx FILE, in ONNX Runtime. As bench_infer."""
import statistics, time
import torch_side

args = torch_side.parse(__doc__, onnx=dict(metavar="FILE", help="the exported model"))


def torch_model():
    import torch, transformers
    precision = torch_side.set_up(args)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(args.model, attn_implementation="sdpa").to(args.device).eval()
    forward = torch.compile(model) if args.compile else model

    def predict(batch):
        with torch.no_grad(), precision:
            return forward(**{name: x.to(args.device) for name, x in batch.items()}).logits.float().softmax(-1).cpu().numpy()
    return predict, f"pytorch {torch.__version__}, transformers {transformers.__version__}"


def onnx_model():
    import numpy, onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(args.onnx, options, providers=["CPUExecutionProvider"])

    def predict(batch):
        logits = session.run(["logits"], {name: value.numpy() for name, value in batch.items()})[0]
        e = numpy.exp(logits - logits.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)
    return predict, f"onnxruntime {onnxruntime.__version__}"


batches = torch_side.make_batches(args)
predict, side = onnx_model() if args.onnx else torch_model()
seconds, answers = [], []
for batch in batches:
    start = time.perf_counter()
    answers.extend(predict(batch)[:, 0])
    seconds.append(time.perf_counter() - start)
first = len(batches[0]["input_ids"])
torch_side.finish(args, side, rate=(len(answers) - first) / sum(seconds[1:]), batch_seconds=statistics.median(seconds[1:]),
                  tokens=torch_side.tokens_of(batches[1:]), mean_of_class_0=float(sum(answers[first:]) / len(answers[first:])))
