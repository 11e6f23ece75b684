#!/usr/bin/env python3
"""Packed matrices of the formats of 2026, written and read by the field's own packages: tests/golden/packed.

    python make_packed.py [--out DIR]

Needs torch, numpy, safetensors, compressed-tensors 0.20.1, transformers 5.24 and bitsandbytes 0.50.2 (CPU is enough).
Expected values are what the packages' readers give with scales and results in float32. The old packing of
compressed-tensors (whole codes per word) is written here, because the package has dropped it.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.lifecycle.forward import dequantize
from safetensors.torch import save_file

HERE = Path(__file__).parent
index = []


def weights(seed, out, n):
    """Normal weights of scale 0.05 with a few outliers."""
    r = np.random.default_rng(seed)
    w = r.normal(0, 0.05, (out, n))
    return torch.from_numpy(np.where(r.random((out, n)) < 0.01, w * 8, w).astype(np.float32))


def emit(folder, name, tensors, expected, config):
    out, n = expected.shape
    save_file({f"w.{k}": v.contiguous() for k, v in tensors.items()}, folder / f"{name}.safetensors")
    (folder / f"{name}.expected.f32").write_bytes(expected.float().numpy().tobytes())
    index.append({"file": f"{name}.safetensors", "module": "w", "expected": f"{name}.expected.f32", "shape": [out, n],
                  "quantization_config": config})


def compressed(form, args, activations=None):
    return {"quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed", "version": "0.20.1",
            "config_groups": {"group_0": {"format": form, "targets": ["Linear"], "weights": args, "input_activations": activations,
                                          "output_activations": None}},
            "ignore": ["lm_head"], "kv_cache_scheme": None}


def plain(args):
    """Arguments as config.json has them."""
    return json.loads(args.model_dump_json())


def by_package(form, args, tensors):
    """The values that the package's own reader makes of the tensors."""
    scheme = QuantizationScheme(targets=["Linear"], weights=args, format=form)
    return BaseCompressor.get_value_from_registry(form).decompress(dict(tensors), scheme)["weight"]


# ---- integers ----

def rounded(w, bits, group, symmetric):
    """Signed codes, scales [out, groups] and zero points."""
    out, n = w.shape
    groups = w.view(out, -1, group)
    low, high = groups.amin(2).clamp(max=0), groups.amax(2).clamp(min=0)
    bottom, top = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if symmetric:
        scale = torch.maximum(-low, high) / max(2 ** (bits - 1) - 0.5, 0.5)
        zero = torch.zeros_like(scale)
    else:
        scale = (high - low) / (2 ** bits - 1)
        zero = torch.round(bottom - low / scale).clamp(bottom, top)
    wide, z = scale.repeat_interleave(group, 1), zero.repeat_interleave(group, 1)
    return torch.round(w / wide + z).clamp(bottom, top).to(torch.int8), scale, zero.to(torch.int8)


def whole(codes, bits):
    """[out, n] signed codes, 32 // bits of them per word: the packing before 2026."""
    per = 32 // bits
    c = codes.numpy().astype(np.int64) + 2 ** (bits - 1)
    c = np.pad(c, ((0, 0), (0, -c.shape[1] % per))).reshape(c.shape[0], -1, per)
    words = (c << (np.arange(per) * bits)).sum(2).astype(np.uint32)
    return torch.from_numpy(words.view(np.int32).copy())


def integers(folder):
    cases = [  # bits, out, in, group (0: a row), symmetric, scale type, old packing
        (3, 40, 96, 32, True, torch.bfloat16, False), (3, 24, 160, 0, False, torch.float32, False),
        (3, 40, 128, 64, False, torch.float16, False), (3, 40, 96, 32, False, torch.float16, True),
        (3, 16, 40, 0, False, torch.float32, False), (3, 16, 40, 0, True, torch.float32, True),
        (1, 40, 96, 32, False, torch.bfloat16, False), (2, 40, 96, 32, False, torch.bfloat16, False),
        (5, 40, 96, 32, False, torch.bfloat16, False), (5, 24, 160, 0, True, torch.float16, True),
        (6, 40, 128, 64, True, torch.float32, False), (6, 24, 64, 32, False, torch.float16, True),
        (7, 40, 96, 32, False, torch.bfloat16, False), (7, 24, 160, 0, True, torch.float32, False),
    ]
    for i, (bits, out, n, group, symmetric, dtype, old) in enumerate(cases):
        args = QuantizationArgs(num_bits=bits, type="int", symmetric=symmetric, strategy="group" if group else "channel",
                                group_size=group or None)
        q, scale, zero = rounded(weights(100 + i, out, n), bits, group or n, symmetric)
        scale = scale.to(dtype)
        t = {"weight_packed": pack_to_int32(q, bits), "weight_scale": scale, "weight_shape": torch.tensor([out, n])}
        if not symmetric:
            t["weight_zero_point"] = pack_to_int32(zero, bits, packed_dim=0)
        expected = by_package("pack-quantized", args, {**t, "weight_scale": scale.float()})
        if old:
            t["weight_packed"] = whole(q, bits)
            if not symmetric:
                t["weight_zero_point"] = whole(zero.T, bits).T
        name = f"ct_w{bits}_{f'g{group}' if group else 'row'}{'' if symmetric else '_asym'}_{n}{'_old' if old else ''}"
        emit(folder, name, t, expected, compressed("pack-quantized", plain(args)))
    # one scale for the matrix; its zero point is a byte
    for symmetric in (True, False):
        args = QuantizationArgs(num_bits=4, type="int", symmetric=symmetric, strategy="tensor")
        w = weights(200, 24, 64)
        q, scale, zero = rounded(w.view(1, -1), 4, 24 * 64, symmetric)
        q, scale = q.view(24, 64), scale.view(1)
        t = {"weight_packed": pack_to_int32(q, 4), "weight_scale": scale, "weight_shape": torch.tensor([24, 64])}
        if not symmetric:
            t["weight_zero_point"] = zero.view(1)
        expected = by_package("pack-quantized", args, t)
        emit(folder, f"ct_w4_tensor{'' if symmetric else '_asym'}", t, expected, compressed("pack-quantized", plain(args)))


