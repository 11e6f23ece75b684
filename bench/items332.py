#!/usr/bin/env python3
"""bench/items332.py
Minutes of training on 332 items, computed for GPUs that are not here: issue slots of the
kernels (bench/slots.tsv, made by bench/slots.py --table) and bytes of every op, against
clocks, cores and bandwidth. Nothing is measured, nothing runs.

    python3 bench/items332.py [-v] [SLOTS.tsv]        -v: seconds by part

Qwen2.5-0.5B, 4 bits with a half per 32, an adapter of rank 16 on all projections, 3 passes
over 332 items in batches of 8 (pipeline/restore/training.c); or its scales, by KL (refine).
What is assumed:

 - An op takes the longer of its issue slots, its matrix units and its bytes to and from
   memory; ops come one after the other, 10 us more for each.
 - A slot costs its lanes one clock, whatever it is: no dual issue on RDNA3, integers at the
   rate of floats on NVIDIA. Nothing stays in a cache between ops.
 - No kernel reaches these bounds: minutes are for SHARE of them.
 - Forward products are of halves where there are matrix units (--products auto), else f32;
   recomputed once; gradients, head and adapter in f32. First layer's input has a gradient.
 - Attention's kernels were counted at heads of 128; heads of 64 count as much.
 - DPO: both sides are whole solutions, which is more than its items have.
 - Validation after each pass, mining and quantizing are not in it. """
import os, sys

SHARE = 0.5
HIDDEN, FFN, LAYERS, HEADS, KV, HEAD, VOCAB = 896, 4864, 24, 14, 2, 64, 151936
RANK, ITEMS, EPOCHS, BATCH, DISPATCH = 16, 332, 3, 8, 10e-6
# Inputs and outputs of the parts of the groups: q k v, o, gate and up, down.
GROUPS = [(HIDDEN, [HEADS * HEAD, KV * HEAD, KV * HEAD]), (HEADS * HEAD, [HIDDEN]),
          (HIDDEN, [FFN, FFN]), (FFN, [HIDDEN])]
# Of a weight, in floats: 4 bits and a half per 32; the head has 8 bits.
PACKED, HEAD_BITS, CHUNK = 0.5625 / 4, 1.0625 / 4, 64

# Mean tokens of an item: question with the chat template of Qwen2.5, solution; and what a
# token sees, the mean of the squared lengths over twice the mean length. All problems of the
# training parts, tokenizer of Qwen2.5-Coder-0.5B: faultline tool tokenize.
DATA = {"GSM8K": (87.6, 122.8, 116.1), "MATH": (103.4, 229.0, 259.7)}

# name, device of slots.tsv, factors of slots (f32, matrix units), cores, lanes of a core that
# multiply and add a float in a clock, the same of its matrix units (halves, sums in floats),
# GHz, GB/s, and whose figures these are. NVIDIA: boost clock; 71 TFLOP/s of halves with sums
# in floats on the RTX 3090, 165 on the RTX 4090, so 256 a clock and SM. AMD: game clock; 512
# FLOP a clock and CU by WMMA. Intel: 233 TOPS of 8 bits at 2.85 GHz, halves at half of that.
# Intel has no shim: slots of ampere, times what ANV made more of earlier forms of the kernels.
GPUS = [
    ("GeForce RTX 4060", "ada", 1, 1, 24, 128, 256, 2.46, 272,
     "nvidia.com, GeForce RTX 4060 family; NVIDIA Ada GPU architecture, white paper"),
    ("GeForce RTX 3090", "ampere", 1, 1, 82, 128, 256, 1.695, 936,
     "NVIDIA Ampere GA102 GPU architecture, white paper"),
    ("Radeon RX 7800 XT", "navi31", 1, 1, 60, 64, 256, 2.124, 624,
     "amd.com, Radeon RX 7800 XT; GPUOpen on WMMA of RDNA 3"),
    ("Radeon RX 6700 XT", "navi21", 1, 1, 40, 64, 0, 2.424, 384,
     "amd.com, Radeon RX 6700 XT"),
    ("Radeon 780M", "phoenix", 1, 1, 12, 64, 256, 2.7, 89.6,
     "amd.com, Ryzen 7 7840U; two channels of DDR5-5600"),
    ("Arc B580 (slots estimated)", "ampere", 1.1, 2.2, 20, 128, 1024, 2.67, 456,
     "intel.com, Arc B580"),
]


class Gpu:
    def __init__(self, row, slots):
        self.name, self.device, self.f32, self.mma, cores, lanes, units, ghz, gbytes, _ = row
        self.slots = {k: v for (d, k), v in slots.items() if d == self.device}
        self.lanes, self.units = cores * lanes * ghz * 1e9, cores * units * ghz * 1e9
        self.bytes = gbytes * 1e9
        self.parts = {}

    def add(self, part, count, seconds, floats, dispatches=1):
        """An op that comes `count` times, with its floats to and from memory."""
        took = max(seconds, 4 * floats / self.bytes) / SHARE + dispatches * DISPATCH
        self.parts[part] = self.parts.get(part, 0) + count * took

    def fma(self, kernel, fma):
        return fma * self.slots[kernel] * self.f32 / self.lanes

    def product(self, fma):
        """Of the forward pass: seconds."""
        if not self.units:
            return self.fma("f32 tile q4", fma)
        wave, macs = (64, 4096) if self.device in ("navi31", "phoenix") else (32, 2048)
        issue = fma / macs * wave * self.slots["matrix units q4"] * self.mma / self.lanes
        return max(issue, fma / self.units)

    def attention(self, keys, *kernels):
        """`kernels`: by default the forward pass of 14 heads over 2 heads of keys."""
        wave = 64 if self.device.startswith(("navi", "phoenix")) else 32
        slots = sum(self.slots[k] for k in kernels or ("attention 7 heads",))
        return keys * HEADS * wave * slots * self.f32 / self.lanes


