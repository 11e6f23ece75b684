#!/usr/bin/env python3
"""bench/slots.py
Issue slots of the inner loops of the GPU kernels, counted in the assembly of real drivers
without their hardware, beside the bars of docs/slots.md:

    ROOT=FOLDER python3 bench/slots.py [-v] [--shaders FOLDER] [--only TEXT] [--table FILE] [DEVICE ...]

ROOT is a Debian unstable system (debootstrap --variant=minbase sid FOLDER; in it:
apt-get install mesa-drm-shim mesa-vulkan-drivers libvulkan1). DEVICE: see DEVICES below.
--shaders is the folder of compiled kernels (default: build/release/shaders); --table writes
the counts for other programs (bench/items332.py), a line per device and kernel.

A slot is an instruction that a wave issues; waits and scheduling hints are left out. Loops
count with their rounds, which TABLE gives from each kernel's constants. What is multiplied in
a step must be M N K of the tile: invocations x (FMA in the assembly x rounds); the
program fails where it is not, and where a kernel spills. Counts are no times: nothing runs. """
import collections, os, re, shutil, subprocess, sys, tempfile

ROOT = os.environ.get("ROOT", "/srv/sid")
LIB, ICD = "/usr/lib/x86_64-linux-gnu", "/usr/share/vulkan/icd.d"
NVIDIA = ("libnouveau_noop_drm_shim.so", "nouveau", "NOUVEAU_CHIPSET", "NAK_assembly")
AMD = ("libamdgpu_noop_drm_shim.so", "radeon", "AMDGPU_GPU_ID", "Assembly")
QUALCOMM = ("libfreedreno_noop_drm_shim.so", "freedreno", "FD_GPU_ID", "IR3_Assembly")
DEVICES = {
    "turing": NVIDIA + ("0x162",), "ampere": NVIDIA + ("0x172",), "ada": NVIDIA + ("0x192",),
    "vega10": AMD + ("vega10",), "navi21": AMD + ("navi21",), "navi31": AMD + ("navi31",),
    "phoenix": AMD + ("phoenix",), "gfx1201": AMD + ("gfx1201",), "adreno740": QUALCOMM + ("740",),
}

# ---- the table: what one step of a kernel multiplies, and the rounds of its loops ----
# name, file, constants, what is counted, invocations, rows, outputs, inputs of a step,
# {kind of inner loop: rounds, or rounds of each in order}, bars on ampere and navi31, FMA (or dots) of an invocation and
# step that make weights of codes or add up x, or weights of attention; sums of an invocation that a
# compiler may begin with a multiplication, as it sees that they begin at 0. A loop that multiplies is
# "mac", one that only writes to shared memory "stage", any other "other". Constants: 10
# group, 11 flags, 12 bits, 13 form (2: a half per group); of rounded products 14 rows of
# the tile, 15 to 18 fragment and subgroups. Of attention 10 head size, 11 heads of a
# workgroup, 12 page.
Q4, F32, F16, Q8, K4 = "10=32,12=4,13=2", "12=32", "12=16", "10=32,12=8,13=2", "10=32,12=4,13=5"
Kernel = collections.namedtuple("Kernel", "name file constants unit lanes n m k rounds bars decode begun", defaults=(0,))
def tile(name, file, constants, lanes, n, m, k, mac, bars=None, stage=1, decode=0):
    return Kernel(name, file, constants + ",11=0", "FMA", lanes, n, m, k, {"mac": mac, "stage": stage}, bars, decode)
def wide(name, file, constants, rows, unit, bars=None, mac=1, k=32, decode=0):
    return Kernel(name, file, constants + ",11=0", unit, 64, rows, 64, k, {"mac": mac, "stage": 1}, bars, decode)
def attention(heads, half, *rounds, own=2, begun=0):
    """Of 256 invocations that score `own` keys each and 128 columns; rounds of the loops over
    columns (not there where it is unrolled) and over keys."""
    name = f"attention {heads} heads" if heads > 1 else "attention 1 head"
    return Kernel(name + half.replace("_", " "), "attention_tiled" + half, f"10=128,11={heads},12=16", "key",
                  256, heads, 256 * own, 256, {"mac": rounds}, (20, None), heads, begun)
def gradient(heads, own, score, values):
    """Of queries, alike; an invocation weighs `own` keys."""
    return Kernel(f"gradient q {heads}", "attention_back_q_tiled", f"10=128,11={heads}", "key",
                  256, heads, 256 * own, 384, {"mac": (score, values)}, None, 0)
