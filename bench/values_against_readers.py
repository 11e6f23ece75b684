"""Weights of what Faultline writes, as the field's own readers decode them, compared bit for bit with ours.

    python -m venv VENV; VENV/bin/pip install torch==2.15.* transformers==5.24.* \\
        compressed-tensors==0.20.* gguf==0.19.* accelerate
    VENV/bin/pip install --no-build-isolation gptqmodel==7.7.0        # for `packed` alone; needs setuptools and a C compiler
    VENV/bin/python bench/values_against_readers.py build/release/faultline [PART ...] [-v]

Each case writes a model into a temporary folder. PART is one of these (default: all). Theirs are all tensors, in float32:
    folders, calibrated
             compressed-tensors folders (quantize, refine): by the package compressed-tensors alone, and by transformers,
             whose model holds them
    packed   AWQ and GPTQ folders (packed here; then refine): GPTQModel's kernels for CPUs. They multiply in the type of
             the scales, so scales are widened to float32 first; with float16 the values must be these, rounded once
    gguf, gguf-calibrated
             GGUF files (quantize, refine): gguf.quants.dequantize
Ours are those of `faultline merge --type f32` (of a file without tokens: `faultline tool dequant`). The models are the bundled one, the small ones of tests/golden/models, and
a random one with rows of 256, which K types need. The variable DEVICE names the device that calibrates and refines
(default: auto). Prints a table, and for every unequal tensor the largest difference.
"""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # GPTQModel would compile its kernels, once per model

import numpy as np
import torch
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parent.parent
DEMO, GOLDEN = ROOT / "pipeline/demo", ROOT / "tests/golden/models"
TINY = [GOLDEN / name for name in ("qwen2-tiny", "qwen3-tiny", "llama-tiny")]
CALIBRATED = ("--calib", DEMO / "calibrate.jsonl", "--calib-items", 8, "--select", "none")


class Bench:
    """The program, a folder to work in, and what was found: rows of name, cases, tensors, equal ones."""

    def __init__(self, program, work):
        self.program, self.work, self.rows = str(Path(program).resolve()), Path(work), {}
        self.device = os.environ.get("DEVICE", "auto")
        self.wide = wide_model(self.work / "wide")

    def run(self, *arguments):
        command = [self.program, *map(str, arguments), "--store", str(self.work / "store.db"), "--progress", "none", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")

    def quantize(self, model, name, *options):
        to = self.work / name
        self.run("quantize", "--model", model, "--out", to, "--device", self.device, "--tune", "off", "--force", *options)
        return to

    def refine(self, full, model, name, *options):
        to = self.work / name
        self.run("refine", "--full", full, "--model", model, "--out", to, "--on", DEMO / "mine.jsonl", "--items", 4, "--batch", 2,
                 "--epochs", 1, "--device", self.device, "--tune", "off", "--force", *options)
        before, after = ((p / "model.safetensors" if p.is_dir() else p).read_bytes() for p in (model, to))
        if before == after:
            sys.exit(f"refine {' '.join(map(str, options))} changed nothing, so this case shows nothing")
        return to

    def ours(self, model, names):
        if names:
            return {name: self.one(model, name, shape) for name, shape in names.items()}
        to = self.work / "merged"
        self.run("merge", "--model", model, "--out", to, "--type", "f32", "--force")
        tensors = load_file(to / "model.safetensors")
        shutil.rmtree(to)
        return tensors

    def one(self, model, name, shape):
        to = self.work / "one.f32"
        self.run("tool", "dequant", "--model", model, "--tensor", name, "--out", to)
        return torch.from_numpy(np.fromfile(to, np.float32).reshape(shape))

    def compare(self, row, case, model, theirs, names=None):
        """Counts the tensors whose 32-bit floats have the same bits: all of ours, or those of some names and shapes."""
        ours = self.ours(model, names)
        if set(ours) - set(theirs):
            sys.exit(f"{row}, {case}: not read by theirs: {sorted(set(ours) - set(theirs))[:3]}")
        equal = 0
        for name, a in ours.items():
            a, b = a.float().contiguous(), torch.as_tensor(theirs[name]).float().contiguous()
            if a.shape == b.shape and torch.equal(a.view(torch.int32), b.view(torch.int32)):
                equal += 1
            else:
                far = (a - b).abs().max().item() if a.shape == b.shape else f"shapes {list(a.shape)}, {list(b.shape)}"
                print(f"UNEQUAL {row}, {case}: {name}: {far}", flush=True)
        total = self.rows.setdefault(row, [0, 0, 0])
        for i, n in enumerate((1, len(ours), equal)):
            total[i] += n
        if "-v" in sys.argv:
            print(f"{equal} of {len(ours)}: {row}, {case}", flush=True)

    def table(self):
        print("| written | cases | tensors | equal |\n|---|---|---|---|")
        for name, (cases, tensors, equal) in self.rows.items():
            print(f"| {name} | {cases} | {tensors:,} | {equal:,} |")
        return all(tensors == equal for _, tensors, equal in self.rows.values())


def wide_model(to):
    """A random model of the bundled one's family and vocabulary with rows of 256 and 512."""
    shutil.copytree(DEMO, to, ignore=shutil.ignore_patterns("*.c", "*.h", "*.jsonl", "*.md"))
    config = json.loads((to / "config.json").read_text())
    config.update(hidden_size=256, intermediate_size=512, num_hidden_layers=2)
    (to / "config.json").write_text(json.dumps(config))
    random, sizes = torch.Generator().manual_seed(3), {"embed_tokens": (config["vocab_size"], 256)}
    tensors = {"model.norm.weight": torch.ones(256)}
    for layer in range(2):
        stem = f"model.layers.{layer}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{stem}{norm}.weight"] = torch.ones(256)
        for name, out in (("q", 256), ("k", 128), ("v", 128), ("o", 256)):
            sizes[f"layers.{layer}.self_attn.{name}_proj"] = (out, 256)
            if name != "o":
                tensors[f"{stem}self_attn.{name}_proj.bias"] = torch.zeros(out)
        for name, size in (("gate", (512, 256)), ("up", (512, 256)), ("down", (256, 512))):
            sizes[f"layers.{layer}.mlp.{name}_proj"] = size
    for name, size in sizes.items():
        tensors[f"model.{name}.weight"] = torch.randn(size, generator=random) * 0.06
    save_file(tensors, to / "model.safetensors", metadata={"format": "pt"})
    return to


