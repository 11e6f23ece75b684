"""Our GPTQ and AWQ beside GPTQModel and llm-compressor: same model, grid, calibration ids. Called by bench/field.sh.

    field.py prepare   --gguf FILE --text FILE.jsonl.gz   the model as a folder of F32, windows of token ids
    field.py gptqmodel --name N [options]                 a folder made by GPTQModel
    field.py awq       --name N [options]                 a folder made by llm-compressor
    field.py ours      --name N -- OPTION...              a folder made by `faultline quantize`
    field.py moments                                      second moments of all inputs, on the calibration ids
    field.py score     --name N [...]                     errors and KL of folders that are there
    field.py table     --out FILE.json                    what was measured, as JSON and as tables

Everything lies in --work. A step whose result is there does nothing. Times are those of the whole process.
"""
import argparse
import gzip
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")  # GPTQModel 7.7 asks for two threads and makes one on two cores

import numpy as np

MODULES = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
INPUT = dict(zip(MODULES, ["attn", "attn", "attn", "o", "mlp", "mlp", "down"]))
NORM = {"attn": "input_layernorm", "mlp": "post_attention_layernorm"}
BLOCK = 64  # neighbouring tokens that count as one for intervals


def say(*words):
    print(*words, flush=True)


def load(path):
    return json.loads(Path(path).read_text())


def save(path, value):
    part = Path(f"{path}.part")
    part.write_text(json.dumps(value, indent=1) + "\n")
    part.rename(path)


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, **more)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr.decode()[-800:]}")
    return done.stdout


def names(layers):
    return [f"model.layers.{i}.{m}" for i in range(layers) for m in MODULES]


# ---- the model and the text ----

def write_text(options, first, tokens, path):
    """Problems with solutions, without the calculator's marks, from problem `first` on: some more than `tokens` tokens."""
    out, size = [], 0
    with gzip.open(options.text, "rt", encoding="utf-8") as file:
        for line in list(file)[first:]:
            row = json.loads(line)
            out.append(row["question"] + "\n" + re.sub(r"<<[^>]*>>", "", row["answer"]).replace("####", "The answer is") + "\n\n")
            size += len(out[-1])
            if size > tokens * 4:
                break
    path.write_text("".join(out), encoding="utf-8")
    return first + len(out)


def windows(options, path, count):
    """The first `count` windows of the text's ids, which both tokenizers agree on."""
    from tokenizers import Tokenizer
    text = path.read_text(encoding="utf-8")
    ids = json.loads(run(options.program, "tool", "tokenize", "--model", options.work / "full", "--json", input=json.dumps(text).encode() + b"\n"))
    if ids != Tokenizer.from_file(str(options.work / "full/tokenizer.json")).encode(text, add_special_tokens=False).ids:
        sys.exit(f"{path}: the tokenizers disagree")
    if len(ids) < count * options.length:
        sys.exit(f"{path}: {len(ids)} tokens are too few")
    return [ids[i * options.length:(i + 1) * options.length] for i in range(count)]


def prepare(options):
    """The GGUF file's values by gguf's decoder as a folder of F32; what is not quantized comes from our own folder."""
    import gguf
    from safetensors.numpy import load_file, save_file
    full = options.work / "full"
    if not (full / "model.safetensors").exists():
        rtn = options.work / "rtn8"
        if not rtn.exists():
            run(options.program, "quantize", "--model", options.gguf, "--out", rtn, "--bits", "8", "--keep", "f32")
        shutil.rmtree(full, ignore_errors=True)
        full.mkdir()
        config = load(rtn / "config.json")
        del config["quantization_config"]
        save(full / "config.json", config)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(rtn / name, full)
        tensors = {k: v for k, v in load_file(rtn / "model.safetensors").items() if not re.search(r"_(packed|scale|shape)$", k)}
        short = dict(zip(MODULES, ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]))
        stored = {t.name: t for t in gguf.GGUFReader(options.gguf).tensors}
        kinds = {}
        for name in names(config["num_hidden_layers"]):
            tensor = stored[f"blk.{name.split('.')[2]}.{short[name.split('.', 3)[3]]}.weight"]
            kinds[tensor.tensor_type.name] = kinds.get(tensor.tensor_type.name, 0) + 1
            tensors[name + ".weight"] = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        save_file(tensors, full / "model.safetensors", metadata={"format": "pt"})
        save(options.work / "source.json", {"file": Path(options.gguf).name, "types": kinds})
        say(kinds)
    if not (options.work / "ids.json").exists():
        calibration, held = options.work / "calibration.txt", options.work / "held-out.txt"
        write_text(options, 0, options.calibration * options.length, calibration)
        write_text(options, 5000, options.held * options.length, held)
        save(options.work / "ids.json", {"length": options.length, "calibration": windows(options, calibration, options.calibration),
                                         "held out": windows(options, held, options.held)})