TABLE = [
    tile("f32 tile q4", "matmul_tiled_64x64", Q4, 128, 64, 64, 32, 8, (1.45, 1.40), decode=16),
    tile("f32 tile f32", "matmul_tiled_64x64", F32, 128, 64, 64, 32, 8),
    tile("matmul_back q4", "matmul_back_tiled_64x64", Q4, 128, 64, 64, 32, 8, (1.5, 1.45), decode=16),
    tile("matmul_back f32", "matmul_back_tiled_64x64", F32, 128, 64, 64, 32, 8),
    tile("outer", "outer_tiled_64x64", "-", 128, 64, 64, 32, 1, (1.5, 1.45)),
    tile("outer, rank 16", "outer_tiled_16x64", "-", 64, 16, 64, 32, 1),
    tile("scale_back", "scale_back_tiled_64x64", "-", 128, 64, 64, 32, 1, (1.5, 1.45)),
    tile("16 rows q4", "matmul_tiled_16x64", Q4, 64, 16, 64, 16, 4, (2.5, 2.2), decode=16),
    wide("one row q4", "matmul_wide_1x64", Q4, 1, "weight", (7.5, 5.8), 1, decode=32),
    wide("one row q4_K", "matmul_wide_1x64", K4, 1, "weight", None, 1, decode=32),
    wide("one row q8", "matmul_wide_1x64", Q8, 1, "weight", None, 1, decode=32),
    wide("one row f16", "matmul_wide_1x64_half", F16, 1, "weight", (6, 3.1)),
    wide("one row f16 exact", "matmul_wide_1x64", F16, 1, "weight"),
    wide("four rows q4", "matmul_wide_4x64", Q4, 4, "FMA", None, 1, decode=32),
    attention(1, "", 4, 8, own=4), attention(1, "_half", 4, own=4, begun=8), attention(2, "_half", 2, 8),
    attention(4, "", 16, 16), attention(4, "_half", 8, 8),
    attention(7, "", 16, 16), attention(7, "_half", 8, 16), attention(8, "_half", 8, 16),
    gradient(1, 2, 8, 8), gradient(2, 2, 8, 8), gradient(4, 2, 32, 16), gradient(7, 1, 32, 8),
    Kernel("gradient k, v", "attention_back_kv_tiled", "10=128", "key", 256, 4, 512, 512,
           {"mac": (32, 16)}, None, 0),
    Kernel("matrix units q4", "spirv/matmul_f16", Q4 + ",11=0,14=64,15=16,16=16,17=16,18=S", "MMA",
           128, 64, 64, 32, {"mac": 1, "stage": 1}, (14, 14), 0),
    Kernel("int8 q4", "spirv/matmul_int8", Q4 + ",11=0,14=64", "dot", 128, 64, 64, 32,
           {"mac": 1, "stage": 1}, (2.5, 2.3), 4),
    # 8 by 8 bits. One row: a loop of four texels, then one of those that are left.
    Kernel("w8a8 one row", "spirv/matmul_w8a8_dots_few", "11=0,13=2,14=1", "dot", 64, 1, 8, 512,
           {"mac": (1, 0)}, None, 0),
    Kernel("w8a8 four rows", "spirv/matmul_w8a8_dots_few", "11=0,13=2,14=4", "dot", 64, 4, 8, 512,
           {"mac": (1, 0)}, None, 0),
    Kernel("w8a8 16 rows", "spirv/matmul_w8a8_dots", "11=0,13=2,14=16", "dot", 128, 16, 64, 32,
           {"mac": 1, "stage": 1}, None, 0),
    Kernel("w8a8 64 rows", "spirv/matmul_w8a8_dots", "11=0,13=2,14=64", "dot", 128, 64, 64, 32,
           {"mac": 1, "stage": 1}, None, 0),
    Kernel("w8a8 one row emulated", "matmul_w8a8_wide_1x64", "11=0,13=2", "weight", 64, 1, 64, 16,
           {"mac": 1}, None, 0),
    Kernel("w8a8 64 rows emulated", "matmul_w8a8_tiled_64x64", "11=0,13=2", "FMA", 256, 64, 64, 32,
           {"mac": 8, "stage": 1}, None, 0),
]

# ---- assembly: instructions, loops, classes ----
Ins = collections.namedtuple("Ins", "op text target times")

