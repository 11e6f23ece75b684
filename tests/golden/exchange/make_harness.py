"""Makes samples_gsm8k_demo.jsonl and samples_gsm8k_random.jsonl: what lm-evaluation-harness
0.4.13 (MIT) logs of its own gsm8k task when it runs, through transformers 5.24 on PyTorch
on the CPU, (a) the demo model, prompted as it was trained, and (b) a model of random
weights, prompted as the task has it with one worked example. The problems,
harness_problems.jsonl, are some of `faultline demo --problems 120 --seed 77`: five that
the demo model gets wrong and three that it gets right.

    python3 -m venv V; V/bin/pip install torch transformers==5.24.0 accelerate lm-eval==0.4.13
    cd tests/golden/exchange; V/bin/python make_harness.py DEMO_MODEL RANDOM_MODEL

The demo model lies in pipeline/demo, the random one is tests/golden/models/qwen2-tiny.
"""
import glob, json, os, shutil, subprocess, sys, tempfile

import lm_eval

HERE = os.path.dirname(os.path.abspath(__file__))
RUNS = [
    ("samples_gsm8k_demo.jsonl", os.path.abspath(sys.argv[1]), "{{question}}", 112,
     ["--num_fewshot", "0", "--apply_chat_template"]),
    ("samples_gsm8k_random.jsonl", os.path.abspath(sys.argv[2]),
     "Question: {{question}}\\nAnswer:", 24, ["--num_fewshot", "1"]),
]
base = os.path.join(os.path.dirname(lm_eval.__file__), "tasks/gsm8k/gsm8k.yaml")
work = tempfile.mkdtemp()
os.chdir(work)
# The task's own form of a data set: the solution with its #### is the answer; no ids.
with open(HERE + "/harness_problems.jsonl") as f, open("gsm8k.jsonl", "w") as out:
    for line in f:
        p = json.loads(line)
        out.write(json.dumps({"question": p["question"], "answer": p["solution"]}) + "\n")
for name, model, prompt, tokens, more in RUNS:
    shutil.rmtree("task", ignore_errors=True)
    os.mkdir("task")
    with open("task/own.yaml", "w") as f:
        f.write(f'include: {base}\ntask: gsm8k_own\ndataset_path: json\n'
                f'dataset_name: null\ndataset_kwargs:\n  data_files:\n'
                f'    train: gsm8k.jsonl\n    test: gsm8k.jsonl\n'
                f'doc_to_text: "{prompt}"\n')
    subprocess.run([sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args",
                    f"pretrained={model},dtype=float32", "--device", "cpu", "--tasks",
                    "gsm8k_own", "--include_path", "task", "--limit", "8",
                    "--gen_kwargs", f"max_gen_toks={tokens}", "--log_samples",
                    "--output_path", name + ".out"] + more, check=True,
                   env=dict(os.environ, HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1"))
    shutil.copy(glob.glob(name + ".out/*/samples*.jsonl")[0], HERE + "/" + name)
