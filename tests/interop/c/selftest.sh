#!/usr/bin/env bash
# The C peer against itself, so that a failure against Trihound is not the C peer's: every set of flags, each enctype.
#   selftest.sh PEER KDC_DIR        (KDC_DIR: a realm that fixtures/mit-kdc/kdc.sh has started)
set -euo pipefail
peer=${1:?the built peer} realm=${2:?the directory of a realm}
. "$realm/env.sh"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export KRB5CCNAME="FILE:$scratch/cc" KRB5RCACHEDIR="$scratch"
echo Wonder-Land-7 | kinit -f alice >/dev/null
passed=0 failed=0

# Starts the acceptor, runs the initiator, sets accepted, initiated (statuses) and leaves out.accept, out.init.
converse() { # ACCEPT_SPN ACCEPT_FLAGS INIT_SPN INIT_FLAGS
  local port pid
  rm -f "$scratch/out.accept"
  "$peer" accept 0 "$1" kerberos "$2" --show-session-key > "$scratch/out.accept" 2> "$scratch/err.accept" &
  pid=$!
  until port=$(sed -n 's/^listening //p' "$scratch/out.accept" 2>/dev/null) && [ -n "$port" ]; do sleep 0.005; done
  initiated=0 accepted=0
  "$peer" init "$port" "$3" kerberos "$4" --show-session-key > "$scratch/out.init" 2> "$scratch/err.init" || initiated=$?
  wait "$pid" || accepted=$?
}
value() { sed -n "s/.*\"$2\":\(\"[^\"]*\"\|\[[^]]*\]\|[a-z0-9]*\).*/\1/p" "$scratch/out.$1"; }
verdict() { # NAME CONDITION...
  local name=$1
  shift
  if "$@"; then passed=$((passed + 1)); else
    failed=$((failed + 1))
    echo "failed: $name"
    sed 's/^/    /' "$scratch"/out.* "$scratch"/err.*
  fi
}
agree() {
  [ "$initiated$accepted" = 00 ] && [ -n "$(value init session_key)" ] \
    && [ "$(value init session_key)" = "$(value accept session_key)" ] && [ "$(value init src)" = "$(value accept src)" ] \
    && [ "$(value init dst)" = "$(value accept dst)" ] && [ "$(value init delegated)" = "$(value accept delegated)" ]
}
refused() { [ "$initiated" != 0 ] || [ "$accepted" != 0 ]; }

for style in "" mutual mutual,dce; do
  for order in "" seq replay seq,replay; do
    for cb in "" cb=00ff41; do
      for data in iov iov,big=100000 big=0 nodata; do
        converse - "$cb,$data" HTTP/localhost "$style,$order,$cb,$data"
        verdict "[$style] [$order] [$cb] [$data]" agree
      done
    done
  done
done
for flags in conf integ conf,integ noci deleg deleg,mutual identify identify,mutual mutual,conf,integ,seq,replay,deleg,identify; do
  converse HTTP/localhost iov "HTTP/localhost@$KDC_REALM" "$flags,iov"
  verdict "[$flags]" agree
done
for enctype in aes256 aes128 aes256sha2 aes128sha2 rc4; do
  for style in "" mutual mutual,dce; do
    for profile in krb5 "krb5-$enctype" krb5-tcp; do
      export KRB5_CONFIG="$KDC_DIR/$profile.conf"
      converse "host/$enctype.localhost" iov,big=1000 "host/$enctype.localhost" "$style,seq,user=user-$enctype,pw=secret-$enctype,iov,big=1000"
      verdict "$enctype [$style] $profile" agree
    done
  done
done
export KRB5_CONFIG="$KDC_DIR/krb5.conf"
converse - cb=01 HTTP/localhost cb=02,mutual
verdict "other channel bindings are refused" refused
converse - "" host/absent.localhost mutual
verdict "a ticket whose key is absent is refused" refused
converse HTTP/localhost "" host/localhost mutual
verdict "a ticket for another service is refused" refused
converse - "" HTTP/localhost mutual,user=alice,pw=wrong
verdict "a wrong password is refused" refused
converse - big=10 HTTP/localhost mutual,big=11
verdict "another length is refused" refused
echo "C peer against itself: $passed passed, $failed failed"
[ "$failed" = 0 ]
