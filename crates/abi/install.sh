#!/usr/bin/env bash
# Builds libtrihound_sspi and installs it with its header and its pkg-config file.
#
#   install.sh PREFIX [--libdir DIR] [--destdir DIR] [--library FILE]
#
# Everything goes below PREFIX (/usr/local, say): lib/libtrihound_sspi.so, a link to the file with the number of the
# library's interface behind it, include/trihound_sspi.h and lib/pkgconfig/trihound-sspi.pc. --libdir names another folder for the library, --destdir one that is put before all of
# them while a package is made, --library a library that is built already.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() { echo "install.sh: $*" >&2; exit 1; }

prefix='' libdir='' destdir='' library=''
while [ $# -gt 0 ]; do
  case $1 in
    --libdir) libdir=${2:?--libdir needs a folder}; shift 2 ;;
    --destdir) destdir=${2:?--destdir needs a folder}; shift 2 ;;
    --library) library=${2:?--library needs a file}; shift 2 ;;
    -*) fail "there is no option $1" ;;
    *) [ -z "$prefix" ] || fail "one prefix is enough"; prefix=$1; shift ;;
  esac
done
case $prefix in
  /*) ;;
  '') sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  *) fail "the prefix has to begin with a slash: it goes into the pkg-config file" ;;
esac
libdir=${libdir:-$prefix/lib}

case $(uname) in Darwin) name=libtrihound_sspi.dylib ;; *) name=libtrihound_sspi.so ;; esac
if [ -z "$library" ]; then
  (cd "$here" && cargo build --locked --release -p trihound-abi)
  target=$(cd "$here" && cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
  library=$target/release/$name
fi
[ -f "$library" ] || fail "there is no library $library"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/../../Cargo.toml" | head -n 1)

install -d "$destdir$libdir/pkgconfig" "$destdir$prefix/include"
# Linked programs ask for the file with the number (its SONAME); macOS has none.
case $name in *.so) file=$name.${version%%.*} ;; *) file=$name ;; esac
# A program may have the old one loaded: it is replaced whole, not written into.
install -m 755 "$library" "$destdir$libdir/$file.new"
mv -f "$destdir$libdir/$file.new" "$destdir$libdir/$file"
[ "$file" = "$name" ] || ln -sfn "$file" "$destdir$libdir/$name"
install -m 644 "$here/include/trihound_sspi.h" "$destdir$prefix/include/trihound_sspi.h"
sed -e "s|@PREFIX@|$prefix|; s|@LIBDIR@|$libdir|; s|@VERSION@|$version|" "$here/trihound-sspi.pc.in" \
  > "$destdir$libdir/pkgconfig/trihound-sspi.pc"
echo "installed $libdir/$name, $prefix/include/trihound_sspi.h and $libdir/pkgconfig/trihound-sspi.pc"