# ---- making folders ----

class Clock:
    """Seconds on the clock and of all processors, and the most memory, of this process and its children."""

    def __init__(self):
        self.start = time.time()

    def stop(self, options, **more):
        both = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        save(options.work / f"{options.name}.made.json", {
            "seconds": round(time.time() - self.start, 1), "cpu seconds": round(sum(u.ru_utime + u.ru_stime for u in both), 1),
            "MiB": max(u.ru_maxrss for u in both) // 1024, **more})


def gptqmodel(options):
    clock = Clock()
    import gptqmodel as peer
    import torch
    from importlib.metadata import version
    settings = {"bits": options.bits, "group_size": options.group, "sym": not options.asym}
    if options.act_order:
        settings |= {"desc_act": True, "act_group_aware": False}
    if options.damping:
        settings["damp_percent"] = options.damping
    ids = load(options.work / "ids.json")["calibration"][:options.windows]
    model = peer.GPTQModel.load(str(options.work / "full"), peer.QuantizeConfig(**settings), dtype=torch.float32, device="cpu")
    begin = time.time()
    model.quantize([{"input_ids": i, "attention_mask": [1] * len(i)} for i in ids], batch_size=1)
    seconds = time.time() - begin
    model.save(str(options.work / options.name))
    clock.stop(options, quantize=round(seconds, 1), tokens=sum(map(len, ids)), by=f"GPTQModel {version('gptqmodel')}", settings=settings)


def awq(options):
    clock = Clock()
    import datasets
    import torch
    from importlib.metadata import version
    from llmcompressor import oneshot
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from llmcompressor.modifiers.transform.awq import AWQModifier
    from llmcompressor.pipelines.cache import IntermediatesCache
    from transformers import AutoModelForCausalLM
    IntermediatesCache.pin_memory = lambda *_, **__: None  # llm-compressor 0.14 calls it without a GPU too, where it fails
    settings = {"num_bits": options.bits, "type": "int", "symmetric": not options.asym, "strategy": "group", "group_size": options.group}
    ids = load(options.work / "ids.json")["calibration"][:options.windows]
    model = AutoModelForCausalLM.from_pretrained(options.work / "full", dtype=torch.float32)
    data = datasets.Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * len(i) for i in ids]})
    recipe = [AWQModifier(), QuantizationModifier(config_groups={"group_0": {"targets": ["Linear"], "weights": settings}}, ignore=["lm_head"])]
    begin = time.time()
    oneshot(model=model, dataset=data, recipe=recipe, max_seq_length=options.length, num_calibration_samples=len(ids), shuffle_calibration_samples=False)
    seconds = time.time() - begin
    model.save_pretrained(options.work / options.name, save_compressed=True)
    clock.stop(options, quantize=round(seconds, 1), tokens=sum(map(len, ids)), by=f"llm-compressor {version('llmcompressor')}", settings=settings)


