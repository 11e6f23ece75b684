#!/usr/bin/env python3
"""Reference of SmoothQuant (arXiv 2211.10438) and of products of 8 by 8 bits, in float64 and
whole numbers: the exponent by relative output error, factors, codes of weights (to nearest, and
by GPTQ as make_gptq.py does it) and of inputs, sums, and what rounding costs either alone.

    python3 make_smoothquant.py FOLDER     writes smoothquant.codes and smoothquant.json; needs NumPy"""
import json
import sys
from fractions import Fraction

import numpy as np
from make_awq import SHAPES, make
from make_gptq import gptq

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


def tokens(ws, xs, s, maxima, static, rounded=("inputs", "weights")):
    """Squared errors and squares of the outputs, per token."""
    x = (xs / s).astype(np.float32)
    given = np.float32((maxima / s).max() / np.float32(127)) if static else 0
    errors, outputs = np.zeros(len(xs)), np.zeros(len(xs))
    for w in ws:
        scaled = (w * s).astype(np.float32)
        qw, sw = weights(scaled) if "weights" in rounded else (scaled.astype(np.float64), np.ones(len(w)))
        qx, sx = inputs(x, given) if "inputs" in rounded else (x.astype(np.float64), np.ones(len(x)))
        got = (qx @ qw.T) * (sx.astype(np.float64)[:, None] * sw.astype(np.float64))
        wanted = x.astype(np.float64) @ scaled.astype(np.float64).T
        errors += ((wanted - got)**2).sum(1)
        outputs += (wanted**2).sum(1)
    return errors, outputs


def relative(*arguments):
    errors, outputs = tokens(*arguments)
    return float((errors / outputs).mean())


def search(ws, xs, maxima, static):
    x = np.maximum(maxima.astype(np.float64), 1e-5)
    w = np.maximum(np.abs(np.concatenate(ws)).max(0).astype(np.float64), 1e-5)
    best, chosen = np.ones(len(x), np.float32), 0
    least = relative(ws, xs, best, maxima, static)
    for i in range(1, 10):
        a = i / 10.0
        s = np.maximum(x**a / w**(1 - a), 1e-5).astype(np.float32)
        e = relative(ws, xs, s, maxima, static)
        if e < least:
            least, best, chosen = e, s, i
    return best, chosen


def main():
    folder, cases = sys.argv[1], []
    with open(folder + "/smoothquant.codes", "wb") as f:
        for outs, cols, count in SHAPES:
            ws, xs = make(outs, cols, count)
            h = (xs.T @ xs).astype(np.float32).astype(np.float64)
            xs = xs.astype(np.float32)
            maxima = np.abs(xs).max(0)
            sample = xs[[i * count // SAMPLED for i in range(SAMPLED)]]
            for static in (False, True):
                s, alpha = search(ws, sample, maxima, static)
                given = np.float32((maxima / s).max() / np.float32(127)) if static else 0
                qw, _ = weights((ws[0] * s).astype(np.float32))
                qx, sx = inputs((sample[:ROWS] / s).astype(np.float32), given, True)
                f.write(qw.astype(np.int8).tobytes())
                f.write(qx.astype(np.int8).tobytes())
                f.write((qx @ qw.T).astype("<i4").tobytes())
                scaled = (ws[0] * s).astype(np.float32)
                by = s.astype(np.float64)
                f.write((gptq(scaled, h / by[:, None] / by, 8, 0, False, "activation", False)[0] ^ 0x80).tobytes())
                one = np.ones(cols, np.float32)
                cases.append({"outs": list(outs), "in": cols, "tokens": count, "static": static, "tenths": alpha,
                              "error": float(tokens(ws, sample, s, maxima, static)[0].mean()),
                              "inputs": relative(ws, sample, s, maxima, static, ["inputs"]),
                              "weights": relative(ws, sample, one, maxima, static, ["weights"]), "first": float(s[0]), "last": float(s[-1]),
                              "scales": [float(v) for v in sx]})
                print(cases[-1], file=sys.stderr)
    with open(folder + "/smoothquant.json", "w") as f:
        json.dump(cases, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