# ---- compressed-tensors folders ----

def quiet_transformers():
    import transformers
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def by_transformers(folder):
    """Loaded dequantized, or packed and then decompressed; the packed way has no room for zero points that are packed."""
    transformers = quiet_transformers()
    groups = json.loads((folder / "config.json").read_text())["quantization_config"]["config_groups"].values()
    if len(groups) == 1:  # transformers 5.24 decompresses all matrices by the first group when it loads them dequantized
        how = {"quantization_config": transformers.CompressedTensorsConfig(dequantize=True)}
    elif all(group["weights"]["symmetric"] for group in groups):
        how = {}
    else:
        return None
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **how)
    if not how:
        model.hf_quantizer.compressor.decompress_model(model)
    return {name: t.detach() for name, t in model.state_dict().items()}


def by_compressed_tensors(folder):
    """The package alone: it matches modules with config groups, and decompresses each."""
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config
    transformers = quiet_transformers()
    tensors = load_file(folder / "model.safetensors")
    config = transformers.AutoConfig.from_pretrained(folder)
    settings = QuantizationConfig.model_validate(config.quantization_config)
    del config.quantization_config
    model = transformers.AutoModelForCausalLM.from_config(config)
    apply_quantization_config(model, settings)
    values = dict(tensors)
    for name, module in model.named_modules():
        scheme = getattr(module, "quantization_scheme", None)
        parts = {key[len(name) + 1:]: t for key, t in tensors.items() if key.startswith(f"{name}.weight")}
        if scheme and parts:
            reader = BaseCompressor.get_value_from_registry(scheme.format or settings.format)
            values[f"{name}.weight"] = reader.decompress(parts, scheme)["weight"]
    return values


def write_plan(bench, *lines):
    plan = bench.work / "plan.txt"
    plan.write_text("\n".join(lines) + "\n")
    return plan


def compare_folder(bench, row, name, folder):
    bench.compare(f"{row}; compressed-tensors", name, folder, by_compressed_tensors(folder))
    theirs = by_transformers(folder)
    if theirs:
        bench.compare(f"{row}; transformers", name, folder, theirs)


