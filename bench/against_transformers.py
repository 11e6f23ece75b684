"""Logits of quantized folders: `faultline tool logits` against transformers.

    VENV/bin/python bench/against_transformers.py build/release/faultline [MODEL ...]

VENV has torch (CPU is enough), transformers and compressed-tensors. Each MODEL (default: the
small ones of tests/golden/models) is quantized by `faultline quantize` in every width,
symmetric and not, in groups and rows; transformers reads groups only where they divide the
columns of every matrix. It loads what was written, in float32, and the logits of 24 tokens
must agree to 1e-3 of the largest. Zero points are
loaded with dequantize=True: without it, transformers 5.24 makes room for zero points that
are not packed, and refuses also what compressed-tensors 0.20.1 itself writes. A MODEL that has a
quantization_config already is compared as it is.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
import transformers

MODELS = ["llama-tiny", "qwen2-tiny", "qwen3-tiny"]
TOLERANCE = 1e-3


def run(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"faultline {' '.join(map(str, arguments))}: {done.stderr.strip()}")


def ours(program, folder, ids, device):
    with tempfile.NamedTemporaryFile() as file:
        run(program, "tool", "logits", "--model", folder, "--device", device, "--ids", ",".join(map(str, ids)), "-o", file.name)
        return np.fromfile(file.name, np.float32).reshape(len(ids), -1)


def theirs(folder, ids, loading):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **loading).eval()
    if getattr(model, "is_loaded_in_4bit", False):
        model = model.dequantize().float()  # its products on CPUs are of lower precision
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].float().numpy()


def compare(program, name, folder, device, loading=None, their_folder=None):
    text = (Path(folder) / "config.json").read_text()
    vocab = json.loads(text)["vocab_size"]
    ids = [(7 * i * i + 3 * i + 5) % vocab for i in range(24)]
    if loading is None and '"symmetric":false' in text.replace(" ", ""):
        loading = {"quantization_config": transformers.CompressedTensorsConfig(dequantize=True)}
    a, b = ours(program, folder, ids, device), theirs(their_folder or folder, ids, loading or {})
    worst = np.abs(a - b).max() / max(1.0, np.abs(b).max())
    good = bool(worst <= TOLERANCE)
    print(f"{'right' if good else 'WRONG'}  {worst:9.2e}  {name}", flush=True)
    return good


def main():
    program, device = sys.argv[1], os.environ.get("DEVICE", "ref")
    root = Path(__file__).resolve().parent.parent / "tests/golden/models"
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    results = []
    for model in map(Path, sys.argv[2:] or [root / name for name in MODELS]):
        config = json.loads((model / "config.json").read_text())
        if "quantization_config" in config:
            results.append(compare(program, model.name, model, device))
            continue
        sizes = (config["hidden_size"], config["intermediate_size"])
        groups = [str(g) for g in (16, 32, 64, 128) if not any(size % g for size in sizes)]
        for bits in (2, 3, 4, 8):
            for group in groups + ["row"]:
                for asym in ((), ("--asym",)):
                    with tempfile.TemporaryDirectory() as folder:
                        to = Path(folder) / "q"
                        run(program, "quantize", "--method", "rtn", "--model", model, "--out", to, "--bits", bits, "--group", group, *asym)
                        name = f"{model.name}, {bits} bits, {group}{', asymmetric' if asym else ''}"
                        results.append(compare(program, name, to, device))
    print(f"{sum(results)} of {len(results)} right")
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
