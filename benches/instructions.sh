#!/bin/sh
# Instructions of each part of the line (receive, core, send), counted by callgrind on one thread: repeatable where times are not.
# usage: benches/instructions.sh [messages]       needs valgrind
set -eu
messages=${1:-12000}
command -v valgrind >/dev/null || { echo "valgrind is not installed" >&2; exit 1; }
bench=$(cargo bench --bench tick_to_trade --no-run 2>&1 | sed -n 's/.*(\(.*tick_to_trade-[0-9a-f]*\)).*/\1/p')
[ -x "$bench" ] || { echo "cargo bench --bench tick_to_trade --no-run built nothing" >&2; exit 1; }
out=$(mktemp)
trap 'rm -f "$out"' EXIT
valgrind --tool=callgrind --callgrind-out-file="$out" "$bench" --instructions --messages "$messages" 2>/dev/null
callgrind_annotate --inclusive=yes --threshold=99.9 "$out" | grep -E 'PROGRAM TOTALS|part_(receive|core|send)|append_with|StateHash|Ir' | head -20
callgrind_annotate --threshold=80 "$out" | sed -n '/^Ir/,$p' | head -30
