"""Trains the model of the second demo (tests/demo2), or of the third. Outside the product; needs
torch, numpy, safetensors.

    python3 bench/train_demo2.py --out DIR [--start DIR] [--steps N] [--stop STEP] [--resume]
                                 [--problems demo3_problems] [--without FILE ...]

A Qwen2-like model (hidden 128, 4 layers) on problems that bench/demo2_problems.py (or the file
that --problems names) draws as it goes, from random weights or, with --start, from those of
another model of this shape. Problems
of the files after --without are never trained on. Loss on solution tokens only. Matrices by Muon
(momentum made orthogonal), the rest by Adam. A checkpoint every 25 steps, and --resume continues
from it; a run that is resumed draws what an unbroken one draws.
"""
import argparse
import importlib
import json
import math
import os
import random
import re
import time
from collections import Counter

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

SEED = 7102
HIDDEN, FFN, LAYERS, HEADS, KV_HEADS, HEAD_DIM = 128, 384, 4, 4, 2, 32
POSITIONS, THETA, EPS = 512, 10000.0, 1e-6
BATCH_TOKENS, POOL = 2048, 1024
RATE_MATRIX, RATE_REST, WARM, DECAY = 0.01, 2e-3, 20, 0.5
PAD, SEP, END = "<|pad|>", "<|sep|>", "<|endoftext|>"
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
# The same for texts without letters and digits beyond ASCII: Python's re knows no \p.
PIECES = re.compile(r"[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9]+[\r\n]*|\s*[\r\n]+"
                    r"|\s+(?!\S)|\s+")