def ours(options):
    clock = Clock()
    out = options.work / options.name
    calibration = ["--calib", options.work / "calibration.txt", "--calib-items", options.windows, "--calib-length", options.length,
                   "--select", "none"] if "--calibrated" in options.rest else []
    rest = [r for r in options.rest if r != "--calibrated"]
    shown = run(options.program, "quantize", "--model", options.work / "full", "--out", out, "--group", options.group, *rest, *calibration,
                "--json", "--progress", "none", "--store", options.work / "field.db")
    report = json.loads(shown)
    report.pop("list", None)
    clock.stop(options, tokens=options.windows * options.length if calibration else 0, by="ours", settings=rest, report=report)


# ---- measuring ----

def count_layers(options):
    """Of the first layers, which are compared: the rest stays that of the full model."""
    return min(options.layers, load(options.work / "full/config.json")["num_hidden_layers"])


def full_model(options):
    import torch
    from transformers import AutoModelForCausalLM
    return AutoModelForCausalLM.from_pretrained(options.work / "full", dtype=torch.float32).eval()


def moments(options):
    """X^T X / rows of every input of the full model, float32 sums of windows in float64; and the inputs of the blocks."""
    import torch
    folder = options.work / "moments"
    if (folder / "done").exists():
        return
    folder.mkdir(exist_ok=True)
    model, ids = full_model(options), load(options.work / "ids.json")["calibration"][:options.windows]
    sums = {}

    def hook(key):
        def add(_, inputs):
            x = inputs[0].reshape(-1, inputs[0].shape[-1])
            sums[key] = sums[key].add_(x.T @ x) if key in sums else (x.T @ x).double()
        return add
    first = {"attn": "self_attn.q_proj", "o": "self_attn.o_proj", "mlp": "mlp.gate_proj", "down": "mlp.down_proj"}
    model.model.layers = model.model.layers[:count_layers(options)]
    for i, layer in list(enumerate(model.model.layers))[::options.every]:
        for key, module in first.items():
            layer.get_submodule(module).register_forward_pre_hook(hook((i, key)))
    with torch.no_grad():
        for at, window in enumerate(ids):
            model.model(torch.tensor([window]))
            say(f"moments: window {at + 1} of {len(ids)}")
    rows = sum(map(len, ids))
    for (i, key), h in sums.items():
        np.save(folder / f"{i}-{key}.npy", (h / rows).float().numpy())
    (folder / "done").touch()


def dequantized(options, name):
    """The values of a folder's matrices and whatever else differs from the full model, by our reader, once."""
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file
    path = options.work / f"{name}.values.safetensors"
    if path.exists():
        return load_file(path)
    out, raw = {}, options.work / f"{name}.raw"
    for module in names(count_layers(options)):
        run(options.program, "tool", "dequant", "--model", options.work / name, "--tensor", module, "-o", raw)
        out[module + ".weight"] = np.fromfile(raw, np.float32)
    raw.unlink()
    with safe_open(options.work / "full/model.safetensors", "np") as full:
        for key in out:
            out[key] = out[key].reshape(full.get_slice(key).get_shape())
        for file in sorted((options.work / name).glob("*.safetensors")):
            with safe_open(file, "pt") as folder:
                for key in folder.keys():
                    layer = re.match(r"model\.layers\.(\d+)\.", key)
                    if layer and int(layer[1]) < count_layers(options) and re.search(r"norm\.weight$|_proj\.bias$", key):
                        value = folder.get_tensor(key).float().numpy()
                        if key in full.keys() or np.any(value):
                            out[key] = value
    save_file(out, path)
    return out


def objective(options, values):
    """Per matrix: tr(D H D^T), D of effective weights. Factors in a norm are taken out; matrices whose factors lie in
    another matrix (down with AWQ) have none, see blocks()."""
    from safetensors import safe_open
    out = {}
    with safe_open(options.work / "full/model.safetensors", "np") as full:
        for i in range(0, count_layers(options), options.every):
            h = {key: np.load(options.work / f"moments/{i}-{key}.npy") for key in set(INPUT.values())}
            for module in MODULES:
                name, key = f"model.layers.{i}.{module}", INPUT[module]
                q = values[name + ".weight"]
                norm = f"model.layers.{i}.{NORM.get(key)}.weight"
                if norm in values:
                    q = q * (values[norm].astype(np.float64) / full.get_tensor(norm)).astype(np.float32)
                d = full.get_tensor(name + ".weight") - q
                out[name] = float(np.einsum("ij,ij->", d @ h[key], d, dtype=np.float64))
    return out


