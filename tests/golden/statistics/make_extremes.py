#!/usr/bin/env python3
"""Writes extremes.jsonl: statistics where double arithmetic loses its digits if it is not
arranged for it. Computed with 60 digits (mpmath 1.3), straight from the definitions."""
import json
import random
from mpmath import mp, mpf, binomial, exp, log, sqrt

mp.dps = 60
Z = mpf(1.959963984540054)


def tail(k, n, p):
    """P[X <= k], X ~ Bin(n, p)."""
    term = exp(mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1)
               + (k * log(p) if k else 0) + (n - k) * mp.log1p(-p))
    total = mpf(0)
    for i in range(k, -1, -1):
        total += term
        if term < total * mpf(10) ** -45:
            break
        term *= mpf(i) / (n - i + 1) * (1 - p) / p
    return total


def upper(k, n):
    if k == n:
        return mpf(1)
    low, high = mpf(k) / n, mpf(1)
    for _ in range(140):
        p = (low + high) / 2
        if tail(k, n, p) < mpf(0.025):
            high = p
        else:
            low = p
    return low


def interval(k, n):
    p, z2 = mpf(k) / n, Z * Z / n
    half = Z * sqrt(p * (1 - p) / n + z2 / (4 * mpf(n)))
    return {"kind": "interval95", "k": k, "n": n,
            "wilson": [max(mpf(0), (p + z2 / 2 - half) / (1 + z2)), (p + z2 / 2 + half) / (1 + z2)],
            "clopper_pearson": [1 - upper(n - k, n), upper(k, n)]}


def mcnemar(b, c):
    m, n = min(b, c), b + c
    exact = 2 * tail(m, n, mpf(0.5))
    at = binomial(n, m) * mpf(0.5) ** n
    return {"kind": "mcnemar", "base_right_quant_wrong": b, "base_wrong_quant_right": c,
            "exact_two_sided": min(mpf(1), exact) if b != c else mpf(1),
            "mid_p": min(mpf(1), exact - at) if b != c else mpf(1)}


def pass_at_k(n, c, k):
    return {"kind": "pass_at_k", "n": n, "c": c, "k": k,
            "value": 1 - binomial(n - c, k) / binomial(n, k)}


def kl(base, quant, token):
    def logp(x):
        x = [mpf(v) for v in x]
        top = max(x)
        rest = log(sum(exp(v - top) for v in x))
        return [v - top - rest for v in x]
    b, q = logp(base), logp(quant)
    def margin(x):
        s = sorted((mpf(v) for v in x), reverse=True)
        return s[0] - s[1]
    return {"kind": "kl", "base_logits": base, "quant_logits": quant, "token": token,
            "kl_base_to_quant": sum(exp(x) * (x - y) for x, y in zip(b, q)),
            "delta_p_token": exp(q[token]) - exp(b[token]),
            "nll_base": -b[token], "nll_quant": -q[token],
            "same_top": base.index(max(base)) == quant.index(max(quant)),
            "top1_margin_base": margin(base), "top1_margin_quant": margin(quant)}


def power(n, flips, difference, mid):
    """Over every count of discordant problems and of losses among them."""
    f, share, total = mpf(flips), (1 + mpf(difference) / mpf(flips)) / 2, mpf(0)
    for m in range(1, n + 1):
        mass = binomial(n, m) * f ** m * (1 - f) ** (n - m)
        for b in range(m + 1):
            p = mcnemar(b, m - b)["mid_p" if mid else "exact_two_sided"]
            if p <= mpf(0.05):
                total += mass * binomial(m, b) * share ** b * (1 - share) ** (m - b)
    return {"kind": "power", "n": n, "flips": flips, "difference": difference, "mid_p": mid,
            "power": total}


def plain(value):
    if isinstance(value, mpf):
        return float(value)
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


rows = [interval(k, n) for k, n in ((1, 1000000), (0, 1000000), (999999, 1000000), (1000000, 1000000),
                                    (7, 2000000), (500000, 1000000), (1, 2), (1318, 1319), (2999, 100000))]
rows += [mcnemar(b, c) for b, c in ((0, 900), (3, 1000), (40000, 41000), (251000, 249000), (1, 0), (0, 1),
                                    (2, 60), (1000, 1001), (0, 60), (12, 0))]
rows += [pass_at_k(*x) for x in ((100000, 1, 1), (1000, 3, 500), (200, 100, 100), (1000, 0, 10), (64, 63, 1),
                                 (10000, 2, 3), (256, 250, 7), (1000000, 5, 2))]
r = random.Random(5)
for n, spread, step in ((50, 3, 1e-7), (300, 8, 1e-3), (64, 1, 1e-9), (40, 200, 3), (20, 1e4, 1e3), (1000, 5, .5)):
    base = [round(r.gauss(0, spread), 6) for _ in range(n)]
    rows.append(kl(base, [x + r.gauss(0, step) for x in base], r.randrange(n)))
rows.append(kl([60.0] + [0.0] * 9, [61.0] + [0.0] * 9, 0))
rows.append(kl([0.0, 0.0], [0.0, 0.0], 1))
rows += [power(30, .2, .15, False), power(30, .2, .15, True), power(60, .1, .1, False), power(45, .5, .2, True)]
for row in rows:
    print(json.dumps({key: plain(value) for key, value in row.items()}))
