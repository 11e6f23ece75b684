"""Logits of folders whose codes stand for floats: `faultline tool logits` against transformers.

    VENV/bin/python bench/formats_against_transformers.py build/release/faultline [MODEL ...]

VENV has what tests/golden/make_packed.py needs, and accelerate for bitsandbytes. The linear
weights of each MODEL (default: qwen2-tiny of tests/golden/models; the reader of bitsandbytes for CPUs
needs columns that its blocks of 32 divide) are packed in every format;
transformers loads the folder in float32 on the CPU, weights dequantized, and the logits of 24
tokens must agree to 1e-3 of the largest. Of NVFP4 it loads the dequantized folder, because
compressed-tensors 0.20.1 rounds the weights of that format to bfloat16.
"""
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/golden"), str(ROOT / "bench")]

import torch
import transformers
from safetensors.torch import load_file, save_file

import against_transformers as against
import make_packed as packed


def compressed(form, **args):
    return packed.compressed(form, {"symmetric": True, "type": "float", "dynamic": False, **args})


def f8(w, size, top, dtype):
    scale = packed.blocks(w, size) / top
    return packed.eight(w / packed.spread(scale, size, *w.shape), dtype), scale


def f8_format(name, size, **args):
    def pack(w):
        codes, scale = f8(w, (size[0] or w.shape[0], size[1] or w.shape[1]), 448, torch.float8_e4m3fn)
        return {"weight": codes, "weight_scale": scale.view(1) if name == "tensor" else scale}
    return f"float-quantized, {name}", compressed("float-quantized", num_bits=8, strategy=name, **args), pack


def fine(w):
    codes, scale = f8(w, (16, 16), 448, torch.float8_e4m3fn)
    return {"weight": codes, "weight_scale_inv": scale}


def pairs(x):
    grid = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    code = (x.abs().unsqueeze(-1) - grid).abs().argmin(-1) | torch.signbit(x).long() << 3
    return (code[:, ::2] | code[:, 1::2] << 4).to(torch.uint8)


def nvfp4(w):
    top = packed.blocks(w, (1, 16))
    factor = (448 * 6 / top.max()).view(1)
    scale = (top / 6 * factor).to(torch.float8_e4m3fn)
    wide = packed.spread(scale.float() / factor, (1, 16), *w.shape)
    return {"weight_packed": pairs(w / wide), "weight_scale": scale, "weight_global_scale": factor}


def nvfp4_values(t):
    """In float32; the reader of compressed-tensors rounds them to bfloat16."""
    out, n = t["weight_packed"].shape
    values = packed.unpack_fp4_from_uint8(t["weight_packed"], out, 2 * n, torch.float32)
    return values * packed.spread(t["weight_scale"].float() / t["weight_global_scale"], (1, 16), out, 2 * n)


def mx(bits):
    def pack(w):
        exponent = torch.floor(torch.log2(packed.blocks(w, (1, 32)))) - (2 if bits == 4 else 8)
        wide = packed.spread(torch.exp2(exponent), (1, 32), *w.shape)
        codes = {"weight_packed": pairs(w / wide)} if bits == 4 else {"weight": packed.eight(w / wide, torch.float8_e4m3fn)}
        return {**codes, "weight_scale": (exponent + 127).to(torch.uint8)}
    return pack


def bitsandbytes(kind, nested):
    import bitsandbytes.functional as F

    def pack(w):
        codes, state = F.quantize_4bit(w, blocksize=32, compress_statistics=nested, quant_type=kind)
        return {"weight": codes, **{f"weight.{k}": v for k, v in state.as_dict(packed=True).items()}}
    config = {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_quant_type": kind,
              "bnb_4bit_use_double_quant": nested, "bnb_4bit_compute_dtype": "float32", "bnb_4bit_quant_storage": "uint8"}
    return f"bitsandbytes {kind}{', nested' if nested else ''}", config, pack


FORMATS = [
    f8_format("tensor", (0, 0)), f8_format("channel", (1, 0)), f8_format("group", (1, 32), group_size=32),
    f8_format("block", (16, 16), block_structure=[16, 16]),
    ("fp8, blocks of 16", {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [16, 16],
                           "modules_to_not_convert": ["lm_head"]}, fine),
    ("nvfp4", compressed("nvfp4-pack-quantized", num_bits=4, strategy="tensor_group", group_size=16), nvfp4),
    ("mxfp4", compressed("mxfp4-pack-quantized", num_bits=4, strategy="group", group_size=32, scale_dtype="torch.uint8"), mx(4)),
    ("mxfp8", compressed("mxfp8-quantized", num_bits=8, strategy="group", group_size=32, scale_dtype="torch.uint8"), mx(8)),
    bitsandbytes("nf4", False), bitsandbytes("nf4", True), bitsandbytes("fp4", False), bitsandbytes("fp4", True),
]


def write(model, to, config, pack, plain=False):
    shutil.copytree(model, to)
    tensors = {}
    for name, t in load_file(model / "model.safetensors").items():
        if name.endswith("_proj.weight"):
            packs = pack(t.float())
            if plain:
                tensors[name] = nvfp4_values(packs)
            else:
                tensors.update({name[:-len("weight")] + k: v.contiguous() for k, v in packs.items()})
        else:
            tensors[name] = t.contiguous()
    save_file(tensors, to / "model.safetensors", metadata={"format": "pt"})
    root = json.loads((to / "config.json").read_text())
    if not plain:
        root["quantization_config"] = config
    (to / "config.json").write_text(json.dumps(root))


def loading(config):
    method = config["quant_method"]
    if method == "compressed-tensors":
        return {"quantization_config": transformers.CompressedTensorsConfig(dequantize=True)}
    return {"quantization_config": transformers.FineGrainedFP8Config(dequantize=True)} if method == "fp8" else {}


def main():
    program, device = sys.argv[1], os.environ.get("DEVICE", "ref")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    results = []
    for model in map(Path, sys.argv[2:] or [ROOT / "tests/golden/models" / n for n in ("qwen2-tiny",)]):
        for name, config, pack in FORMATS:
            with tempfile.TemporaryDirectory() as folder:
                to = Path(folder) / "q"
                write(model, to, config, pack)
                floats = Path(folder) / "plain" if name == "nvfp4" else None
                if floats:
                    write(model, floats, config, pack, plain=True)
                try:
                    results.append(against.compare(program, f"{model.name}, {name}", to, device, loading(config) if not floats else {}, floats))
                except Exception as e:  # what the packages cannot load
                    print(f"not loaded by transformers: {model.name}, {name}: {type(e).__name__}: {str(e)[:200]}", flush=True)
    print(f"{sum(results)} of {len(results)} right")
    sys.exit(not all(results))


main()
