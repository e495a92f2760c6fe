"""The first prediction of a fresh process: torch_first.py MODEL TEXT prints the label."""
import sys
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1]).eval()
with torch.no_grad():
    label = model(**tokenizer(sys.argv[2], return_tensors="pt")).logits.argmax().item()
print(model.config.id2label[label], flush=True)