def forward(g, part, times, n, keys, weight, adapter):
    """All layers for n rows, `times` in a step; a weight takes so many floats."""
    for inputs, outs in GROUPS:
        out, rank = sum(outs), RANK * len(outs)
        g.add(part, times * LAYERS, g.product(n * inputs * out), n * (inputs + out) + inputs * out * weight)
        if adapter: # u = x A with outputs padded to a tile; u B within the product
            g.add("adapter", times * LAYERS, g.fma("f32 tile f32", n * inputs * -(-rank // 64) * 64),
                  n * (inputs + rank))
            g.add("adapter", times * LAYERS, g.fma("f32 tile f32", n * RANK * out), 0, 0)
    g.add("attention", times * LAYERS, g.attention(keys), n * (2 * HEADS + 2 * KV) * HEAD)
    # two norms, rope, activation: read and written
    g.add("elementwise", times * LAYERS, 0, n * (4 * HIDDEN + 2 * (HEADS + KV) * HEAD + 3 * FFN), 4)


def backward(g, n, keys, scales):
    for inputs, outs in GROUPS:
        out, rank = sum(outs), RANK * len(outs)
        if scales: # the weight as floats, for its own gradient and for dX
            g.add("unpack", LAYERS, 0, inputs * out * (1 + PACKED))
            g.add("scale_back", LAYERS, g.fma("scale_back", n * inputs * out), n * (inputs + out) + inputs * out)
            g.add("dX", LAYERS, g.fma("matmul_back f32", n * inputs * out), n * (inputs + out) + inputs * out)
            continue
        g.add("dX", LAYERS, g.fma("matmul_back q4", n * inputs * (out + rank)),
              n * (2 * inputs + out) + inputs * out * PACKED)
        for o in outs: # du = dy B, gradients of B and of A
            g.add("adapter", LAYERS, g.fma("f32 tile f32", n * o * 64), n * (o + RANK))
            g.add("outer", LAYERS, g.fma("outer, rank 16", n * RANK * o), n * (o + RANK))
            g.add("outer", LAYERS, g.fma("outer, rank 16", n * RANK * inputs), n * (inputs + RANK))
    g.add("attention", LAYERS, g.attention(keys, "gradient q 7", "gradient k, v"), 3 * n * (2 * HEADS + 2 * KV) * HEAD, 3)
    g.add("elementwise", LAYERS, 0, n * (8 * HIDDEN + 2 * (HEADS + KV) * HEAD + 5 * FFN), 4)


def head(g, part, targets, times, kernel="f32 tile q4", passes=3):
    """A product with the head, in chunks (runtime/train/train_size.c), and what reads and
    writes the logits."""
    g.add(part, times * targets / CHUNK, g.fma(kernel, CHUNK * HIDDEN * VOCAB),
          CHUNK * (HIDDEN + passes * VOCAB) + HIDDEN * VOCAB * HEAD_BITS, 2)


def step(g, recipe, question, solution, seen):
    """Seconds of one step."""
    g.parts = {}
    sides = 2 if recipe == "DPO" else 1
    n, targets = BATCH * sides * (question + solution), BATCH * sides * solution
    keys = n * seen
    forward(g, "forward", 2, n, keys, PACKED, recipe != "refine")
    backward(g, n, keys, recipe == "refine")
    # DPO needs all log-probabilities first, and its reference is computed once, not per pass
    head(g, "head", targets, 2 if recipe == "DPO" else 1)
    if recipe == "DPO":
        forward(g, "reference", 1 / EPOCHS, n, keys, PACKED, True)
        head(g, "reference", targets, 1 / EPOCHS)
    if recipe in ("KL", "refine"):
        forward(g, "teacher", 1, n, keys, 0.5, False) # halves
        head(g, "teacher", targets, 1)
    head(g, "head", targets, 1, "matmul_back q4")
    g.add("update", 1, 0, 12 * RANK * LAYERS * sum(i * len(o) + sum(o) for i, o in GROUPS), 60)
    return sum(g.parts.values())


def main():
    argv = [a for a in sys.argv[1:] if a != "-v"]
    path = argv[0] if argv else os.path.join(os.path.dirname(os.path.abspath(__file__)), "slots.tsv")
    rows = [line.rstrip("\n").split("\t") for line in open(path)][1:]
    slots = {(r[0], r[1]): float(r[3]) for r in rows}
    steps = EPOCHS * -(-ITEMS // BATCH)
    columns = [(d, r) for d in DATA for r in ("SFT", "KL", "DPO", "refine")]
    print(f"{steps} steps; minutes at {SHARE:.0%} of the bounds\n")
    print("| GPU | " + " | ".join(f"{d} {r}" for d, r in columns) + " |")
    print("|---|" + "---|" * len(columns))
    for row in GPUS:
        g = Gpu(row, slots)
        minutes = [steps * step(g, r, *DATA[d]) / 60 for d, r in columns]
        print(f"| {g.name} | " + " | ".join(f"{m:.1f}" for m in minutes) + " |")
        if "-v" in sys.argv:
            step(g, "KL", *DATA["GSM8K"])
            print("    GSM8K KL, seconds: " + ", ".join(f"{k} {steps * v:.1f}" for k, v in g.parts.items()))


if __name__ == "__main__":
    main()
