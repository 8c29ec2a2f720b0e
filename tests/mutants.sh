#!/usr/bin/env bash
# Whether a deleted check makes a test fail.
#
#   tests/mutants.sh [DIRECTORY]
#
# Works on a clone of the last commit and puts its reports into DIRECTORY (default target/mutants). First cargo-mutants over the
# protocol modules (installed if it is missing), then tests/delete-checks.py over the same ones. Takes an hour or two on two
# cores, so neither tests/run.sh nor CI calls it; docs/design/mutants.md explains what survives.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "${1:-$root/target/mutants}"
reports=$(cd "${1:-$root/target/mutants}" && pwd)

cargo mutants --version >/dev/null 2>&1 || cargo install --locked cargo-mutants

clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git clone --quiet "$root" "$clone/trihound"
cd "$clone/trihound"
export CARGO_TARGET_DIR=$clone/target CARGO_PROFILE_DEV_DEBUG=0

krb5=(kdc_reply cred replay refusal 'as_exchange/*' 'tgs_exchange/*' 'ap/*')
kerberos=(acceptor initiator context session acquire tickets buffers 'messages/*')

# mutants PACKAGE FOLDER MODULE...: the mutants of these modules, judged by the package's own tests
mutants() {
  local package=$1 folder=$2 files=()
  shift 2
  for module; do files+=(--file "$folder/src/$module.rs"); done
  # 2: some were missed; 3: some ran into the time limit. Both are for the report.
  cargo mutants --in-place --package "$package" --test-package "$package" --timeout 60 --build-timeout 300 \
    --exclude-re 'fmt|Debug|Display' --output "$reports/$package" "${files[@]}" -- --lib --test it ||
    [ $? -le 3 ]
}

# deletions PACKAGE FOLDER MODULE...: the checks of these modules taken away, one at a time
deletions() {
  local package=$1 folder=$2 files=()
  shift 2
  # Unquoted, so that the modules' wildcards find their files.
  # shellcheck disable=SC2086
  for module; do files+=($folder/src/$module.rs); done
  tests/delete-checks.py "$package" "${files[@]}" | tee "$reports/$package-deleted.txt"
}

mutants trihound-krb5 crates/krb5 "${krb5[@]}"
mutants trihound-kerberos crates/kerberos "${kerberos[@]}"
missed=0
deletions trihound-krb5 crates/krb5 "${krb5[@]}" || missed=1
deletions trihound-kerberos crates/kerberos "${kerberos[@]}" || missed=1
echo "reports: $reports"
exit $missed