# ---- floats of 8 and 4 bits ----

def eight(w, dtype):
    return w.clamp(-torch.finfo(dtype).max, torch.finfo(dtype).max).to(dtype)


def blocks(w, size):
    """Largest magnitude of each block, spread over the matrix as well."""
    out, n = w.shape
    rows, cols = -(-out // size[0]), -(-n // size[1])
    top = torch.zeros(rows, cols)
    for r in range(rows):
        for c in range(cols):
            top[r, c] = w[r * size[0]:(r + 1) * size[0], c * size[1]:(c + 1) * size[1]].abs().max()
    return top


def spread(scale, size, out, n):
    return scale.repeat_interleave(size[0], 0).repeat_interleave(size[1], 1)[:out, :n]


def floats_of_8(folder):
    dynamic = {"num_bits": 8, "type": "float", "symmetric": True, "strategy": "token", "dynamic": True}
    fixed = {"num_bits": 8, "type": "float", "symmetric": True, "strategy": "tensor", "dynamic": False}
    e4 = torch.float8_e4m3fn
    for name, out, n, size, dtype, more in (
            ("tensor", 24, 64, (24, 64), torch.float32, {"strategy": "tensor"}),
            ("channel", 24, 96, (1, 96), torch.bfloat16, {"strategy": "channel"}),
            ("group", 24, 96, (1, 32), torch.bfloat16, {"strategy": "group", "group_size": 32}),
            ("block", 72, 160, (64, 64), torch.float32, {"strategy": "block", "block_structure": [64, 64]})):
        args = QuantizationArgs(num_bits=8, type="float", symmetric=True, **more)
        w = weights(300 + out + n, out, n)
        scale = (blocks(w, size) / 448).to(dtype)
        t = {"weight": eight(w / spread(scale.float(), size, out, n), e4), "weight_scale": scale}
        if name == "tensor":
            t["weight_scale"] = scale.view(1)
            t["input_scale"] = torch.tensor([0.02])
        expected = t["weight"].float() * spread(scale.float(), size, out, n)
        if name != "block":  # the reader wants whole blocks
            assert torch.equal(expected, by_package("float-quantized", args, {**t, "weight_scale": t["weight_scale"].float(),
                                                                             "weight": t["weight"].float()}))
        emit(folder, f"ct_f8_{name}", t, expected, compressed("float-quantized", plain(args), fixed if name == "tensor" else dynamic))
    # transformers' fine-grained FP8
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize
    fine = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128], "modules_to_not_convert": ["lm_head"]}
    for name, out, n, dtype, scale_type in (("", 128, 256, e4, torch.float32), ("_short", 72, 160, e4, torch.bfloat16),
                                            ("_e5m2", 24, 128, torch.float8_e5m2, torch.float32)):
        w = weights(400 + n, out, n)
        scale = (blocks(w, (128, 128)) / torch.finfo(dtype).max).to(scale_type)
        t = {"weight": eight(w / spread(scale.float(), (128, 128), out, n), dtype), "weight_scale_inv": scale}
        expected = t["weight"].float() * spread(scale.float(), (128, 128), out, n)
        if not out % 128 and not n % 128:
            assert torch.equal(expected, Fp8Dequantize(None)._dequantize_one(t["weight"], scale.float(), torch.float32))
        emit(folder, f"fp8_block{name}", t, expected, fine)
    # no scales: every finite code of both types
    for name, dtype in (("e4m3", e4), ("e5m2", torch.float8_e5m2)):
        codes = torch.arange(256, dtype=torch.uint8).view(dtype)
        codes = torch.where(codes.float().isfinite(), codes.float(), torch.zeros(256)).to(dtype).view(8, 32)
        emit(folder, f"f8_{name}_plain", {"weight": codes}, codes.float(), None)


