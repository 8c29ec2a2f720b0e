#!/usr/bin/env bash
# Every test of the project, against real peers too.
#
#   tests/run.sh [--all] [--kdc native|docker|podman]
#
# Installs what the peers need (the packages of missing_packages below, in Debian's names, and pyspnego by pip) if it is
# missing and may be installed; a real peer that is absent is a failure, never a skip. --all adds what is heavy: the KDC in
# a container where one can be had, the domain of a Samba controller, and FreeRDP 3 and Wine in a Debian root of their own,
# which take root and packages of their own. --kdc says where the MIT KDC of the interop tests runs. The last line is `N passed, N failed`; the exit status is 0 only if
# nothing failed. Runs side by side, any number of them: ports are free ones, directories are temporary.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
kdc_script=$root/fixtures/mit-kdc/kdc.sh
samba_script=$root/fixtures/samba/dc.sh
export PATH="$PATH:/usr/sbin:/sbin"
unset KRB5_CONFIG KRB5_KDC_PROFILE KRB5CCNAME KRB5_KTNAME KRB5_CLIENT_KTNAME GSS_MECH_CONFIG
unset TRIHOUND_CONTEXT_KEY_FILE TRIHOUND_NTLM NTLM_USER_FILE NTLM_HASH_FILE NETBIOS_COMPUTER_NAME NETBIOS_DOMAIN_NAME LM_COMPAT_LEVEL

all= mode=native
while [ $# -gt 0 ]; do
  case $1 in
    --all) all=yes ;;
    --kdc) mode=${2:-}; shift ;;
    *) echo "usage: tests/run.sh [--all] [--kdc native|docker|podman]" >&2; exit 2 ;;
  esac
  shift
done
# How long the tools of both makes work on one credential cache.
[ -n "$all" ] && export TRIHOUND_STRESS_SECONDS=${TRIHOUND_STRESS_SECONDS:-60}
case $mode in native | docker | podman) ;; *) echo "run.sh: --kdc takes native, docker or podman" >&2; exit 2 ;; esac