def put(model, values):
    import torch
    state = model.state_dict()
    with torch.no_grad():
        for key, value in values.items():
            state[key].copy_(torch.from_numpy(value))


def blocks(options, full, model):
    """Sum over tokens of the squared error of what attention and MLP add, by layer, for inputs of the full model; and theirs."""
    import torch
    out = {"attention": [], "mlp": []}
    ids = load(options.work / "ids.json")["calibration"][:options.block_windows]
    sums = np.zeros((count_layers(options), 2))
    with torch.no_grad():
        for window in ids:
            x = full.model.embed_tokens(torch.tensor([window]))
            place = torch.arange(len(window))[None]
            rotary = full.model.rotary_emb(x, place)
            for i, (a, b) in enumerate(zip(full.model.layers[:len(sums)], model.model.layers)):
                def attention(layer):
                    return layer.self_attn(hidden_states=layer.input_layernorm(x), position_embeddings=rotary, attention_mask=None)[0]
                f = attention(a)
                sums[i, 0] += float((f - attention(b)).square().sum(dtype=torch.float64))
                x = x + f
                f = a.mlp(a.post_attention_layernorm(x))
                sums[i, 1] += float((f - b.mlp(b.post_attention_layernorm(x))).square().sum(dtype=torch.float64))
                x = x + f
    sums /= sum(map(len, ids))
    out["attention"], out["mlp"] = sums[:, 0].tolist(), sums[:, 1].tolist()
    return out


def divergence(options, full, model):
    """KL(full || model) of every held-out token, windows apart; and the share of equal first choices."""
    import torch
    kl, same = [], 0
    with torch.no_grad():
        for window in load(options.work / "ids.json")["held out"][:options.held]:
            ids = torch.tensor([window])
            f, q = (m.lm_head(m.model(ids).last_hidden_state[0]).log_softmax(-1) for m in (full, model))
            kl.append((f.exp() * (f - q)).sum(-1, dtype=torch.float64).numpy())
            same += int((f.argmax(-1) == q.argmax(-1)).sum())
    kl = np.concatenate(kl)
    return kl, same / len(kl)


def score(options):
    full = model = None
    for name in options.names:
        made, to = options.work / f"{name}.made.json", options.work / f"{name}.scores.json"
        if to.exists() or not made.exists():
            continue
        begin = time.time()
        values = dequantized(options, name)
        out = {"objective": objective(options, values)}
        if full is None:
            full, model = full_model(options), full_model(options)
        model.load_state_dict(full.state_dict())
        put(model, values)
        out["blocks"] = blocks(options, full, model)
        kl, out["same"] = divergence(options, full, model)
        np.save(options.work / f"{name}.kl.npy", kl)
        out["KL"], out["tokens"] = float(kl.mean()), len(kl)
        save(to, out)
        say(f"{name}: KL {kl.mean():.4f}, same first choice {out['same']:.3f}, {time.time() - begin:.0f} s")


# ---- tables ----

def paired(a, b):
    """Mean of a over mean of b, and half a 95 % interval of it, from blocks of neighbouring tokens."""
    n = len(a) // BLOCK * BLOCK
    x, y = (v[:n].reshape(-1, BLOCK).mean(1) for v in (a, b))
    ratio = x.mean() / y.mean()
    return ratio, 1.96 * np.std(x - ratio * y, ddof=1) / np.sqrt(len(x)) / y.mean()