def floats_of_4(folder):
    grid = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])

    def nearest(x):
        code = (x.abs().unsqueeze(-1) - grid).abs().argmin(-1)
        return code | torch.signbit(x).long() << 3

    def pairs(code):
        return (code[:, ::2] | code[:, 1::2] << 4).to(torch.uint8)

    for i, (out, n) in enumerate(((24, 96), (40, 64))):
        args = QuantizationArgs(num_bits=4, type="float", symmetric=True, strategy="tensor_group", group_size=16)
        w = weights(500 + i, out, n)
        top = blocks(w, (1, 16))
        whole_scale = (448 * 6 / top.max()).view(1)
        scale = (top / 6 * whole_scale).to(torch.float8_e4m3fn)
        wide = spread(scale.float() / whole_scale, (1, 16), out, n)
        t = {"weight_packed": pairs(nearest(w / wide)), "weight_scale": scale, "weight_global_scale": whole_scale}
        unpacked = unpack_fp4_from_uint8(t["weight_packed"], out, n, torch.float32)
        expected = dequantize(unpacked, scale.float(), args=args, global_scale=whole_scale, dtype=torch.float32)
        assert torch.equal(expected.bfloat16(), by_package("nvfp4-pack-quantized", args, t))
        emit(folder, f"ct_nvfp4_{n}", t, expected, compressed("nvfp4-pack-quantized", plain(args)))
    for form, bits in (("mxfp4-pack-quantized", 4), ("mxfp8-quantized", 8)):
        args = QuantizationArgs(num_bits=bits, type="float", symmetric=True, strategy="group", group_size=32, scale_dtype="torch.uint8")
        w = weights(510 + bits, 24, 96)
        exponent = torch.floor(torch.log2(blocks(w, (1, 32)))) - (2 if bits == 4 else 8)
        wide = spread(torch.exp2(exponent), (1, 32), 24, 96)
        code = {"weight_packed": pairs(nearest(w / wide))} if bits == 4 else {"weight": eight(w / wide, torch.float8_e4m3fn)}
        t = {**code, "weight_scale": (exponent + 127).to(torch.uint8)}
        values = unpack_fp4_from_uint8(t["weight_packed"], 24, 96, torch.float32) if bits == 4 else t["weight"].float()
        expected = values * wide
        read = t if bits == 4 else {**t, "weight": values}
        assert torch.equal(expected.bfloat16(), by_package(form, args, read).bfloat16())
        emit(folder, f"ct_mxfp{bits}", t, expected, compressed(form, plain(args)))


# ---- bitsandbytes ----

def bitsandbytes(folder):
    import bitsandbytes.functional as F
    from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
    config = {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_compute_dtype": "float32",
              "bnb_4bit_quant_storage": "uint8", "llm_int8_skip_modules": None}
    for name, kind, out, n, size, nested in (("nf4", "nf4", 24, 128, 64, False), ("nf4_double", "nf4", 72, 256, 64, True),
                                             ("fp4", "fp4", 24, 128, 64, False), ("fp4_double", "fp4", 24, 128, 128, True),
                                             ("nf4_straddle", "nf4", 24, 80, 64, False), ("nf4_rows", "nf4", 24, 64, 256, False)):
        w = weights(600 + n, out, n)
        codes, state = F.quantize_4bit(w, blocksize=size, compress_statistics=nested, quant_type=kind)
        t = {"weight": codes, **{f"weight.{k}": v for k, v in state.as_dict(packed=True).items()}}
        # the kernel of 0.50.2 for CPUs takes blocks for parts of rows; the package's own definition does not
        scale = F.dequantize_blockwise(state.absmax, state.state2) + state.offset if nested else state.absmax
        expected = _dequantize_4bit_compute(codes.reshape(-1), scale, state.code, size, state.shape, torch.float32)
        assert name in ("nf4_straddle", "nf4_rows") or torch.equal(expected, F.dequantize_4bit(codes, state))
        emit(folder, f"bnb_{name}", t, expected,
             {**config, "bnb_4bit_quant_type": kind, "bnb_4bit_use_double_quant": nested})


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--out", type=Path, default=HERE / "packed")
    folder = ap.parse_args().out
    folder.mkdir(exist_ok=True)
    integers(folder)
    floats_of_8(folder)
    floats_of_4(folder)
    bitsandbytes(folder)
    (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    print(f"{len(index)} matrices")


if __name__ == "__main__":
    main()
