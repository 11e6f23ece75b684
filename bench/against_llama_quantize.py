"""Our GGUF quantizer beside llama-quantize: the same source, type and importance matrix.

    python bench/against_llama_quantize.py --model M.gguf --types Q4_K_M,Q3_K_M,IQ4_XS
        [--faultline build/release/faultline] [--llama-quantize "llama-quantize"]
        [--layers 0,13,27] [--imatrix FILE|random|none] [--work DIR]
        [--llama-perplexity "llama-perplexity" --text FILE --chunks 16]

Prints per type: tensors whose type or bytes differ, the weighted error sum w (x - y)^2 of
ours over theirs (mean and worst over tensors; w is the importance of the column, 1 without),
bytes, and perplexity of both. Tensors that both keep to 1e-6 of their squares were on the
type's grid already: they are counted, and no ratio is made of such rests. `--layers` cuts the model down to some layers and 256 tokens
first, for a comparison of matrices alone. Both start from an F32 file of the model; `--noise
S` adds normal noise of S of a row's deviation to it, for a model that is quantized already. Needs the packages gguf and numpy. Commands may
be prefixes ("chroot DIR llama-quantize"); then --work must be a folder that both see, as
"OUTSIDE:INSIDE".
"""

import argparse
import os
import re
import shlex
import subprocess
import sys

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from gguf.quants import dequantize

TOKENS = 256


def copy_key(writer, name, field, cut):
    if name.startswith("GGUF.") or name in ("general.architecture", "general.alignment"):
        return
    kind, value = field.types[0], field.contents()
    if cut and kind == GGUFValueType.ARRAY and name.startswith("tokenizer."):
        value = value[:0] if name.endswith("merges") else value[:TOKENS]
        if not value:
            return
    if cut and name.endswith("_token_id"):
        value = 0
    if cut and name.endswith(".block_count"):
        value = len(cut)
    writer.add_key_value(name, value, kind, field.types[-1] if kind == GGUFValueType.ARRAY else None)