def parse(path, kind):
    """Labels (strings) and instructions in order."""
    out = []
    for line in open(path, errors="replace"):
        line = line.rstrip("\n")
        if kind == "radeon":
            label = re.match(r"(BB\d+):", line)
            text = line.split(";")[0].strip()
            jump = r"\b(BB\d+)\b" if text.startswith(("s_branch", "s_cbranch")) else None
            times = 1
        elif kind == "nouveau":
            label = re.match(r"\s*block(?:\.u)? \d+ (L\d+)", line)
            label = label and re.match(r"(.*)", label[1])
            text = re.sub(r"^\s*@!?u?p\d+\s*", "", line.split("//")[0])
            if "=" in text and not text.strip().startswith(("st", "bra")):
                text = text.split("=", 1)[1]
            text = text.strip()
            jump = r"\b(L\d+)\b" if text.startswith("bra") else None
            times = 1
        else:
            label = re.match(r"\s*(l\d+):", line)
            text = re.sub(r"^(\([^)]*\)\s*)*", "", re.sub(r"^.*?\]\s*", "", line.strip()))
            rpt = re.search(r"\(rpt(\d+)\)", line)
            nop = re.search(r"\(nop(\d+)\)", line)
            times = 1 + (int(rpt[1]) if rpt else 0) + (int(nop[1]) if nop else 0)
            jump = r"\b#?(l\d+)\b" if text.startswith(("br", "jump")) else None
        if label:
            out.append(label[1])
        elif text and text != "}":
            to = re.search(jump, text) if jump else None
            out.append(Ins(text.split()[0], line, to and to[1], times))
    return out

CLASSES = {
    "radeon": [
        ("MMA", r"v_(wmma|mfma|swmmac)"), ("DOT", r"v_dot"),
        ("FMA", r"v_(fma_|fmac|fmaak|fmamk|mac_f|mad_f|madak|madmk|fma_mix|mad_mix|pk_fma|dual_fm)"),
        ("VALU", r"v_"), ("LDSW", r"ds_\w*(store|write)"), ("LDS", r"ds_"),
        ("VMEM", r"(buffer|global|flat|scratch)_"), ("SMEM", r"s_(load|buffer)"),
        ("WAIT", r"s_(wait|delay|nop|clause)"), ("SALU", r"")],
    "nouveau": [
        ("MMA", r"[hi]mma"), ("DOT", r"idp"), ("FMA", r"ffma"), ("PKFMA", r"hfma2"),
        ("LDSW", r"(sts|st\..*shared)"), ("LDS", r"(lds|ld\..*shared)"), ("SMEM", r"ldc"),
        ("VMEM", r"(ld|st)"), ("CTRL", r"(nop|bra|bssy|bsync|bar|warpsync|depbar|exit)"),
        ("CVT", r"(i2f|f2i|f2f|i2i|mufu|shfl|popc|s2r)"), ("ALU", r"")],
    "freedreno": [
        ("FMA", r"mad\.f"), ("DOT", r"dp[24]acc"), ("LDS", r"ldlw?\b"), ("LDSW", r"stlw?\b"),
        ("VMEM", r"(isam|ld|st|sam|resinfo)"), ("CTRL", r"(br|jump|bar|fence|pred|end)"), ("ALU", r"")],
}

def classes(kind, instructions):
    """Slots by class, and what is multiplied."""
    c = collections.Counter()
    for i in instructions:
        name = next(n for n, p in CLASSES[kind] if re.match(p, i.op))
        dual = len(re.findall(r"v_dual_(?:fmac|fmaak|fmamk)_f32", i.text))
        c["FMA" if dual else "VALU" if i.op.startswith("v_dual") else name] += i.times
        if dual == 2 or (name == "FMA" and "pk_fma" in i.op):
            c["second"] += 1
        if name == "MMA":
            c["mnk"] += mma_size(i.text)
    return c

def mma_size(text):
    size = re.search(r"(\d+)x(\d+)x(\d+)", text) or re.search(r"m(\d+)n(\d+)k(\d+)", text)
    if size:
        return int(size[1]) * int(size[2]) * int(size[3])
    return 16 * 8 * int(re.search(r"\.168(\d+)", text)[1]) if ".168" in text else 0

def blocks_of(code, kind):
    blocks = [[None, []]]
    for x in code:
        if isinstance(x, str):
            blocks.append([x, []])
            continue
        blocks[-1][1].append(x)
        if x.target or x.op in ("s_endpgm", "exit", "end"):
            blocks.append([None, []])
    at = {b[0]: i for i, b in enumerate(blocks) if b[0]}
    after = []
    for i, (_, ins) in enumerate(blocks):
        last = ins[-1] if ins else None
        to = [at[last.target]] if last and last.target in at else []
        always = last and (last.op in ("s_branch", "s_endpgm", "jump", "end", "exit") or
                           (kind == "nouveau" and last.target and not re.search(r"@|bra\S* !?u?p\d", last.text)))
        if not always and i + 1 < len(blocks):
            to.append(i + 1)
        after.append(to)
    return [b[1] for b in blocks], after

