#!/usr/bin/env bash
# Fuzzing of every parser and state machine.
#
#   tests/fuzz/run.sh --smoke              replay every corpus and fuzz each target for some seconds; below four minutes
#   tests/fuzz/run.sh MINUTES [TARGET...]  fuzz the targets in turn, MINUTES in all
#   tests/fuzz/run.sh --replay             replay the corpora and the regressions, without libFuzzer and without C++
#   tests/fuzz/run.sh --merge TARGET DIR   add to a target's corpus what DIR covers and the corpus does not
#
# Needs cargo, and a C++ compiler for all but --replay. What breaks a target is kept in tests/fuzz/artifacts/. The last line is
# the verdict; the exit status is 0 only if nothing was found.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export CARGO_TERM_COLOR=never
usage() { sed -n '4,7s/^# \{0,3\}//p' "$0" >&2; exit 2; }
target_dir=${CARGO_TARGET_DIR:-$PWD/target}

if [ "${1:-}" = --replay ]; then
  exec cargo run --quiet --locked --release --bin replay -- "${@:2}"
fi

[ $# -gt 0 ] || usage
if ! command -v "${CXX:-c++}" >/dev/null; then
  echo "run.sh: libFuzzer is C++ and there is no ${CXX:-c++} here; install one (Debian: g++), or use --replay" >&2
  exit 2
fi

# The coverage that libFuzzer reads, on the stable compiler: the same flags that cargo-fuzz gives.
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1"
cargo build --quiet --locked --release --features libfuzzer --bin fuzz --target "$host" || { echo "0 executions, build failed"; exit 1; }
fuzz=$target_dir/$host/release/fuzz
mapfile -t lengths < <(sed -n 's/^    target("\([a-z0-9-]*\)", \([0-9]*\),.*/\1 \2/p' src/lib.rs)

length_of() { # TARGET
  local line
  for line in "${lengths[@]}"; do [ "${line% *}" = "$1" ] && echo "${line#* }"; done
}

limits() { # TARGET
  echo "-max_len=$(length_of "$1") -rss_limit_mb=2048 -malloc_limit_mb=512 -timeout=20 -print_final_stats=1"
}

if [ "$1" = --merge ]; then
  [ -n "$(length_of "${2:-}")" ] && [ -d "${3:-}" ] || usage
  mkdir -p "corpus/$2"
  # shellcheck disable=SC2046
  TRIHOUND_FUZZ_TARGET=$2 exec "$fuzz" $(limits "$2") -merge=1 "corpus/$2" "$3"
fi

case $1 in
  --smoke) seconds=5 targets=("${lengths[@]% *}") ;;
  *[!0-9]* | '') usage ;;
  *)
    targets=("${@:2}")
    [ ${#targets[@]} -gt 0 ] || targets=("${lengths[@]% *}")
    seconds=$(($1 * 60 / ${#targets[@]}))
    [ "$seconds" -gt 0 ] || seconds=1
    ;;
esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p artifacts
executions=0 findings=0
printf '%-18s %12s %9s %8s %8s %9s\n' target executions per-sec edges features findings
for target in "${targets[@]}"; do
  if [ -z "$(length_of "$target")" ]; then
    echo "no target $target; there are: ${lengths[*]% *}" >&2
    exit 2
  fi
  log=$scratch/$target.log new=${FUZZ_NEW:-$scratch/new}/$target old=()
  mkdir -p "$new"
  for folder in "corpus/$target" "../../fixtures/regressions/fuzz/$target"; do [ -d "$folder" ] && old+=("$folder"); done
  # shellcheck disable=SC2046
  TRIHOUND_FUZZ_TARGET=$target "$fuzz" $(limits "$target") -max_total_time="$seconds" \
    -artifact_prefix="artifacts/$target-" "$new" "${old[@]}" >"$log" 2>&1
  status=$?
  found=0
  if [ $status != 0 ]; then
    found=1
    grep -aE "panicked at|ERROR: libFuzzer|Test unit written|^TRIHOUND" -A1 "$log" | head -12
  fi
  ran=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
  rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log" | tail -1)
  edges=$(grep -ao 'cov: [0-9]*' "$log" | tail -1 | tr -dc 0-9)
  features=$(grep -ao 'ft: [0-9]*' "$log" | tail -1 | tr -dc 0-9)
  printf '%-18s %12s %9s %8s %8s %9s\n' "$target" "${ran:-0}" "${rate:-0}" "${edges:-0}" "${features:-0}" "$found"
  executions=$((executions + ${ran:-0})) findings=$((findings + found))
done
echo "$executions executions of ${#targets[@]} targets, $findings findings"
[ "$findings" = 0 ]