def byte_signs():
    """The letter that stands for each byte in a byte-level vocabulary."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    signs = {b: chr(b) for b in kept}
    for b in range(256):
        if b not in signs:
            signs[b] = chr(256 + len(signs) - len(kept))
    return signs


class Tokenizer:
    """Byte-level BPE whose merges make every word of the problems one token."""

    def __init__(self):
        self.signs, self.known = byte_signs(), {}

    @classmethod
    def read(cls, folder):
        self = cls()
        with open(os.path.join(folder, "tokenizer.json"), encoding="utf-8") as file:
            model = json.load(file)
        self.ids = model["model"]["vocab"]
        self.set_merges([tuple(m.split(" ")) for m in model["model"]["merges"]])
        return self

    def set_merges(self, merges):
        self.merges = merges
        self.rank = {pair: i for i, pair in enumerate(merges)}
        self.pad, self.sep, self.end = (len(self.ids) + i for i in range(3))
        self.size = (len(self.ids) + 3 + 63) // 64 * 64

    @classmethod
    def trained(cls, problems):
        self = cls()
        rng, counts = random.Random(SEED), Counter()
        for _ in range(8000):
            problem = problems.draw(rng)
            counts.update(PIECES.findall(problem["question"]))
            counts.update(PIECES.findall(problem["solution"]))
        words = {piece: list(self.letters(piece)) for piece in sorted(counts)}
        merges = []
        while True:
            pairs = Counter()
            for piece, parts in words.items():
                for pair in zip(parts, parts[1:]):
                    pairs[pair] += counts[piece]
            if not pairs:
                break
            best = max(sorted(pairs), key=pairs.get)
            merges.append(best)
            words = {piece: self.joined(parts, best) for piece, parts in words.items()}
        tokens = sorted(self.signs.values()) + ["".join(pair) for pair in merges]
        self.ids = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
        self.set_merges(merges)
        return self

    def letters(self, piece):
        return "".join(self.signs[b] for b in piece.encode())

    @staticmethod
    def joined(parts, pair):
        out = []
        for part in parts:
            if out and (out[-1], part) == pair:
                out[-1] += part
            else:
                out.append(part)
        return out

    def word(self, piece):
        if piece not in self.known:
            parts = list(self.letters(piece))
            while True:
                ranks = [self.rank.get(p, math.inf) for p in zip(parts, parts[1:])]
                if not ranks or min(ranks) == math.inf:
                    break
                at = ranks.index(min(ranks))
                parts = self.joined(parts, (parts[at], parts[at + 1]))
            self.known[piece] = [self.ids[p] for p in parts]
        return self.known[piece]

    def encode(self, text):
        return [i for piece in PIECES.findall(text) for i in self.word(piece)]

    def save(self, folder):
        special = [{"id": i, "content": text, "single_word": False, "lstrip": False,
                    "rstrip": False, "normalized": False, "special": True}
                   for i, text in ((self.pad, PAD), (self.sep, SEP), (self.end, END))]
        isolated = {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated",
                    "invert": False}
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
                 "use_regex": False}
        write_json(folder, "tokenizer.json", {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
            "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [isolated, level]},
            "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": "", "end_of_word_suffix": "",
                      "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": self.ids, "merges": [" ".join(m) for m in self.merges]}})
        # The instruction of a prompt format stands before the question, with an empty line
        # between. The model knows one task and was trained without it.
        write_json(folder, "tokenizer_config.json", {
            "tokenizer_class": "Qwen2Tokenizer", "eos_token": END, "pad_token": PAD,
            "model_max_length": POSITIONS, "clean_up_tokenization_spaces": False,
            "chat_template": "{{ messages[-1]['content'].split('\\n\\n')[-1] }}" + SEP})


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.write("\n")


class Model(torch.nn.Module):
    """Names and shapes as Qwen2ForCausalLM stores them."""

    def __init__(self, vocab):
        super().__init__()
        kv = KV_HEADS * HEAD_DIM
        shapes = {"self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (kv, HIDDEN),
                  "self_attn.v_proj": (kv, HIDDEN), "self_attn.o_proj": (HIDDEN, HIDDEN),
                  "mlp.gate_proj": (FFN, HIDDEN), "mlp.up_proj": (FFN, HIDDEN),
                  "mlp.down_proj": (HIDDEN, FFN)}
        self.w = torch.nn.ParameterDict()
        self.names = {}

        def add(name, value):
            self.names[name] = name.replace(".", "/")
            self.w[self.names[name]] = torch.nn.Parameter(value)

        add("model.embed_tokens.weight", torch.randn(vocab, HIDDEN) * 0.05)
        for i in range(LAYERS):
            for name, (rows, columns) in shapes.items():
                scale = 0.0 if name in ("self_attn.o_proj", "mlp.down_proj") else 0.5
                add(f"model.layers.{i}.{name}.weight",
                    torch.randn(rows, columns) * scale * columns ** -0.5)
            for name in ("q", "k", "v"):
                add(f"model.layers.{i}.self_attn.{name}_proj.bias",
                    torch.zeros(shapes[f"self_attn.{name}_proj"][0]))
            add(f"model.layers.{i}.input_layernorm.weight", torch.ones(HIDDEN))
            add(f"model.layers.{i}.post_attention_layernorm.weight", torch.ones(HIDDEN))
        add("model.norm.weight", torch.ones(HIDDEN))
        turns = torch.outer(torch.arange(POSITIONS).float(),
                            THETA ** (-torch.arange(0, HEAD_DIM, 2).float() / HEAD_DIM))
        turns = torch.cat([turns, turns], 1)
        self.register_buffer("cos", turns.cos(), persistent=False)
        self.register_buffer("sin", turns.sin(), persistent=False)

    def get(self, name):
        return self.w[self.names[name]]

    def forward(self, ids, places):
        """Logits at the flat places of a batch of ids."""
        x = self.get("model.embed_tokens.weight")[ids]
        for i in range(LAYERS):
            x = self.layer(x, f"model.layers.{i}.")
        x = x.reshape(-1, HIDDEN)[places]
        return norm(x, self.get("model.norm.weight")) @ self.get("model.embed_tokens.weight").T

    def layer(self, x, at):
        batch, length, _ = x.shape
        cos, sin = self.cos[:length], self.sin[:length]

        def heads(y, name, count):
            y = F.linear(y, self.get(at + f"self_attn.{name}_proj.weight"),
                         self.get(at + f"self_attn.{name}_proj.bias"))
            return y.view(batch, length, count, HEAD_DIM).transpose(1, 2)

        def turned(y):
            half = HEAD_DIM // 2
            return y * cos + torch.cat([-y[..., half:], y[..., :half]], -1) * sin

        y = norm(x, self.get(at + "input_layernorm.weight"))
        q, k = turned(heads(y, "q", HEADS)), turned(heads(y, "k", KV_HEADS))
        k = k.repeat_interleave(HEADS // KV_HEADS, 1)
        v = heads(y, "v", KV_HEADS).repeat_interleave(HEADS // KV_HEADS, 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y.transpose(1, 2).reshape(batch, length, HIDDEN)
        x = x + F.linear(y, self.get(at + "self_attn.o_proj.weight"))
        y = norm(x, self.get(at + "post_attention_layernorm.weight"))
        y = F.silu(F.linear(y, self.get(at + "mlp.gate_proj.weight"))) * \
            F.linear(y, self.get(at + "mlp.up_proj.weight"))
        return x + F.linear(y, self.get(at + "mlp.down_proj.weight"))

    def save(self, folder, vocab, end, pad):
        tensors = {name: self.get(name).detach().half().contiguous() for name in self.names}
        save_file(tensors, os.path.join(folder, "model.safetensors"), {"format": "pt"})
        write_json(folder, "config.json", {
            "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2",
            "hidden_size": HIDDEN, "intermediate_size": FFN, "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
            "vocab_size": vocab, "max_position_embeddings": POSITIONS,
            "rms_norm_eps": EPS, "rope_theta": THETA, "hidden_act": "silu",
            "tie_word_embeddings": True, "use_sliding_window": False,
            "torch_dtype": "float16", "bos_token_id": None, "eos_token_id": end,
            "pad_token_id": pad})


def is_matrix(name):
    return "_proj/weight" in name


def norm(x, weight):
    return F.rms_norm(x, (HIDDEN,), weight, EPS)


# Tokens that mean what another one means to the model that is started from.
SAME = {"\u00d7": "*", "\u00f7": "/", " \\": "####", "boxed": "####"}


@torch.no_grad()
def start_from(folder, model, tokenizer):
    """Takes the weights of another model. A token starts as the mean of those that the other
    tokenizer reads in its text."""
    other, old = Tokenizer.read(folder), load_file(os.path.join(folder, "model.safetensors"))
    for name in model.names:
        if name != "model.embed_tokens.weight":
            model.get(name).copy_(old[name])
    table = old["model.embed_tokens.weight"]
    byte = {sign: b for b, sign in tokenizer.signs.items()}
    rows = model.get("model.embed_tokens.weight")
    for token, i in tokenizer.ids.items():
        text = bytes(byte[c] for c in token).decode(errors="replace")
        read = other.encode(SAME.get(text, text))
        if read:
            rows[i] = table[read].mean(0)
    for new, was in ((tokenizer.pad, other.pad), (tokenizer.sep, other.sep),
                     (tokenizer.end, other.end)):
        rows[new] = table[was]


class Muon:
    """Momentum whose singular values are brought near 1 before it is applied."""

    def __init__(self, weights):
        self.weights = weights
        self.momentum = [torch.zeros_like(w) for w in weights]

    @torch.no_grad()
    def step(self, rate):
        for w, m in zip(self.weights, self.momentum):
            m.lerp_(w.grad, 0.05)
            u = w.grad.lerp(m, 0.95)
            wide = u.T if u.shape[0] > u.shape[1] else u
            x = wide / (wide.norm() + 1e-7)
            for _ in range(5):
                a = x @ x.T
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            u = x.T if u.shape[0] > u.shape[1] else x
            w.mul_(1 - 0.01 * rate)
            w.add_(u, alpha=-rate * max(1, w.shape[0] / w.shape[1]) ** 0.5)


def batches(problems, tokenizer, rng, without):
    """Problems of like lengths side by side, one pool after the other."""
    while True:
        pool = []
        while len(pool) < POOL:
            problem = problems.draw(rng)
            if problem["question"] not in without:
                prompt = tokenizer.encode(problem["question"]) + [tokenizer.sep]
                answer = tokenizer.encode(problem["solution"]) + [tokenizer.end]
                pool.append((prompt + answer, len(prompt)))
        pool.sort(key=lambda row: len(row[0]))
        cut, start = [], 0
        for i in range(1, len(pool) + 1):
            if i == len(pool) or (i + 1 - start) * len(pool[i][0]) > BATCH_TOKENS:
                cut.append(pool[start:i])
                start = i
        rng.shuffle(cut)
        yield from cut


def tensors(rows, pad):
    """Ids, the flat places whose next token counts, and these tokens."""
    length = max(len(ids) for ids, _ in rows) - 1
    ids = torch.full((len(rows), length), pad)
    places, targets = [], []
    for i, (row, prompt) in enumerate(rows):
        ids[i, :len(row) - 1] = torch.tensor(row[:-1])
        places += [i * length + t for t in range(prompt - 1, len(row) - 1)]
        targets += row[prompt:]
    return ids, torch.tensor(places), torch.tensor(targets)


@torch.no_grad()
def whole_right(model, rows, pad):
    """The share of solutions all of whose tokens are the model's first choice. The first word of
    step 1 is free: it chooses the wording."""
    right = 0
    for start in range(0, len(rows), 16):
        part = rows[start:start + 16]
        ids, places, targets = tensors(part, pad)
        good = (model(ids, places).argmax(1) == targets).tolist()
        at = 0
        for row, prompt in part:
            line = good[at:at + len(row) - prompt]
            right += all(line[:4]) and all(line[5:])
            at += len(line)
    return right / len(rows)


def rate_at(step, steps):
    left = (steps - step) / (DECAY * steps)
    return min(1.0, (step + 1) / WARM, max(left, 0.0))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--start", help="folder of a model of the same shape")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--stop", type=int, default=1 << 30)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--problems", default="demo2_problems")
    parser.add_argument("--without", nargs="*", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    os.makedirs(options.out, exist_ok=True)
    without = set()
    for name in options.without:
        with open(name, encoding="utf-8") as file:
            without |= {json.loads(line)["question"] for line in file}
    problems = importlib.import_module(options.problems)
    tokenizer = Tokenizer.trained(problems)
    tokenizer.save(options.out)
    model = Model(tokenizer.size)
    if options.start:
        start_from(options.start, model, tokenizer)
    matrices = [w for n, w in model.named_parameters() if is_matrix(n)]
    rest = [w for n, w in model.named_parameters() if not is_matrix(n)]
    muon = Muon(matrices)
    adam = torch.optim.Adam(rest, betas=(0.9, 0.98), eps=1e-9)
    rng, step, seconds, tokens = random.Random(SEED + 1), 0, 0.0, 0
    source = batches(problems, tokenizer, rng, without)
    checkpoint = os.path.join(options.out, "checkpoint.pt")
    if options.resume:
        kept = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(kept["model"])
        adam.load_state_dict(kept["adam"])
        muon.momentum = kept["muon"]
        step, seconds, tokens = kept["step"], kept["seconds"], kept["tokens"]
        for _ in range(step):
            next(source)
    held = random.Random(SEED + 2)
    proof = next(batches(problems, tokenizer, held, without))
    while len(proof) < 100:
        proof += next(batches(problems, tokenizer, held, without))
    print(f"vocabulary {tokenizer.size}, parameters {sum(w.numel() for w in model.parameters())}",
          flush=True)
    run = torch.compile(model, dynamic=True) if os.environ.get("DEMO2_COMPILE") else model
    losses, began = [], time.process_time() - seconds
    while step < min(options.steps, options.stop):
        rows = next(source)
        ids, places, targets = tensors(rows, tokenizer.pad)
        loss = F.cross_entropy(run(ids, places), targets)
        loss.backward()
        rate = rate_at(step, options.steps)
        muon.step(RATE_MATRIX * rate)
        adam.param_groups[0]["lr"] = RATE_REST * rate
        adam.step()
        model.zero_grad()
        losses.append(loss.item())
        tokens += ids.numel()
        step += 1
        last = step == min(options.steps, options.stop)
        if step % 25 == 0 or last:
            print(f"step {step} loss {sum(losses) / len(losses):.4f} tokens {tokens} "
                  f"CPU seconds {time.process_time() - began:.0f}", flush=True)
            losses = []
        if step % 25 == 0 or last:
            torch.save({"model": model.state_dict(), "adam": adam.state_dict(),
                        "muon": muon.momentum, "step": step, "tokens": tokens,
                        "seconds": time.process_time() - began}, checkpoint + ".new")
            os.replace(checkpoint + ".new", checkpoint)
        if step % 200 == 0 or last:
            model.save(options.out, tokenizer.size, tokenizer.end, tokenizer.pad)
            print(f"whole solutions right {whole_right(model, proof, tokenizer.pad):.3f} "
                  f"of {len(proof)}", flush=True)


if __name__ == "__main__":
    main()
