#!/usr/bin/env bash
# The Python with pyspnego that peer.py runs in: venv.sh DIR makes it in DIR/pyspnego-VERSION-SUM, the sum that of
# requirements.txt, if it is not there, and prints its path. Debian's own python3 with python3-venv and python3-gssapi
# (Kerberos through the system's libgssapi); pyspnego, as requirements.txt pins it, by pip. Any number of runs may ask at once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${1:?the folder for it}"
folder=$(cd "$1" && pwd)
name=pyspnego-$(sed -n 's/^pyspnego==//p' "$here/requirements.txt")-$(cksum < "$here/requirements.txt" | cut -d' ' -f1)
python=$folder/$name/bin/python
# The mark comes last: what pip has written half may be importable already.
complete=$folder/$name/complete
works() { [ -e "$complete" ] && "$python" -c 'import spnego, gssapi' 2>/dev/null; }
if ! works; then
  exec 9> "$folder/pyspnego.lock"
  flock 9
  # Somebody else may have made it meanwhile.
  if ! works; then
    {
      rm -rf "${folder:?}/$name"
      /usr/bin/python3 -m venv --system-site-packages "$folder/$name"
      "$python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
      touch "$complete"
    } >&2
    works || { echo "venv.sh: pyspnego or gssapi cannot be imported by $python" >&2; exit 1; }
  fi
fi
echo "$python"