def loops_of(after):
    """Natural loops: {header: set of blocks}."""
    n = len(after)
    before = [[j for j in range(n) if i in after[j]] for i in range(n)]
    reach, stack = set(), [0]
    while stack:
        v = stack.pop()
        if v not in reach:
            reach.add(v)
            stack += after[v]
    dominators = {v: set(reach) for v in reach}
    dominators[0] = {0}
    changed = True
    while changed:
        changed = False
        for v in sorted(reach - {0}):
            d = set.intersection(*[dominators[p] for p in before[v] if p in reach]) | {v}
            changed |= d != dominators[v]
            dominators[v] = d
    loops = {}
    for u in reach:
        for h in set(after[u]) & dominators[u]:
            body, stack = {h}, [u]
            while stack:
                v = stack.pop()
                if v not in body:
                    body.add(v)
                    stack += [p for p in before[v] if p in reach]
            loops.setdefault(h, set()).update(body)
    return loops

def weigh(kind, blocks, loops, head, rounds, unit):
    """Slots of one round of a loop, inner loops with their rounds; and a text of the loops."""
    body = loops[head]
    inner = [h for h in loops if loops[h] < body and not any(loops[h] < loops[g] < body for g in loops)]
    own = body - set().union(set(), *[loops[h] for h in inner])
    c = classes(kind, [x for b in own for x in blocks[b]])
    text, seen = [], 0
    for h in sorted(inner):
        k, t = weigh(kind, blocks, loops, h, rounds, unit)
        what = "mac" if macs(k, unit) else "stage" if k["LDSW"] else "other"
        times = rounds.get(what, 1)
        if isinstance(times, tuple):
            times, seen = times[min(seen, len(times) - 1)], seen + 1
        text.append(f"{what} x{times} {slots(k)}{t}")
        for name, v in k.items():
            c[name] += v * times
    return c, f" [{', '.join(text)}]" if text else ""

def macs(c, unit):
    return c["MMA"] if unit == "MMA" else c["DOT"] if unit == "dot" else c["FMA"] + c["PKFMA"]

def slots(c):
    return sum(v for k, v in c.items() if k not in ("WAIT", "second", "mnk"))

def step_of(kind, blocks, after, rounds, unit):
    """The loop of a step: of the innermost ones that multiply and stage (if one does) the
    one that multiplies most."""
    loops = loops_of(after)
    found = []
    for h in loops:
        c, text = weigh(kind, blocks, loops, h, rounds, unit)
        if macs(c, unit):
            found.append((loops[h], c, text))
    found = [f for f in found if f[1]["LDSW"]] or found
    found = [f for f in found if not any(g[0] < f[0] for g in found)]
    return max(found, key=lambda f: macs(f[1], unit))[1:] if found else (None, "")

def count(kernel, device, path):
    """Slots per unit, its slots by class, and what is wrong."""
    kind = DEVICES[device][1]
    c, text = step_of(kind, *blocks_of(parse(path, kind), kind), kernel.rounds, kernel.unit)
    if not c:
        return None, "", "no loop that multiplies"
    product = kernel.n * kernel.m * kernel.k
    if kernel.unit == "MMA":
        # every subgroup issues; wave64 of wmma counts as one
        subgroups = kernel.lanes // subgroup_of(device)
        units, done = c["MMA"], (c["mnk"] or c["MMA"] * 4096) * subgroups
    elif kernel.unit == "dot":
        units = c["DOT"] - kernel.decode
        done = 4 * units * kernel.lanes
    else:
        units, done = c["FMA"] + c["second"], (c["FMA"] + c["second"]) * kernel.lanes
        if kernel.unit == "weight":
            units = kernel.m * kernel.k // kernel.lanes
        elif kernel.unit == "key": # of each head, in all subgroups
            units = kernel.n * kernel.m * subgroup_of(device) / kernel.lanes
        else:
            units = product // kernel.lanes
        done -= kernel.decode * kernel.lanes
    wrong = "" if done in (product, product - kernel.begun * kernel.lanes) else f"multiplies {done}, the tile {product}"
    return slots(c) / units if units else 0, f"{slots(c)}/{units} {dict(c)}{text}", wrong

def subgroup_of(device):
    return {"nouveau": 32, "radeon": 64, "freedreno": 128}[DEVICES[device][1]]