def folders(bench):
    for model in (DEMO, bench.wide, *TINY):
        config = json.loads((model / "config.json").read_text())
        sizes = config["hidden_size"], config["intermediate_size"]
        for group in [g for g in (16, 32, 128) if not any(size % g for size in sizes)] + ["row"]:
            for bits in (2, 3, 4, 8):
                for asym in ((), ("--asym",)):
                    name = f"{model.name}, {bits} bits, {group} {' '.join(asym)}"
                    compare_folder(bench, "`rtn`, 2, 3, 4, 8 bits, groups of 16, 32, 128 and rows, symmetric and not", name,
                                   bench.quantize(model, "q", "--bits", bits, "--group", group, *asym))


def calibrated(bench):
    def case(row, name, folder):
        compare_folder(bench, row, name, folder)

    several = write_plan(bench, "model.layers.*.mlp.* int3", "model.layers.0.mlp.down_proj int8", "*.self_attn.[qk]_proj int2")
    grids = ((2, 32, "--asym"), (3, "row"), (3, 128), (4, 16, "--asym"), (8, "row"))
    ways = {"rtn": [("--search",)], "gptq": [(), ("--order", "natural"), ("--search",), ("--true-sequential",)],
            "awq": [(), ("--search",)]}
    for method, options in ways.items():
        for way in options:
            for bits, group, *asym in grids:
                case(f"`{method}` with `--calib`, each option", f"{bits} bits, {group} {asym} {way}",
                     bench.quantize(DEMO, "q", "--method", method, "--bits", bits, "--group", group, *asym, *way, *CALIBRATED))
    for method, more in (("rtn", ()), ("gptq", CALIBRATED), ("awq", CALIBRATED)):
        for asym in ((), ("--asym",)):
            case("a plan of 2, 3, 4 and 8 bits", f"{method} {asym}",
                 bench.quantize(DEMO, "q", "--method", method, "--bits", 4, "--group", 32, *asym, "--plan", several, *more))
    for how in ("dynamic", "static"):
        for x in (0, 1, 2):
            folder = bench.quantize(DEMO, "q", "--method", "smoothquant", "--activations", how, "--float-inputs", x, *CALIBRATED)
            form = json.loads((folder / "config.json").read_text())["quantization_config"]["format"]
            case(f"`smoothquant`, {form}", f"{how}, {x}", folder)
        folder = bench.quantize(DEMO, "q", "--method", "gptq", "--bits", 8, "--activations", how, *CALIBRATED)
        case("`gptq --activations`", how, folder)
    for bits, group, *asym in grids:
        q = bench.quantize(DEMO, "q", "--method", "gptq", "--bits", bits, "--group", group, *asym, *CALIBRATED)
        for zeros in ((), ("--zeros",)) if asym else ((),):
            case("refined folders", f"{bits} bits, {group} {asym} {zeros}", bench.refine(DEMO, q, "r", "--rate", 0.01, *zeros))
    q = bench.quantize(DEMO, "q", "--bits", 4, "--group", 32, "--plan", several)
    case("refined folders", "plan", bench.refine(DEMO, q, "r"))


# ---- AWQ and GPTQ folders ----

def stream(codes, bits):
    """[n][m] codes as words [n bits / 32][m]: for each column one stream of bits, low bits first."""
    n, m = codes.shape
    flat = (codes[:, None, :].astype(np.uint64) >> np.arange(bits, dtype=np.uint64)[None, :, None] & 1).reshape(-1, 32, m)
    return torch.from_numpy((flat << np.arange(32, dtype=np.uint64)[None, :, None]).sum(1).astype(np.uint32).view(np.int32))


def rounded(w, bits, groups, symmetric):
    """Codes [out][in], F16 scales and zero points [out][groups]; `groups` is the group of every column."""
    count, top = groups.max() + 1, 2 ** bits - 1
    low, high = (np.stack([f(w[:, groups == g], axis=1) for g in range(count)], 1) for f in (np.min, np.max))
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    if symmetric:
        low, high = -np.maximum(-low, high), np.maximum(-low, high)
    scale = np.maximum((high - low) / top, 1e-6).astype(np.float16)
    zero = np.full_like(low, 2 ** (bits - 1)) if symmetric else np.clip(np.round(-low / scale), 1, top)
    codes = np.clip(np.round(w / scale[:, groups]) + zero[:, groups], 0, top)
    return codes.astype(np.uint64), torch.from_numpy(scale), zero.astype(np.uint64)


