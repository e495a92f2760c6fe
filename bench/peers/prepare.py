"""Makes what both sides of bench-peers read, once, in a folder of their own.

usage: prepare.py --model models/minilm --out FOLDER [--news FILE.csv]
  classifier/   the model with a random head for four classes, as transformers saves it
  classifier.onnx   the same for ONNX Runtime, with free batch and length; needs the packages onnx and onnxruntime
  base.json, tiny.json   sizes of models that both sides fill with random weights
  news.csv   1600 texts of the file in random order: 50 batches of 32
"""
import argparse, csv, json, os, random

GROUP = 1600  # texts: the Trainer's group_by_length sorts within 50 batches

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--out", required=True)
parser.add_argument("--news")
args = parser.parse_args()
os.makedirs(args.out, exist_ok=True)
path = lambda name: os.path.join(args.out, name)


def write_config(name, layers, width, heads):
    with open(path(name), "w") as file:
        json.dump({"model_type": "bert", "architectures": ["BertModel"], "vocab_size": 30522, "max_position_embeddings": 512,
                   "type_vocab_size": 2, "num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": heads,
                   "intermediate_size": 4 * width, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
                   "attention_probs_dropout_prob": 0.1, "layer_norm_eps": 1e-12, "initializer_range": 0.02}, file)


def make_classifier():
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    torch.manual_seed(7)
    AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=4).save_pretrained(path("classifier"))
    AutoTokenizer.from_pretrained(args.model).save_pretrained(path("classifier"))


# With the TorchScript exporter and ONNX Runtime's own optimizer all of its fused operations for BERT apply, attention's too.
def export_onnx():
    import onnx, torch  # the optimizer needs onnx
    from onnxruntime.transformers import optimizer
    from transformers import AutoModelForSequenceClassification
    model = AutoModelForSequenceClassification.from_pretrained(path("classifier"), attn_implementation="eager").eval()
    ids = torch.randint(1000, 20000, (2, 16))
    free = {0: "batch", 1: "tokens"}
    torch.onnx.export(model, (ids, torch.ones_like(ids)), path("exported.onnx"), dynamo=False, opset_version=17,
                      input_names=["input_ids", "attention_mask"], output_names=["logits"],
                      dynamic_axes={"input_ids": free, "attention_mask": free, "logits": {0: "batch"}})
    config = model.config
    fused = optimizer.optimize_model(path("exported.onnx"), model_type="bert", num_heads=config.num_attention_heads,
                                     hidden_size=config.hidden_size, opt_level=1)
    fused.save_model_to_file(path("classifier.onnx"))
    os.remove(path("exported.onnx"))


def sample_news():
    with open(args.news, newline="", encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    random.Random(7).shuffle(texts)
    with open(path("news.csv"), "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((text, "0") for text in texts[:GROUP])


write_config("base.json", layers=12, width=768, heads=12)
write_config("tiny.json", layers=2, width=128, heads=2)
if not os.path.exists(path("classifier/tokenizer.json")):
    make_classifier()
if not os.path.exists(path("classifier.onnx")):
    try:
        export_onnx()
    except Exception as error:  # ONNX Runtime is one peer of several
        print(f"bench-peers: no ONNX file: {error}")
if args.news:
    sample_news()
