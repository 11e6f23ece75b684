#!/usr/bin/env python3
"""Reference of AWQ (arXiv 2306.00978) in float64: factors of columns by 20 ratios, then the
range of every group, as runtime/quant/awq.h says. Inputs are kept token by token and outputs
are compared, where runtime/quant/awq.c works from second moments.

    python3 make_awq.py FOLDER     writes awq.codes and awq.json; needs NumPy"""
import json
import sys

import numpy as np
from make_gptq import Numbers, code

SHAPES = [((48, 32), 96, 300), ((40,), 160, 400), ((24, 24, 16), 288, 500), ((150, 8), 64, 200)]
CASES = [(bits, group, asym) for bits, group in ((2, 32), (3, 0), (4, 96)) for asym in (False, True)]
CASES += [(3, 16, True)]
SAMPLE = 128


def make(outs, cols, tokens):
    n = Numbers(sum(outs) * 1000003 + cols)
    ws = [np.array([[n.next() for _ in range(cols)] for _ in range(out)]).astype(np.float32) for out in outs]
    xs = np.zeros((tokens, cols))
    for t in range(tokens):
        before = 0.0
        for k in range(cols):
            before = n.next() + 0.75 * before
            xs[t, k] = before * (4.0 if k * 37 % 11 == 0 else 1.0)
    return ws, xs


def grids(v, bits, asym, p, q):
    """Scales and zeros of rows of a group whose lowest and highest values are cut to p and q of themselves."""
    low = np.minimum(v.min(1, keepdims=True), np.float32(0)) * np.float32(p)
    high = np.maximum(v.max(1, keepdims=True), np.float32(0)) * np.float32(q)
    if asym:
        top = np.float32(2**bits - 1)
        scale = (high - low) / top
        scale[scale == 0] = 1
        return scale, np.clip(np.rint(-low / scale), 0, top)
    scale = np.maximum(-low, high) / np.float32((2**bits - 1) / 2)
    scale[scale == 0] = 1
    return scale, np.full_like(scale, 2**(bits - 1))


def quantize(w, factors, xs, bits, group, asym, draft=False):
    """Codes of w times factors, the squared error of the outputs, summed, and how many ranges stayed whole. What the errors of a
    row's groups make of each token's output is kept group by group; groups that have no range yet make none."""
    rows, cols = w.shape
    v, x = w * factors, xs / factors.astype(np.float64)
    starts = range(0, cols, group)
    outputs = np.zeros((len(starts), rows, len(xs)))
    codes, whole = np.zeros(w.shape, np.uint8), 0
    ends = [1 - i / 10 for i in range(6)]
    cuts = [(p, q) for p in ends for q in ends] if asym and not draft and group <= 512 else [(1 - i / 20,) * 2 for i in range(10)]
    for _ in range(1 if draft else 2):
        whole = 0
        for i, g in enumerate(starts):
            own, columns = v[:, g:g + group], x[:, g:g + group].T
            outputs[i] = 0
            others = outputs.sum(0)
            least, taken = np.full(rows, np.inf), np.zeros(rows, int)
            for at, (p, q) in enumerate(cuts):
                scale, zero = grids(own, bits, asym, p, q)
                c = code(own, scale, zero, bits, asym)
                y = (own.astype(np.float64) - ((c - zero) * scale).astype(np.float64)) @ columns
                e = ((others + y) ** 2).sum(1)
                better = e < least
                least[better] = e[better]
                codes[better, g:g + group] = c[better]
                outputs[i][better] = y[better]
                taken[better] = at
            whole += int((taken == 0).sum())
    return codes, float(least.sum()), whole


def best_factors(ws, xs, bits, group, asym):
    cols = xs.shape[1]
    x = np.abs(xs).mean(0)
    mean = np.zeros(cols)
    for w in ws:
        for g in range(0, cols, group):
            a = np.abs(w[:, g:g + group]).astype(np.float64)
            mean[g:g + group] += (a / (a.max(1, keepdims=True) + 1e-6)).sum(0)
    mean /= sum(len(w) for w in ws)
    sample = [w[np.arange(min(len(w), SAMPLE)) * len(w) // min(len(w), SAMPLE)] for w in ws]

    def error(s):
        return sum(quantize(w, s, xs, bits, group, asym, draft=True)[1] * len(whole) / len(w) for w, whole in zip(sample, ws))
    best, ratio = np.ones(cols, np.float32), -1
    least = error(best)
    for i in range(20):
        r = i / 20
        s = np.maximum(x ** r / (mean ** (1 - r) + 1e-4), 1e-4)
        s = (s.astype(np.float32).astype(np.float64) / np.sqrt(s.max() * s.min())).astype(np.float32)
        e = error(s)
        if e < least:
            least, best, ratio = e, s, i
    return best, ratio


def main():
    folder, cases = sys.argv[1], []
    with open(folder + "/awq.codes", "wb") as f:
        for outs, cols, tokens in SHAPES:
            ws, xs = make(outs, cols, tokens)
            for bits, group, asym in CASES:
                group = group or cols
                s, ratio = best_factors(ws, xs, bits, group, asym)
                codes, error, whole = quantize(ws[0], s, xs, bits, group, asym)
                f.write(codes.tobytes())
                cases.append({"outs": list(outs), "in": cols, "tokens": tokens, "bits": bits, "group": 0 if group == cols else group,
                              "asym": asym, "ratio": ratio, "first": float(s[0]), "last": float(s[-1]),
                              "objective": error / tokens, "whole": whole})
                print(cases[-1], file=sys.stderr)
    with open(folder + "/awq.json", "w") as f:
        json.dump(cases, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
