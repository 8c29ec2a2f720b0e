#!/usr/bin/env bash
# Real KCM daemons for tests, from Debian's packages and without installing them.
#
#   kcm.sh fetch STORE                      download and unpack Heimdal's kcm and sssd-kcm into STORE, once
#   kcm.sh run heimdal|sssd STORE DIR       become the daemon, in the foreground; its socket is DIR/socket
#
# The daemon sees DIR's folders in the place of /run, /etc and /var, in a mount namespace of its own: neither daemon takes
# another path for all that it writes. Needs apt-get, dpkg and unshare, and no root where user namespaces are open to all.
set -euo pipefail

heimdal="heimdal-kcm libasn1-8-heimdal libhcrypto5-heimdal libheimbase1-heimdal libheimntlm0-heimdal libhx509-5-heimdal
  libkrb5-26-heimdal libroken19-heimdal libwind0-heimdal"
sssd="sssd-kcm sssd-common libbasicobjects0 libc-ares2 libcollection4 libdhash1 libini-config5 libldb2 libnl-3-200
  libnl-route-3-200 libpath-utils1 libpopt0 libref-array1 libsss-certmap0 libsss-idmap0 libsss-nss-idmap0 libtalloc2 libtdb1
  libtevent0"

fail() { echo "kcm.sh: $*" >&2; exit 1; }

# shellcheck disable=SC2086
download() { apt-get -qq download $heimdal $sssd; }

# Where nobody has asked the archive yet, or too long ago.
update() { if [ "$(id -u)" = 0 ]; then apt-get -qq update; else sudo -n apt-get -qq update; fi; }

fetch() { # STORE
  [ ! -e "$1/whole" ] || return 0
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || fail "there is no apt-get or no dpkg here"
  mkdir -p "$(dirname "$1")"
  (
    # Several runs at once wait for one download.
    flock 9
    [ ! -e "$1/whole" ] || exit 0
    rm -rf "$1"
    mkdir -p "$1/packages"
    cd "$1/packages"
    download > "$1/download.log" 2>&1 || { update; download; } > "$1/download.log" 2>&1 \
      || fail "the packages cannot be downloaded: $(grep -v unsandboxed "$1/download.log" | tail -n 3)"
    for package in *.deb; do dpkg -x "$package" "$1/root"; done
    rm -rf "$1/packages"
    touch "$1/whole"
  ) 9> "$1.lock"
}

library_path() { # STORE
  local lib
  lib=$(dirname "$(find "$1/root/usr/lib" -name 'libtalloc.so.2' | head -n 1)")
  echo "$lib:$lib/heimdal:$lib/sssd:$lib/samba:$1/root${lib#"$1/root/usr"}"
}

run_heimdal() { # STORE DIR
  mkdir -p "$2/run"
  ln -sf run/.heim_org.h5l.kcm-socket "$2/socket"
  mount --bind "$2/run" /run
  LD_LIBRARY_PATH=$(library_path "$1") exec "$1/root/usr/sbin/kcm" -n
}

run_sssd() { # STORE DIR
  local libraries=
  mkdir -p "$2/run/sssd" "$2/etc/sssd/conf.d" "$2/lib" "$2/log/sssd"
  [ -e "$2/lib/sss" ] || cp -r "$1/root/var/lib/sss" "$2/lib/sss"
  cp /etc/passwd /etc/group /etc/nsswitch.conf /etc/hosts "$2/etc/" 2>/dev/null || true
  cat > "$2/etc/sssd/sssd.conf" <<END
[sssd]
services = nss
domains = files
[domain/files]
id_provider = files
[kcm]
socket_path = $2/socket
ccache_storage = memory
END
  chmod 600 "$2/etc/sssd/sssd.conf"
  libraries=$(library_path "$1")
  mount --bind "$2/etc" /etc
  mount --bind "$2/lib" /var/lib
  mount --bind "$2/log" /var/log
  mount --bind "$2/run" /run
  export LD_LIBRARY_PATH=$libraries LDB_MODULES_PATH=${libraries%%:*}/ldb/modules/ldb:${libraries%%:*}/samba/ldb
  "$1/root/usr/sbin/sssd" --genconf-section=kcm
  exec "$1/root/usr/libexec/sssd/sssd_kcm" --uid 0 --gid 0 --logger=stderr
}

case ${1:-} in
  fetch) fetch "${2:?fetch needs a folder}" ;;
  run)
    [ $# = 4 ] || fail "run needs a daemon, the store and a folder"
    [ -e "$3/whole" ] || fail "$3 holds no daemons; fetch them first"
    mkdir -p "$4"
    exec unshare --user --map-root-user --mount bash "$0" inside "$2" "$(realpath "$3")" "$(realpath "$4")"
    ;;
  inside) "run_$2" "$3" "$4" ;;
  *) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
