#!/bin/sh
# The demo's 2,000 problems through eval, once undisturbed, then killed at random moments,
# in shards, and by two processes on one results file. Ends with 0 where every way gives the
# rows of the undisturbed run: answers, tokens, log-probabilities, verdicts, steps.
# Usage: bench/shared_eval.sh [KILLS]     (default 10; needs sqlite3)
set -eu
cd "$(dirname "$0")/.."
kills=${1:-10}
program=$PWD/build/release/faultline
demo=$PWD/pipeline/demo
device=${FAULTLINE_DEVICE:-llvmpipe}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

evaluate() # STORE OPTION...
{
    store=$1
    shift
    "$program" eval --device "$device" --progress none -q --model "$demo" \
        --problems "$demo/measure.jsonl" --store "$store" "$@"
}

rows() # STORE: a hash of all rows, times aside
{
    sqlite3 "$1" "SELECT g.gen_id, g.problem_id, g.sample, g.output, g.finish, g.n_prompt,
        g.n_gen, hex(t.ids), hex(t.logprob), hex(t.margin), hex(t.alt_id), s.extracted,
        s.correct, s.extract_ok, s.reason, (SELECT group_concat(segmenter||idx||' '||
        char_start||' '||char_end||' '||tok_start||' '||tok_end) FROM step p
        WHERE p.gen_id=g.gen_id) FROM generation g JOIN token_trace t USING(gen_id) JOIN
        score s USING(gen_id) ORDER BY g.problem_id, g.sample" | sha256sum | cut -c1-16
}

expect() # STORE WHAT
{
    got=$(rows "$1")
    made=$(sqlite3 "$1" "SELECT CAST(sum(value) AS INTEGER) FROM metric WHERE name='tokens'")
    there=$(sqlite3 "$1" "SELECT sum(n_gen) FROM generation")
    echo "$2: rows $got, $there tokens, $made made, $(sqlite3 "$1" \
        'SELECT count(*) FROM attempt') processes, $(sqlite3 "$1" \
        'SELECT count(*) FROM claim') claims left"
    [ "$got" = "$whole" ] || { echo "not the rows of the whole run ($whole)"; exit 1; }
}

start=$(date +%s)
evaluate whole.db
seconds=$(($(date +%s) - start))
whole=$(rows whole.db)
expect whole.db "undisturbed, $seconds s"

n=0
while [ "$n" -lt "$kills" ]; do
    evaluate killed.db >/dev/null 2>&1 &
    sleep "$(awk -v s="$seconds" -v n="$n" 'BEGIN { srand(7 + n); print 0.4 + rand() * s / 6 }')"
    kill -9 $! 2>/dev/null || break
    wait $! 2>/dev/null || true
    n=$((n + 1))
done
evaluate killed.db >/dev/null
expect killed.db "$n kills"

for m in 1 2 3 4; do evaluate shards.db --shard $m/4 >/dev/null & done
wait
expect shards.db "four shards at once"

evaluate two.db >/dev/null & first=$!
evaluate two.db >/dev/null & second=$!
wait $first
wait $second
expect two.db "two processes"

evaluate loss.db >/dev/null 2>&1 & first=$!
evaluate loss.db >/dev/null & second=$!
sleep 3
kill -9 $first
wait $second
expect loss.db "two processes, one killed"

for m in 1 2; do evaluate part$m.db --shard $m/2 >/dev/null; done
sqlite3 part1.db "ATTACH 'part2.db' AS b; INSERT OR IGNORE INTO generation SELECT * FROM
    b.generation; INSERT OR IGNORE INTO token_trace SELECT * FROM b.token_trace; INSERT OR
    IGNORE INTO score SELECT * FROM b.score; INSERT OR IGNORE INTO step SELECT * FROM
    b.step; INSERT OR IGNORE INTO attempt SELECT * FROM b.attempt; UPDATE metric SET
    value=value+(SELECT value FROM b.metric m WHERE m.name=metric.name AND
    m.run_id=metric.run_id) WHERE name='tokens'"
expect part1.db "two files joined"
echo "all the same"
