#!/usr/bin/env python3
"""Reference of SmoothQuant (arXiv 2211.10438) and of products of 8 by 8 bits, in float64 and
whole numbers: the exponent by output error, factors, codes of weights and of inputs, sums.

    python3 make_smoothquant.py FOLDER     writes smoothquant.codes and smoothquant.json; needs NumPy"""
import json
import sys
from fractions import Fraction

import numpy as np
from make_awq import SHAPES, make

SAMPLED, ROWS = 128, 3


def weights(w):
    scale = np.abs(w).max(1) / np.float32(127)
    scale = np.where(scale > 0, scale, np.float32(1)).astype(np.float32)
    return np.clip(np.rint(w / scale[:, None]), -127, 127).astype(np.int64), scale


def nearest(x, scale):
    """The quotient as a fraction, half to even."""
    return max(-128, min(127, round(Fraction(float(x)) / Fraction(float(scale)))))


def inputs(x, given, exact=False):
    scale = np.full(len(x), given, np.float32) if given else (np.abs(x).max(1) / np.float32(127)).astype(np.float32)
    if exact:
        return np.array([[nearest(v, s) for v in row] for row, s in zip(x, scale)]), scale
    q = np.rint(x.astype(np.float64) / scale[:, None].astype(np.float64))
    return np.clip(q, -128, 127).astype(np.int64), scale


def error(ws, xs, s, maxima, static):
    x = (xs / s).astype(np.float32)
    given = np.float32((maxima / s).max() / np.float32(127)) if static else 0
    total = 0.0
    for w in ws:
        scaled = (w * s).astype(np.float32)
        qw, sw = weights(scaled)
        qx, sx = inputs(x, given)
        got = (qx @ qw.T) * (sx.astype(np.float64)[:, None] * sw.astype(np.float64))
        total += float(((x.astype(np.float64) @ scaled.astype(np.float64).T - got)**2).sum()) / len(x)
    return total


def search(ws, xs, maxima, static):
    x = np.maximum(maxima.astype(np.float64), 1e-5)
    w = np.maximum(np.abs(np.concatenate(ws)).max(0).astype(np.float64), 1e-5)
    best, chosen = np.ones(len(x), np.float32), 0
    least = error(ws, xs, best, maxima, static)
    for i in range(1, 10):
        a = i / 10.0
        s = np.maximum(x**a / w**(1 - a), 1e-5).astype(np.float32)
        e = error(ws, xs, s, maxima, static)
        if e < least:
            least, best, chosen = e, s, i
    return best, chosen, least


def main():
    folder, cases = sys.argv[1], []
    with open(folder + "/smoothquant.codes", "wb") as f:
        for outs, cols, tokens in SHAPES:
            ws, xs = make(outs, cols, tokens)
            xs = xs.astype(np.float32)
            maxima = np.abs(xs).max(0)
            sample = xs[[i * tokens // SAMPLED for i in range(SAMPLED)]]
            for static in (False, True):
                s, alpha, least = search(ws, sample, maxima, static)
                given = np.float32((maxima / s).max() / np.float32(127)) if static else 0
                qw, _ = weights((ws[0] * s).astype(np.float32))
                qx, sx = inputs((sample[:ROWS] / s).astype(np.float32), given, True)
                f.write(qw.astype(np.int8).tobytes())
                f.write(qx.astype(np.int8).tobytes())
                f.write((qx @ qw.T).astype("<i4").tobytes())
                cases.append({"outs": list(outs), "in": cols, "tokens": tokens, "static": static, "tenths": alpha,
                              "error": least, "first": float(s[0]), "last": float(s[-1]),
                              "scales": [float(v) for v in sx]})
                print(cases[-1], file=sys.stderr)
    with open(folder + "/smoothquant.json", "w") as f:
        json.dump(cases, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