# ---- compiling ----
def push_bytes(source):
    """Bytes of each op's parameters."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", open(source).read(), flags=re.S)
    return {m[1]: 4 * sum(len(d.split(",")) for d in m[2].split(";") if d.strip())
            for m in re.finditer(r"struct (\w+)_push \{(.*?)\};", text, re.S)}

def bindings(source):
    return {m[1]: len(m[2]) for m in re.finditer(r'^OP\((\w+), "(\w+)"\)', open(source).read(), re.M)}

def compile_all(device, kernels, shaders, tree, work):
    shim, icd, variable, suffix, chip = DEVICES[device]
    inside = tempfile.mkdtemp(prefix="slots-", dir=ROOT + "/tmp")
    push, slots_of = push_bytes(tree + "/shaders/push.h"), bindings(tree + "/shaders/ops.def")
    with open(inside + "/jobs", "w") as f:
        for i, k in enumerate(kernels):
            source = f"{tree}/shaders/{k.file}.inc" if k.file.startswith("spirv/") else f"{shaders}/{k.file}.inc"
            name = os.path.basename(k.file)
            op = max((o for o in push if name.startswith(o + "_")), key=len)
            shutil.copy(source, f"{inside}/{i}.inc")
            sub = subgroup_of(device)
            wants = sub if k.unit == "MMA" and icd != "nouveau" else 0
            at = inside[len(ROOT):]
            f.write(f"{i} {at}/{i}.inc {slots_of[op]} {push[op]} {wants} {k.constants.replace('=S', '=%d' % (128 // sub))}\n")
    shutil.copy(work + "/slots", inside + "/slots")
    at = inside[len(ROOT):]
    env = ["LD_PRELOAD=%s/%s" % (LIB, shim), "%s=%s" % (variable, chip), "VK_DRIVER_FILES=%s/%s_icd.json" % (ICD, icd),
           "MESA_SHADER_CACHE_DISABLE=true", "VK_LOADER_LAYERS_DISABLE=~implicit~", "XDG_RUNTIME_DIR=/tmp"]
    done = subprocess.run(["chroot", ROOT, "env"] + env + [at + "/slots", at + "/jobs", at], stdout=subprocess.PIPE, text=True)
    lines = dict(line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)
    return inside, suffix, lines

def statistics(line):
    """Registers, waves and spills, by the names of each driver."""
    v = dict(x.rsplit("=", 1) for x in line.split("\t") if "=" in x)
    get = lambda *names: sum(int(v[n]) for n in names if n in v)
    return (get("VGPRs", "Number of GPRs", "Registers used"), get("Subgroups per SIMD", "Max warps/SM", "Max Waves Per Core"),
            get("Spilled VGPRs", "Spilled SGPRs", "Scratch size", "Spills to memory", "Fills from memory", "SLM size",
                "STP Count", "LDP Count"))

def main():
    argv, shaders, only, loud, table = sys.argv[1:], None, "", False, None
    tree = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    devices = []
    while argv:
        a = argv.pop(0)
        if a == "--shaders":
            shaders = argv.pop(0)
        elif a == "--only":
            only = argv.pop(0)
        elif a == "--table":
            table = open(argv.pop(0), "w")
            table.write("device\tkernel\tunit\tslots\n")
        elif a == "-v":
            loud = True
        else:
            devices.append(a)
    shaders = shaders or tree + "/build/release/shaders"
    kernels = [k for k in TABLE if only in k.name]
    work, bad = tempfile.mkdtemp(), 0
    subprocess.run(["cc", "-O1", "-std=c11", "-D_POSIX_C_SOURCE=200809L", tree + "/bench/slots.c", "-o", work + "/slots", "-ldl"], check=True)
    for device in devices or ["ampere", "navi31"]:
        inside, suffix, lines = compile_all(device, kernels, shaders, tree, work)
        for i, k in enumerate(kernels):
            path = f"{inside}/{i}.{suffix}"
            if not os.path.exists(path):
                print(f"{device:10} {k.name:18} -  {lines.get(str(i), 'the driver ended')}")
                continue
            value, detail, wrong = count(k, device, path)
            registers, waves, spills = statistics(lines[str(i)])
            bar = {"ampere": 0, "navi31": 1}.get(device)
            bar = k.bars[bar] if k.bars and bar is not None else None
            wrong = wrong or (f"spills {spills}" if spills else "")
            bad += bool(wrong)
            if table and not wrong:
                table.write(f"{device}\t{k.name}\t{k.unit}\t{value:.3f}\n")
            print(f"{device:10} {k.name:18} {value or 0:6.2f} per {k.unit:6} bar {bar or '-':>5} registers {registers:3} waves {waves:2} {wrong and 'WRONG: ' + wrong}")
            if loud:
                print("    " + detail)
        if loud:
            print("    assembly: " + inside)
        else:
            shutil.rmtree(inside)
    shutil.rmtree(work)
    return 1 if bad else 0

if __name__ == "__main__":
    sys.exit(main())
