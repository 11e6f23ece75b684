#!/usr/bin/env python3
"""Reference of GPTQ in float64, written after the paper (arXiv 2210.17323, algorithm 1):
inverse of the damped Hessian, its upper Cholesky factor, columns in blocks, errors spread
over what follows. It shares no formula with runtime/quant/gptq.c, which never inverts.

    python3 make_gptq.py FOLDER     writes gptq.codes and gptq.json; needs NumPy

Weights and inputs are made from a 64-bit congruential generator that the test has too, so
that only codes are stored."""
import json
import sys

import numpy as np

SHAPES = [(48, 96, 300), (40, 160, 400), (24, 288, 700)]  # out, in, tokens
CASES = [(bits, group, asym, order, search)
         for bits, group in ((2, 32), (3, 0), (4, 96), (8, 64))
         for asym in (False, True)
         for order, search in (("activation", False), ("natural", False), ("activation", True))]
CASES += [(3, 16, True, "activation", True), (4, 16, False, "natural", False)]


class Numbers:
    def __init__(self, seed):
        self.x = seed

    def next(self):
        self.x = (self.x * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.x >> 40) / 2**24 - 0.5


def make(out, cols, tokens):
    n = Numbers(out * 1000003 + cols)
    w = np.array([[n.next() for _ in range(cols)] for _ in range(out)]).astype(np.float32)
    h = np.zeros((cols, cols))
    for _ in range(tokens):
        x, before = np.zeros(cols), 0.0
        for k in range(cols):
            before = n.next() + 0.75 * before
            x[k] = before * (4.0 if k * 37 % 11 == 0 else 1.0)
        h += np.outer(x, x)
    return w, h.astype(np.float32).astype(np.float64)


def grid(v, bits, asym, p=np.float32(1)):
    if asym:
        top = np.float32(2**bits - 1)
        low, high = min(v.min(), np.float32(0)) * p, max(v.max(), np.float32(0)) * p
        scale = (high - low) / top
        scale = scale if scale > 0 else np.float32(1)
        return scale, float(np.clip(np.rint(-low / scale), 0, top))
    scale = np.abs(v).max() * p / np.float32(127 if bits == 8 else (2**bits - 1) / 2)
    return (scale if scale > 0 else np.float32(1)), float(2**(bits - 1))


def code(t, scale, zero, bits, asym):
    if asym:
        return np.clip(np.rint(t / scale) + zero, 0, 2**bits - 1)
    high = 2**(bits - 1) - 1
    return np.clip(np.rint(t / scale), -127 if bits == 8 else -high - 1, high) + zero


def fit(v, weights, bits, asym, search):
    best = grid(v, bits, asym)
    if not search:
        return best

    def error(s, z):
        d = v.astype(np.float64) - (code(v, s, np.float32(z), bits, asym) - np.float32(z)) * s
        return float((weights * d * d).sum())
    least = error(*best)
    for i in range(1, 31):
        s, z = grid(v, bits, asym, np.float32(1 - 0.6 * i / 30))
        e = error(s, z)
        if e < least:
            least, best = e, (s, z)
    return best


def gptq(w, h, bits, group, asym, order, search):
    out, cols = w.shape
    group = group or cols
    diag = np.diag(h).copy()
    grids = [[fit(w[r, g:g + group], diag[g:g + group], bits, asym, search)
              for g in range(0, cols, group)] for r in range(out)]
    scale = np.array([[float(g[0]) for g in row] for row in grids])
    zero = np.array([[g[1] for g in row] for row in grids])
    perm = np.argsort(-diag, kind="stable") if order == "activation" else np.arange(cols)
    hd = h[np.ix_(perm, perm)].copy()
    hd[np.diag_indices(cols)] += 0.01 * diag.mean()
    u = np.linalg.cholesky(np.linalg.inv(hd)).T  # upper
    v = w.astype(np.float64)[:, perm].copy()
    codes = np.zeros((out, cols))
    for b in range(0, cols, 128):
        end = min(b + 128, cols)
        e = np.zeros((out, end - b))
        for j in range(b, end):
            g = perm[j] // group
            # In floats, as they are stored: the largest value of a symmetric group lies halfway
            # between two codes.
            codes[:, j] = code(v[:, j].astype(np.float32), scale[:, g].astype(np.float32),
                               zero[:, g], bits, asym)
            q = (codes[:, j] - zero[:, g]) * scale[:, g]
            e[:, j - b] = (v[:, j] - q) / u[j, j]
            v[:, j + 1:end] -= np.outer(e[:, j - b], u[j, j + 1:end])
        v[:, end:] -= e @ u[b:end, end:]
    result = np.zeros((out, cols), np.uint8)
    result[:, perm] = codes.astype(np.uint8)
    groups = np.arange(cols) // group
    d = w.astype(np.float64) - (result - zero[:, groups]) * scale[:, groups]
    return result, float(np.einsum("ri,ij,rj->", d, h, d))


def main():
    folder, cases = sys.argv[1], []
    with open(folder + "/gptq.codes", "wb") as f:
        for out, cols, tokens in SHAPES:
            w, h = make(out, cols, tokens)
            for bits, group, asym, order, search in CASES:
                codes, objective = gptq(w, h, bits, group, asym, order, search)
                f.write(codes.tobytes())
                cases.append({"out": out, "in": cols, "tokens": tokens, "bits": bits,
                              "group": group, "asym": asym, "order": order,
                              "search": search, "objective": objective / tokens})
    with open(folder + "/gptq.json", "w") as f:
        json.dump(cases, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