def awq_words(codes):
    """[n][out] codes of 4 bits as words [n][out / 8] in AutoAWQ's order of outputs."""
    nibbles = codes.reshape(codes.shape[0], -1, 8)[:, :, [0, 2, 4, 6, 1, 3, 5, 7]]
    return torch.from_numpy((nibbles << np.arange(0, 32, 4, dtype=np.uint64)).sum(2).astype(np.uint32).view(np.int32))


def packed_matrix(w, method, bits, group, symmetric, ordered, seed):
    out, n = w.shape
    groups = np.arange(n) // (group if group > 0 else n)
    if ordered:
        groups = np.random.default_rng(seed).permutation(groups)
    codes, scale, zero = rounded(w, bits, groups, symmetric)
    if method == "awq":
        return {"qweight": awq_words(codes.T), "qzeros": awq_words(zero.T), "scales": scale.T}
    stored = zero if method == "gptq_v2" else (zero - 1) & np.uint64(2 ** bits - 1)
    return {"qweight": stream(codes.T, bits), "qzeros": stream(stored, bits).T, "scales": scale.T,
            "g_idx": torch.from_numpy(groups.astype(np.int32))}


def pack(to, method, bits, group, symmetric=False, ordered=False):
    """The bundled model as a folder of AWQ (gemm) or GPTQ, rounded to nearest."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(DEMO, to, ignore=shutil.ignore_patterns("*.c", "*.h", "*.jsonl", "*.md"))
    tensors = {}
    for i, (name, t) in enumerate(load_file(DEMO / "model.safetensors").items()):
        if not name.endswith("_proj.weight"):
            tensors[name] = t
            continue
        parts = packed_matrix(t.float().numpy(), method, bits, group, symmetric, ordered, i)
        tensors.update({name[:-len("weight")] + k: v.contiguous() for k, v in parts.items()})
    save_file(tensors, to / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((to / "config.json").read_text())
    config["quantization_config"] = {"quant_method": method.split("_")[0], "bits": bits, "group_size": group} | (
        {"zero_point": True, "version": "gemm"} if method == "awq" else
        {"sym": symmetric, "desc_act": ordered, "checkpoint_format": method,
         "meta": {"quantizer": ["gptqmodel:7.7.0"]}})  # it refuses zero points of unknown origin
    (to / "config.json").write_text(json.dumps(config))
    return to


def by_gptqmodel(folder):
    from gptqmodel import BACKEND, GPTQModel
    from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
    with contextlib.redirect_stdout(None):  # it says much
        model = GPTQModel.load(str(folder), device="cpu", dtype=torch.float16, backend=BACKEND.TORCH).model
    values = {name: t.detach() for name, t in model.state_dict().items()}
    for name, module in model.named_modules():
        if not hasattr(module, "qweight"):
            continue

        def decode():
            if "awq" in type(module).__name__.lower():
                return dequantize_gemm(module.qweight, module.qzeros, module.scales, module.bits, module.group_size)
            return module.dequantize_weight()
        half = decode()
        module.scales.data = module.scales.data.float()
        w = decode()
        if half.dtype != torch.float16 or not torch.equal(half, w.half()):
            sys.exit(f"{name}: in float16 their value is not the one in float32, rounded once")
        values[f"{name}.weight"] = w.T[:module.out_features, :module.in_features]
    for name, t in load_file(folder / "model.safetensors").items():
        if name in values:  # what is not packed came in float16
            values[name] = t
    return values


def packed(bench):
    cases = [("awq", 4, 32, False, False), ("awq", 4, 128, False, False)]
    cases += [(form, bits, group, symmetric, ordered) for bits in (2, 3, 4, 8) for symmetric in (True, False)
              for form, group, ordered in (("gptq", 32, False), ("gptq", 32, True), ("gptq", 128, True), ("gptq", -1, False),
                                           ("gptq_v2", 32, False), ("gptq_v2", 128, True))]
    for method, bits, group, symmetric, ordered in cases:
        row = "AWQ" if method == "awq" else f"GPTQ, format `{method}`"
        name = f"{bits} bits, {group}{', symmetric' if symmetric else ''}{', act-order' if ordered else ''}"
        folder = pack(bench.work / "p", method, bits, group, symmetric, ordered)
        bench.compare(f"(read only) {row}", name, folder, by_gptqmodel(folder))
        if group != 32:
            continue
        for zeros in ((),) if symmetric else ((), ("--zeros",)):
            refined = bench.refine(DEMO, folder, "r", "--rate", 0.01, *zeros)
            bench.compare(f"{row}, refined", f"{name} {zeros}", refined, by_gptqmodel(refined))


# ---- GGUF files ----

PARTS = [f"self_attn.{x}" for x in ("q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm")]
PARTS += ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "input_layernorm", "post_attention_layernorm"]


def by_gguf(file):
    """Values by their Hugging Face names; rows of q and k of `llama` back in that order."""
    from gguf import GGUFReader, MODEL_ARCH_NAMES, get_tensor_name_map
    from gguf.quants import dequantize
    reader = GGUFReader(file)
    text = reader.fields["general.architecture"].contents()
    field = {k: reader.fields[f"{text}.{k}"].contents() for k in ("block_count", "attention.head_count", "attention.head_count_kv")}
    arch = next(a for a, name in MODEL_ARCH_NAMES.items() if name == text)
    find = get_tensor_name_map(arch, field["block_count"]).get_name
    stems = ["model.embed_tokens", "model.norm", "lm_head"]
    stems += [f"model.layers.{i}.{part}" for i in range(field["block_count"]) for part in PARTS]
    names = {find(stem): stem for stem in stems}
    values = {}
    for t in reader.tensors:
        x = dequantize(t.data, t.tensor_type).astype(np.float32)
        stem, _, ending = t.name.rpartition(".")
        if text == "llama" and ("attn_q." in t.name or "attn_k." in t.name):
            heads = field["attention.head_count" if "attn_q." in t.name else "attention.head_count_kv"]
            x = x.reshape(heads, -1, 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)
        values[f"{names.get(stem, stem)}.{ending}"] = np.ascontiguousarray(x)
    return values


FLAT = ("F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_0", "Q5_1", "Q4_0", "Q4_1", "IQ4_NL", "IQ4_XS", "Q2_K")
MIXES = ("Q5_K_M", "Q5_K_S", "Q4_K_M", "Q4_K_S", "Q3_K_L", "Q3_K_M", "Q3_K_S")


def compare_file(bench, row, name, file, tokens=True):
    theirs = by_gguf(file)  # `merge` needs tokens, which some of the small models lack
    names = None if tokens else {n: t.shape for n, t in theirs.items() if not n.startswith("rope_freqs")}
    bench.compare(row, name, file, theirs, names)


def gguf(bench):
    for model in (bench.wide, DEMO, *TINY):
        for kind in FLAT + MIXES:
            for plain in ((), ("--plain",)):
                file = bench.quantize(model, "q.gguf", "--method", "gguf", "--type", kind, *plain)
                compare_file(bench, f"GGUF, 12 types and 7 mixes, {'`--plain`' if plain else 'searched'}", f"{model.name}, {kind}",
                             file, (model / "tokenizer.json").exists())
    plan = write_plan(bench, "*attn_q.weight Q2_K", "*attn_k.weight IQ4_XS", "*attn_v.weight Q5_1", "*attn_output.weight IQ4_NL",
                      "*ffn_gate.weight Q3_K", "*ffn_up.weight Q8_0", "*ffn_down.weight BF16")
    compare_file(bench, "GGUF by a plan of 8 types", "wide",
                 bench.quantize(bench.wide, "q.gguf", "--method", "gguf", "--type", "Q4_0", "--plan", plan))


def gguf_calibrated(bench):
    for kind in FLAT[3:] + MIXES:
        for rounding in ("gptq", "nearest"):
            q = bench.quantize(bench.wide, "q.gguf", "--method", "gguf", "--type", kind, "--rounding", rounding, *CALIBRATED)
            compare_file(bench, f"GGUF with `--calib`, `--rounding {rounding}`", f"wide, {kind}", q)
            if rounding == "gptq":
                compare_file(bench, "GGUF, refined", f"wide, {kind}", bench.refine(bench.wide, q, "r.gguf", "--rate", 0.01))


def main():
    parts = {"folders": folders, "calibrated": calibrated, "packed": packed, "gguf": gguf, "gguf-calibrated": gguf_calibrated}
    chosen = [p for p in sys.argv[2:] if p in parts] or list(parts)
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(sys.argv[1], work)
        for part in chosen:
            parts[part](bench)
    sys.exit(not bench.table())


if __name__ == "__main__":
    main()