def interval(kl):
    blocks_of = kl[:len(kl) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(1)
    return 1.96 * np.std(blocks_of, ddof=1) / np.sqrt(len(blocks_of))


def ratios(a, b, keys):
    """Of two sets of errors: the mean of the quotients, the largest, and the quotient of the sums."""
    r = [a[k] / b[k] for k in keys]
    return {"mean": float(np.mean(r)), "largest": float(max(r)), "sums": sum(a[k] for k in keys) / sum(b[k] for k in keys), "n": len(r)}


def pair(options, first, second):
    """Errors and KL of one folder over those of another."""
    a, b = (load(options.work / f"{n}.scores.json") for n in (first, second))
    folded = "awq" in first or "awq" in second
    keys = [k for k in a["objective"] if not folded or not re.search(r"(up|down)_proj", k)]
    kl = [np.load(options.work / f"{n}.kl.npy") for n in (first, second)]
    ratio, half = paired(*kl)
    flat = [{(k, i): e for k in ("attention", "mlp") for i, e in enumerate(s["blocks"][k])} for s in (a, b)]
    return {"ours": first, "theirs": second, "objective": ratios(a["objective"], b["objective"], keys),
            "blocks": ratios(flat[0], flat[1], list(flat[0])), "KL": {"ratio": ratio, "half": half, "tokens": len(kl[0])}}


def table(options):
    made = {p.name[:-len(".made.json")]: load(p) for p in sorted(options.work.glob("*.made.json"))}
    rows = {}
    for name, m in made.items():
        scores = options.work / f"{name}.scores.json"
        if scores.exists():
            s, kl = load(scores), np.load(options.work / f"{name}.kl.npy")
            rows[name] = {**{k: v for k, v in m.items() if k != "report"}, "KL": s["KL"], "half": interval(kl), "same": s["same"],
                          "held-out tokens": len(kl), "attention": sum(s["blocks"]["attention"]), "mlp": sum(s["blocks"]["mlp"])}
    pairs = [pair(options, *p.split("/")) for p in options.pairs if all(n in rows for n in p.split("/"))]
    out = {"source": load(options.work / "source.json"), "folders": rows, "pairs": pairs}
    if options.out:
        save(options.out, out)
    say("| folder | by | calibration tokens | KL (± 95 %) | same first choice | seconds, CPU seconds |\n|---|---|---|---|---|---|")
    for name, r in rows.items():
        say(f"| {name} | {r['by']} | {r['tokens']} | {r['KL']:.4f} ± {r['half']:.4f} | {100 * r['same']:.1f} % | {r['seconds']:.0f}, {r['cpu seconds']:.0f} |")
    say("\n| ours / theirs | error of matrices: mean (largest), of sums | of blocks | KL (± 95 %) |\n|---|---|---|---|")
    for p in pairs:
        o, b = p["objective"], p["blocks"]
        say(f"| {p['ours']} / {p['theirs']} | {o['mean']:.3f} ({o['largest']:.3f}), {o['sums']:.3f}; n = {o['n']} | {b['mean']:.3f} ({b['largest']:.3f}), "
            f"{b['sums']:.3f}; n = {b['n']} | {p['KL']['ratio']:.3f} ± {p['KL']['half']:.3f} |")


def main():
    parser = argparse.ArgumentParser()
    steps = {"prepare": prepare, "gptqmodel": gptqmodel, "awq": awq, "ours": ours, "moments": moments, "score": score, "table": table}
    parser.add_argument("step", choices=steps)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--program", default="build/release/faultline")
    parser.add_argument("--gguf")
    parser.add_argument("--text")
    parser.add_argument("--name")
    parser.add_argument("--names", nargs="*", default=[])
    parser.add_argument("--pairs", nargs="*", default=[])
    parser.add_argument("--out")
    for name, default in (("length", 512), ("calibration", 32), ("held", 16), ("windows", 32), ("block-windows", 4), ("every", 1), ("layers", 10000), ("bits", 3), ("group", 128)):
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--damping", type=float)
    parser.add_argument("--asym", action="store_true")
    parser.add_argument("--act-order", action="store_true")
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:at])
    options.rest = sys.argv[at + 1:]
    if options.name and (options.work / f"{options.name}.made.json").exists():
        return
    if options.name:
        shutil.rmtree(options.work / options.name, ignore_errors=True)
    steps[options.step](options)


main()
