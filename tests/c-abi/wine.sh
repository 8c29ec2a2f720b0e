#!/usr/bin/env bash
# The library as Windows has it: built for it, and the C test program with it under Wine.
#
#   wine.sh ROOT LIBRARY PROGRAM
#
# ROOT is where ../../fixtures/wine/wine.sh keeps its Debian, LIBRARY the built trihound_sspi.dll, PROGRAM the program `trihound`
# of this system, which serves the realm beside Wine. Needs x86_64-w64-mingw32-gcc, whose headers are those of Windows, and root.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${1:?a root} library=${2:?a library} program=${3:?a program}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

x86_64-w64-mingw32-gcc -std=gnu11 -O1 -Wall -Wextra -Werror -D_WIN32_WINNT=0x0A00 -D_SEC_WINNT_AUTH_TYPES -I "$here/../../crates/abi/include" \
  -o "$folder/c-abi.exe" "$here"/c/*.c
cp "$library" "$folder/trihound_sspi.dll"
cp "$program" "$folder/trihound"
cp "$here/realm.toml" "$here/wine-inside.sh" "$folder/"
"$here/../../fixtures/wine/wine.sh" run "$root" "$folder" sh wine-inside.sh
