#!/bin/sh
# Instructions, counted by callgrind on one thread: repeatable where times are not. First single pieces of the core, an execution each;
# then each part of the line (receive, core, send) over the recording.
# usage: benches/instructions.sh [messages]       needs valgrind; LINCHPIN_BENCH_PIECES=only leaves the line out
set -eu
messages=${1:-12000}
command -v valgrind >/dev/null || { echo "valgrind is not installed" >&2; exit 1; }
out=$(mktemp)
trap 'rm -f "$out"' EXIT

built() {
    bench=$(cargo bench --bench "$1" --no-run 2>&1 | sed -n "s/.*(\(.*$1-[0-9a-f]*\)).*/\1/p")
    [ -x "$bench" ] || { echo "cargo bench --bench $1 --no-run built nothing" >&2; exit 1; }
}

built hops
rounds=$(valgrind --tool=callgrind --callgrind-out-file="$out" "$bench" --instructions 2>/dev/null)
echo "$rounds"
rounds=$(echo "$rounds" | sed -n 's/^rounds \([0-9]*\),.*/\1/p')
callgrind_annotate --inclusive=yes --threshold=100 "$out" | awk -v rounds="$rounds" '
    match($0, /piece_[a-z0-9_]*/) {
        name = substr($0, RSTART, RLENGTH)
        if (name in seen) next
        seen[name] = 1
        gsub(",", "", $1)
        printf "%12.0f  %s\n", $1 / (name ~ /_once$/ ? 1 : rounds), substr(name, 7)
    }' | sort -k2
[ "${LINCHPIN_BENCH_PIECES:-}" = only ] && exit 0

built tick_to_trade
valgrind --tool=callgrind --callgrind-out-file="$out" "$bench" --instructions --messages "$messages" 2>/dev/null
callgrind_annotate --inclusive=yes --threshold=99.9 "$out" | grep -E 'PROGRAM TOTALS|part_(receive|core|send)|append_with|StateHash|Ir' | head -20
callgrind_annotate --threshold=80 "$out" | sed -n '/^Ir/,$p' | head -30
