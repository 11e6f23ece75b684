#!/usr/bin/env python3
"""Reference of AWQ (arXiv 2306.00978) in float64: factors of columns by 20 ratios, then the
range of every group. Inputs are kept token by token and outputs are compared, where
runtime/quant/awq.c works from second moments.

    python3 make_awq.py FOLDER     writes awq.codes and awq.json; needs NumPy"""
import json
import sys

import numpy as np
from make_gptq import Numbers, code, grid

SHAPES = [((48, 32), 96, 300), ((40,), 160, 400), ((24, 24, 16), 288, 500)]
CASES = [(bits, group, asym) for bits, group in ((2, 32), (3, 0), (4, 96)) for asym in (False, True)]


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


def rounded(w, bits, group, asym):
    q = np.zeros_like(w)
    for r in range(w.shape[0]):
        for g in range(0, w.shape[1], group):
            v = w[r, g:g + group]
            s, z = grid(v, bits, asym)
            q[r, g:g + group] = (code(v, s, np.float32(z), bits, asym) - np.float32(z)) * s
    return q


def factors(ws, xs, bits, group, asym):
    cols = xs.shape[1]
    x = np.abs(xs).mean(0)
    shares = []
    for w in ws:
        for g in range(0, cols, group):
            a = np.abs(w[:, g:g + group]).astype(np.float64)
            shares.append((g, a / (a.max(1, keepdims=True) + 1e-6)))
    mean = np.zeros(cols)
    rows = sum(w.shape[0] for w in ws)
    for g, a in shares:
        mean[g:g + a.shape[1]] += a.sum(0) / rows

    def error(s):
        total = 0.0
        for w in ws:
            d = w.astype(np.float64) - rounded(w * s, bits, group, asym).astype(np.float64) / s.astype(np.float64)
            total += float(((xs @ d.T) ** 2).sum())
        return total
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


def cut(w, xs, bits, group, asym):
    codes = np.zeros(w.shape, np.uint8)
    cuts = []
    for r in range(w.shape[0]):
        for g in range(0, w.shape[1], group):
            v, x = w[r, g:g + group], xs[:, g:g + group]
            best = None
            for i in range(10):
                most = np.abs(v).max() * np.float32(1 - i / 20)
                s, z = grid(np.clip(v, -most, most), bits, asym)
                c = code(v, s, np.float32(z), bits, asym)
                e = float(((x @ (v.astype(np.float64) - ((c - np.float32(z)) * s).astype(np.float64))) ** 2).sum())
                if best is None or e < best[0]:
                    best = (e, c, i)
            codes[r, g:g + group] = best[1].astype(np.uint8)
            cuts.append(best[2])
    return codes, cuts


def main():
    folder, cases = sys.argv[1], []
    with open(folder + "/awq.codes", "wb") as f:
        for outs, cols, tokens in SHAPES:
            ws, xs = make(outs, cols, tokens)
            for bits, group, asym in CASES:
                s, ratio = factors(ws, xs, bits, group or cols, asym)
                codes, cuts = cut(ws[0] * s, xs / s, bits, group or cols, asym)
                f.write(codes.tobytes())
                cases.append({"outs": list(outs), "in": cols, "tokens": tokens, "bits": bits, "group": group,
                              "asym": asym, "ratio": ratio, "first": float(s[0]), "last": float(s[-1]),
                              "cut": sum(1 for c in cuts if c)})
                print(cases[-1], file=sys.stderr)
    with open(folder + "/awq.json", "w") as f:
        json.dump(cases, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
