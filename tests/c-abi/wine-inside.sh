# What wine.sh runs inside the root: the realm on this system, and the C program under Wine.
set -eu
printf 'CTEST:alice:Wonder-Land-7\n' > ntlm-users
./trihound kdc realm.toml --krb5-conf krb5.conf --keytab service.keytab > kdc.out 2>&1 &
tries=0
until grep -q '^listening ' kdc.out; do
  tries=$((tries + 1))
  [ "$tries" -lt 400 ] || { cat kdc.out; exit 3; }
  sleep 0.05
done
export KRB5_CONFIG=/srv/folder/krb5.conf
echo Wonder-Land-7 | ./trihound kinit -f -c FILE:/srv/folder/cc alice > /dev/null
# The same files by the names that they have in Wine's Windows.
export KRB5_CONFIG='Z:\srv\folder\krb5.conf' KRB5_KTNAME='FILE:Z:\srv\folder\service.keytab' KRB5CCNAME='FILE:Z:\srv\folder\cc'
head -c 32 /dev/urandom > key
export NTLM_USER_FILE='Z:\srv\folder\ntlm-users' TRIHOUND_NTLM=allow TRIHOUND_CONTEXT_KEY_FILE='Z:\srv\folder\key'
# Each part of the program is one test here; what it checks it counts itself.
passed=0 failed=0
for part in interfaces matrix exports arguments logins onward "leave contexts" "arrive contexts"; do
  echo "--- $part"
  # shellcheck disable=SC2086 # a part may have an argument
  if wine ./c-abi.exe trihound_sspi.dll $part; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "Wine: $passed passed, $failed failed"
[ "$failed" = 0 ]