def cut_model(source, target, layers):
    """The same model with some layers and the first tokens only, every block as it is."""
    reader = GGUFReader(source)
    arch = reader.fields["general.architecture"].contents()
    writer = GGUFWriter(target, arch)
    for name, field in reader.fields.items():
        copy_key(writer, name, field, layers)
    for t in reader.tensors:
        name, data = t.name, t.data
        block = re.match(r"blk\.(\d+)\.(.*)", name)
        if block:
            if int(block[1]) not in layers:
                continue
            name = f"blk.{layers.index(int(block[1]))}.{block[2]}"
        elif name in ("token_embd.weight", "output.weight"):
            data = data[:TOKENS]
        writer.add_tensor(name, np.ascontiguousarray(data), raw_dtype=t.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def random_imatrix(source, target):
    """Mean squares as layers have them: log-normal, a few columns hundreds of times larger."""
    rng = np.random.default_rng(5)
    writer = GGUFWriter(target, "imatrix")
    writer.add_string("general.type", "imatrix")
    writer.add_array("imatrix.datasets", ["random"])
    writer.add_uint32("imatrix.chunk_count", 32)
    writer.add_uint32("imatrix.chunk_size", 512)
    for t in GGUFReader(source).tensors:
        if not re.match(r"blk\.\d+\.(attn_(q|k|v|output)|ffn_(gate|up|down))\.weight", t.name):
            continue
        n = int(t.shape[0])
        w = np.exp(1.2 * rng.standard_normal(n)).astype(np.float32)
        w[rng.integers(0, n, max(1, n // 200))] *= 300
        writer.add_tensor(t.name + ".in_sum2", (w * 512).reshape(1, n))
        writer.add_tensor(t.name + ".counts", np.full((1, 1), 512, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_imatrix(path):
    tensors = {t.name: np.array(t.data, np.float64).reshape(-1) for t in GGUFReader(path).tensors}
    return {n[: -len(".in_sum2")]: tensors[n] / tensors[n[: -len(".in_sum2")] + ".counts"][0]
            for n in tensors if n.endswith(".in_sum2")}


def add_noise(path, share):
    """Normal noise of a share of each row's deviation on every matrix, in place: values of a
    file that is quantized already lie on a grid, which a second quantization finds again."""
    rng = np.random.default_rng(6)
    for t in GGUFReader(path, "r+").tensors:
        if len(t.shape) == 2:
            x = t.data
            for r in range(0, x.shape[0], 4096):
                part = x[r : r + 4096]
                part += share * part.std(axis=1, keepdims=True) * rng.standard_normal(part.shape, np.float32)


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}")
    return done.stdout


def perplexity(command, model, text, chunks):
    out = run(command + ["-m", model, "-f", text, "-c", "512", "--chunks", str(chunks), "-ngl", "0"])
    found = re.search(r"Final estimate: PPL = ([0-9.]+) \+/- ([0-9.]+)", out)
    return (float(found[1]), float(found[2])) if found else (float("nan"), float("nan"))


def compare(source, ours, theirs, weights):
    full = {t.name: t for t in GGUFReader(source).tensors}
    a = {t.name: t for t in GGUFReader(ours).tensors}
    b = {t.name: t for t in GGUFReader(theirs).tensors}
    if set(a) != set(b):
        sys.exit(f"tensors differ: {sorted(set(a) ^ set(b))[:5]}")
    differ, ratios, kinds, kept = [], {}, {}, 0
    for name, t in a.items():
        u = b[name]
        if t.tensor_type != u.tensor_type or t.n_bytes != u.n_bytes:
            differ.append(f"{name} {t.tensor_type.name} {u.tensor_type.name}")
            continue
        if len(t.shape) != 2:
            continue
        x = dequantize(full[name].data, full[name].tensor_type).astype(np.float64)
        w = weights.get(name, np.ones(x.shape[1]))
        e = [float((((x - dequantize(v.data, v.tensor_type)) ** 2) * w).sum()) for v in (t, u)]
        if max(e) <= 1e-6 * float((x * x * w).sum()):
            kept += 1
        elif e[1] > 0:
            ratios[name] = e[0] / e[1]
            kinds.setdefault(t.tensor_type.name, []).append(e[0] / e[1])
    return differ, ratios, kinds, kept


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", required=True)
    p.add_argument("--types", required=True)
    p.add_argument("--faultline", default="build/release/faultline")
    p.add_argument("--llama-quantize", default="llama-quantize")
    p.add_argument("--llama-perplexity")
    p.add_argument("--text")
    p.add_argument("--chunks", type=int, default=16)
    p.add_argument("--layers")
    p.add_argument("--imatrix", default="random")
    p.add_argument("--noise", type=float, default=0)
    p.add_argument("--work", default=".")
    a = p.parse_args()
    outside, _, inside = a.work.partition(":")
    inside = inside or outside

    def path(name):
        return os.path.join(outside, name)

    def seen(name):
        return os.path.join(inside, name)

    source = "against-source.gguf"
    if a.layers:
        cut_model(a.model, path(source), [int(x) for x in a.layers.split(",")])
    elif not os.path.exists(path(source)) or not os.path.samefile(a.model, path(source)):
        if os.path.exists(path(source)):
            os.remove(path(source))
        os.link(a.model, path(source))
    # Both would copy what has the type already.
    run([a.faultline, "quantize", "--method", "gguf", "--model", path(source), "--out",
         path("against-f32.gguf"), "--type", "F32", "--force", "--progress", "none"])
    source = "against-f32.gguf"
    if a.noise:
        add_noise(path(source), a.noise)
    imatrix = None
    if a.imatrix == "random":
        random_imatrix(path(source), path("against-imatrix.gguf"))
        imatrix = "against-imatrix.gguf"
    elif a.imatrix != "none":
        imatrix = a.imatrix
    weights = read_imatrix(path(imatrix)) if imatrix else {}
    for kind in a.types.split(","):
        ours, theirs = f"against-ours-{kind}.gguf", f"against-theirs-{kind}.gguf"
        run([a.faultline, "quantize", "--method", "gguf", "--model", path(source), "--out", path(ours),
             "--type", kind, "--force", "--progress", "none"] + (["--imatrix", path(imatrix)] if imatrix else []))
        run(shlex.split(a.llama_quantize) + ["--allow-requantize"] +
            (["--imatrix", seen(imatrix)] if imatrix else []) + [seen(source), seen(theirs), kind])
        differ, ratios, kinds, kept = compare(path(source), path(ours), path(theirs), weights)
        r = sorted(ratios.values())
        text = ", ".join(f"{k} {np.mean(v):.4f} ({len(v)})" for k, v in sorted(kinds.items()))
        print(f"{kind}: {os.path.getsize(path(ours))} bytes, theirs {os.path.getsize(path(theirs))}; "
              f"{len(differ)} tensors of another type or size; error ours/theirs mean {np.mean(r):.4f}, "
              f"worst {r[-1]:.4f} over {len(r)} tensors: {text}; {kept} kept by both", flush=True)
        for line in differ[:10]:
            print("   ", line)
        if a.llama_perplexity:
            command = shlex.split(a.llama_perplexity)
            one = perplexity(command, seen(ours), a.text, a.chunks)
            two = perplexity(command, seen(theirs), a.text, a.chunks)
            print(f"    perplexity ours {one[0]:.4f} +- {one[1]:.4f}, theirs {two[0]:.4f} +- {two[1]:.4f}, "
                  f"{100 * (one[0] / two[0] - 1):+.2f} %", flush=True)
        os.remove(path(ours))
        os.remove(path(theirs))


if __name__ == "__main__":
    main()
