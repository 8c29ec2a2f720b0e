#!/usr/bin/env bash
# FreeRDP 3 logs in to its own server through the library: freerdp.sh ROOT LIBRARY
#
# ROOT is where ../../fixtures/freerdp/rdp.sh keeps its Debian. Needs root. Prints a line for each case; the last one has the
# counts, and the exit status is 0 only if nothing failed.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rdp=$here/../../fixtures/freerdp/rdp.sh
root=${1:?a root} library=${2:?a library}
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export RDP_KEEP=TRIHOUND_NTLM TRIHOUND_NTLM=allow

login() { # NAME OUTCOME EVIDENCE LIBRARY PASSWORD [ARGUMENT...]
  local name=$1 outcome=$2 evidence=$3 used=$4
  shift 4
  "$rdp" login "$root" "$used" "$@" > "$log" 2>&1
  # A login that failed for another reason than the one that is meant proves nothing.
  if tail -n 1 "$log" | grep -qx "login: $outcome" && grep -q "$evidence" "$log" \
    && { [ "$used" = - ] || grep -q 'Using SSPI Module: /srv/login/module/provider.so' "$log"; }; then
    passed=$((passed + 1))
    echo "ok: $name"
  else
    failed=$((failed + 1))
    echo "FAILED: $name"
    cat "$log"
  fi
}

mic='AcceptSecurityContext status SEC_E_MESSAGE_ALTERED'
login "FreeRDP's own provider, right password" accepted 'exit status 1' - Wonder-Land-7 /auth-pkg-list:ntlm
login "NTLM, right password" accepted 'exit status 1' "$library" Wonder-Land-7 /auth-pkg-list:ntlm
login "NTLM, wrong password" refused "$mic" "$library" wrong-password /auth-pkg-list:ntlm
login "whatever Negotiate chooses, right password" accepted 'exit status 1' "$library" Wonder-Land-7
login "whatever Negotiate chooses, wrong password" refused "$mic" "$library" wrong-password
login "settings that are not there yet" refused 'AcquireCredentialsHandleA failed with SEC_E_UNSUPPORTED_FUNCTION' \
  "$library" Wonder-Land-7 /kerberos:armor:/srv/login/armor
TRIHOUND_NTLM=deny login "NTLM where nobody allowed it" refused 'AcquireCredentialsHandleA failed with SEC_E_UNSUPPORTED_FUNCTION' \
  "$library" Wonder-Land-7 /auth-pkg-list:ntlm
echo "FreeRDP: $passed passed, $failed failed"
[ "$failed" = 0 ]