scratch=$(mktemp -d)
realms=()
finish() {
  local realm
  for realm in "${realms[@]}"; do "$kdc_script" stop "$realm"; done
  [ ! -d "$scratch/samba" ] || "$samba_script" stop "$scratch/samba"
  rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM

passed=0 failed=0
failures=()
section() { printf '\n== %s\n' "$*"; }
good() { passed=$((passed + ${1:-1})); }
bad() { failed=$((failed + 1)); failures+=("$*"); echo "FAILED: $*"; }

# --- what the machine must have -----------------------------------------------------------------------------

has_gss_headers() { echo '#include <gssapi/gssapi_ext.h>' | gcc -E - >/dev/null 2>&1; }

missing_packages() {
  command -v krb5kdc >/dev/null || echo krb5-kdc
  command -v kadmin.local >/dev/null || echo krb5-admin-server
  command -v kinit >/dev/null && command -v kvno >/dev/null || echo krb5-user
  command -v gcc >/dev/null || echo gcc
  command -v gcc >/dev/null && has_gss_headers || echo libkrb5-dev
  command -v dnsmasq >/dev/null || [ -x /usr/sbin/dnsmasq ] || echo dnsmasq-base
  command -v openssl >/dev/null || echo openssl
  /usr/bin/python3 -c 'import kdcproxy' 2>/dev/null || echo python3-kdcproxy
  /usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  /usr/bin/python3 -c 'import gssapi' 2>/dev/null || echo python3-gssapi
  [ -e /etc/gss/mech.d/mech.ntlmssp.conf ] || echo gss-ntlmssp
  command -v curl >/dev/null || echo curl
  command -v g++ >/dev/null || echo g++
  command -v nm >/dev/null || echo binutils
  command -v valgrind >/dev/null || echo valgrind
  command -v pkg-config >/dev/null || echo pkg-config
}

# As root or through sudo without a password; otherwise says what could not be had.
install_packages() {
  local become=()
  command -v apt-get >/dev/null || { echo "cannot install $*: there is no apt-get here"; return 1; }
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || { echo "cannot install $*: neither root nor sudo without a password"; return 1; }
    become=(sudo -n)
  fi
  # One installation at a time on this machine: apt's own lock makes the second of two runs fail at once.
  (
    flock 9
    "${become[@]}" apt-get update -qq \
      && "${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
  ) 9> "${TMPDIR:-/tmp}/trihound-install.lock" > "$scratch/install.log" 2>&1 && return 0
  echo "cannot install $*:"
  tail -n 5 "$scratch/install.log"
  return 1
}

section "packages of the real peers"
mapfile -t missing < <(missing_packages)
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${missing[*]}"
  install_packages "${missing[@]}" || true
  mapfile -t missing < <(missing_packages)
fi
if [ ${#missing[@]} -gt 0 ]; then bad "real peers are absent, for want of the packages ${missing[*]}"; else echo "all there"; fi
command -v cargo >/dev/null || { bad "there is no cargo"; echo "$passed passed, $failed failed"; exit 1; }

# --- builds -------------------------------------------------------------------------------------------------

target=$(cargo metadata --no-deps --format-version 1 2>/dev/null | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
target=${target:-$root/target}
peer=$target/peers/peer

build_peer() {
  local own
  mkdir -p "$target/peers" || return 1
  own=$(mktemp "$target/peers/peer.XXXXXX") || return 1
  # Moved into place whole: another run may be using the old one.
  gcc -std=gnu11 -O1 -Wall -Wextra -Werror -o "$own" tests/interop/c/peer.c -lgssapi_krb5 && chmod 755 "$own" && mv "$own" "$peer"
}

section "build"
if build_peer; then good; else bad "the C peer does not build"; fi
if python=$(tests/interop/python/venv.sh "$target/peers"); then
  good
  export TRIHOUND_PYTHON=$python
else
  bad "there is no Python with pyspnego"
fi
if cargo build --workspace --all-targets --features trihound/tokio; then good; else bad "the workspace does not build"; fi
# In a folder of its own, so that neither program takes the other's place.
if cargo build -p trihound-cli --features kkdcp --target-dir "$target/https"; then good; else bad "the program with HTTPS does not build"; fi

# --- the MIT realm and the C peer, before anything relies on them --------------------------------------------

new_realm() { # NAME MODE
  realms+=("$scratch/$1")
  "$kdc_script" start "$scratch/$1" --kdc "$2" && "$kdc_script" check "$scratch/$1"
}

section "MIT realm ($mode) and C peer"
if [ "$mode" != native ]; then
  if "$kdc_script" image --kdc "$mode" > "$scratch/image.log" 2>&1; then good; else
    tail -n 20 "$scratch/image.log"
    bad "the KDC's image does not build for $mode"
  fi
fi
if new_realm realm "$mode"; then
  good
  log=$scratch/selftest.log
  tests/interop/c/selftest.sh "$peer" "$scratch/realm" > "$log" 2>&1 || bad "the C peer fails against itself"
  cat "$log"
  good "$(sed -n 's/^C peer against itself: \([0-9]*\) passed.*/\1/p' "$log" | grep . || echo 0)"
else
  bad "the MIT realm does not serve"
fi

# --- cargo's tests, the interop matrix among them -------------------------------------------------------------

# Adds up the result lines of a log of cargo test.
count_cargo() { # LOG STATUS WHAT
  local ok wrong
  ok=$(sed -n 's/^test result: .*\. \([0-9]*\) passed; .*/\1/p' "$1" | awk '{ n += $1 } END { print n + 0 }')
  wrong=$(sed -n 's/^test result: .* passed; \([0-9]*\) failed.*/\1/p' "$1" | awk '{ n += $1 } END { print n + 0 }')
  passed=$((passed + ok))
  failed=$((failed + wrong))
  if [ "$wrong" -gt 0 ]; then failures+=("$3: $(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$1" | sort -u | paste -sd' ')"); fi
  # A build that breaks, or a test binary that dies, counts too.
  if [ "$2" != 0 ] && [ "$wrong" = 0 ]; then bad "$3 ended with status $2"; fi
  if [ "$2" = 0 ] && [ "$ok" = 0 ]; then bad "$3 ran no test"; fi
}

run_cargo() { # WHAT ARGUMENTS...
  local what=$1 status=0
  shift
  cargo test --no-fail-fast "$@" 2>&1 | tee "$scratch/cargo.log" || status=${PIPESTATUS[0]}
  count_cargo "$scratch/cargo.log" "$status" "$what"
}

# For the interop crate: peers must be there, and where they are.
export TRIHOUND_PEERS=required TRIHOUND_C_PEER=$peer TRIHOUND_PROGRAM=$target/debug/trihound TRIHOUND_KDC_SCRIPT=$kdc_script
export TRIHOUND_FIGURES=$scratch/figures
# For the C interface's programs.
export TRIHOUND_SSPI_LIBRARY=$target/debug/libtrihound_sspi.so TRIHOUND_EXAMPLES=$target/debug/examples
export KDC_MODE=$mode TRIHOUND_PROGRAM_HTTPS=$target/https/debug/trihound

section "cargo test"
run_cargo "cargo test" --workspace --features trihound/tokio

section "known answers"
for folder in vectors samples; do
  log=$scratch/vectors.log
  status=0
  cargo run -q -p trihound-vectors -- "fixtures/$folder" > "$log" 2>&1 || status=$?
  cat "$log"
  line=$(tail -n 1 "$log")
  if [[ $line =~ ^vectors:\ ([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ not\ supported$ ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
    [ "${BASH_REMATCH[2]}" = 0 ] || failures+=("known answers of fixtures/$folder")
    [ "$status" = 0 ] || [ "${BASH_REMATCH[2]}" != 0 ] || bad "the vectors of fixtures/$folder ended with status $status"
  else
    bad "the vectors of fixtures/$folder ended with status $status and no totals"
  fi
done

# --- what is heavy --------------------------------------------------------------------------------------------

missing_samba_packages() {
  command -v samba >/dev/null || echo samba samba-ad-dc
  [ -e /usr/share/samba/setup/provision.ldif ] || echo samba-ad-provision
  ls /usr/lib/*/samba/ldb/samba_dsdb.so >/dev/null 2>&1 || echo samba-dsdb-modules
  ls /usr/lib/*/samba/vfs/acl_xattr.so >/dev/null 2>&1 || echo samba-vfs-modules
  command -v winbindd >/dev/null && command -v ntlm_auth >/dev/null || echo winbind
  command -v smbclient >/dev/null || echo smbclient
  command -v ldbsearch >/dev/null || echo ldb-tools
  command -v faketime >/dev/null || echo faketime
}

# Nothing that comes with the packages is to run, neither now nor after the next start of the machine. One run at a time,
# so that none takes away the policy that another relies on.
install_samba() (
  policy=/usr/sbin/policy-rc.d own= installed=0
  exec 8> "${TMPDIR:-/tmp}/trihound-samba.lock"
  flock 8
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod 755 "$policy"
    own=yes
  fi
  install_packages "$@" || installed=1
  [ -z "$own" ] || rm -f "$policy"
  for daemon in samba-ad-dc smbd nmbd winbind; do
    [ ! -e "/etc/init.d/$daemon" ] || update-rc.d "$daemon" disable >/dev/null 2>&1
  done
  exit "$installed"
)

# Makes the domain once for all the tests of it.
samba_domain() {
  if [ "$(id -u)" != 0 ]; then
    bad "no Samba domain: only root can give the controller a network of its own, and this is not root"
    return
  fi
  local missing
  mapfile -t missing < <(missing_samba_packages)
  if [ ${#missing[@]} -gt 0 ]; then
    echo "installing ${missing[*]}"
    # shellcheck disable=SC2068 # a line may name two
    install_samba ${missing[@]} || true
    mapfile -t missing < <(missing_samba_packages)
  fi
  if [ ${#missing[@]} -gt 0 ]; then
    bad "no Samba domain, for want of the packages ${missing[*]}"
  elif "$samba_script" start "$scratch/samba" && "$samba_script" check "$scratch/samba"; then
    good
    TRIHOUND_SAMBA_DIR=$scratch/samba run_cargo "Samba domain" -p trihound-interop --test it -- --ignored samba::
  else
    tail -n 20 "$scratch/samba/create.log" "$scratch/samba/samba.out" 2>/dev/null
    bad "the Samba domain does not serve"
  fi
}

if [ -n "$all" ]; then
  section "Samba domain"
  samba_domain
fi

# Adds up `... N passed, N failed` of the last line of a log.
count_line() { # LOG STATUS WHAT
  if [[ $(tail -n 1 "$1") =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]] && [ "${BASH_REMATCH[1]}" -gt 0 ]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
    [ "${BASH_REMATCH[2]}" = 0 ] || failures+=("$3")
    [ "$2" = 0 ] || [ "${BASH_REMATCH[2]}" != 0 ] || bad "$3 ended with status $2"
  else
    bad "$3 ended with status $2 and no totals"
  fi
}

# Peers of the C interface that Debian has in its next version: a root of it is kept beside what cargo builds.
newer_debian() { # SCRIPT
  if [ "$(id -u)" != 0 ]; then
    bad "$1: only root can go into another Debian, and this is not root"
    return 1
  fi
  command -v debootstrap >/dev/null || install_packages debootstrap || true
  "$root/fixtures/$1" bootstrap "$target/peers/trixie" > "$scratch/trixie.log" 2>&1 && return 0
  tail -n 20 "$scratch/trixie.log"
  bad "$1: there is no Debian with it"
  return 1
}

freerdp() {
  newer_debian freerdp/rdp.sh || return
  local status=0
  tests/c-abi/freerdp.sh "$target/peers/trixie" "$TRIHOUND_SSPI_LIBRARY" 2>&1 | tee "$scratch/freerdp.log" || status=${PIPESTATUS[0]}
  count_line "$scratch/freerdp.log" "$status" "FreeRDP with the library"
}

wine() {
  local status=0 windows=x86_64-pc-windows-gnu
  newer_debian wine/wine.sh || return
  command -v x86_64-w64-mingw32-gcc >/dev/null || install_packages gcc-mingw-w64-x86-64 || true
  rustup target add "$windows" 2>/dev/null
  if ! cargo build -p trihound-abi --target "$windows"; then
    bad "the library does not build for Windows"
    return
  fi
  tests/c-abi/wine.sh "$target/peers/trixie" "$target/$windows/debug/trihound_sspi.dll" "$TRIHOUND_PROGRAM" 2>&1 \
    | tee "$scratch/wine.log" || status=${PIPESTATUS[0]}
  count_line "$scratch/wine.log" "$status" "the library for Windows under Wine"
}

if [ -n "$all" ]; then
  section "FreeRDP 3 through the C interface"
  freerdp
  section "the C interface of Windows, under Wine"
  wine
fi

# Prints the engine that can run a container here; podman is installed if that is all it takes.
container_engine() {
  if command -v docker >/dev/null && docker info >/dev/null 2>&1; then echo docker; return; fi
  if ! command -v podman >/dev/null || ! command -v debootstrap >/dev/null; then
    install_packages podman runc buildah debootstrap >&2 || return 1
  fi
  podman --cgroup-manager=cgroupfs --storage-driver=vfs --runtime runc info >/dev/null 2>&1 && echo podman
}

if [ -n "$all" ] && [ "$mode" = native ]; then
  section "the KDC in a container"
  if engine=$(container_engine) && [ -n "$engine" ]; then
    if "$kdc_script" image --kdc "$engine" > "$scratch/image.log" 2>&1 && new_realm container "$engine"; then
      good
      KDC_MODE=$engine run_cargo "interop with the KDC in $engine" -p trihound-interop
    else
      tail -n 20 "$scratch/image.log"
      bad "the KDC does not serve from a container of $engine"
    fi
  else
    echo "not run: this machine can run neither docker nor podman"
  fi
fi

if [ -s "$scratch/figures" ]; then
  section "figures"
  cat "$scratch/figures"
fi

section "result"
for failure in "${failures[@]}"; do echo "failed: $failure"; done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
