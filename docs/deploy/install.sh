#!/usr/bin/env bash
# Installs Thap Canh from this folder, without network: install.sh [FOLDER]   (default /opt/thapcanh, then `soc` is on PATH)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-/opt/thapcanh}
wanted=$(cat "$here/PYTHON")

python=""
for candidate in "python$wanted" python3; do
  if command -v "$candidate" >/dev/null 2>&1 &&
     [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$wanted" ]; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || { echo "install.sh: Python $wanted is needed (this bundle's wheels are built for it)" >&2; exit 1; }
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
  { echo "install.sh: python3-venv is missing; on Debian: apt install python3-venv (from the installation medium)" >&2; exit 1; }
(cd "$here" && sha256sum --check --quiet SHA256SUMS) || { echo "install.sh: the bundle is damaged" >&2; exit 1; }

mkdir -p "$target/bin"
"$python" -m venv --clear "$target/venv"
pip() { "$target/venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
pip install --no-index --find-links "$here/wheels" --no-deps --require-hashes -r "$here/requirements-run.lock"
pip install --no-index --no-deps "$here"/thapcanh-*.whl
ln -sfn "$target/venv/bin/soc" "$target/bin/soc"
if [ "$target" = /opt/thapcanh ] && [ -w /usr/local/bin ]; then
  ln -sfn "$target/bin/soc" /usr/local/bin/soc
fi
echo "installed: $target/bin/soc   next: soc init"
