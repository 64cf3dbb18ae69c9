#!/usr/bin/env bash
# The licences of all that the project and its extras install, as a table; fails at one that is not on the list.
#
#   tools/check_licences.sh [ENVIRONMENT]
#
# ENVIRONMENT is a virtual environment that has them, and nothing else; a fresh one by default.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
env=${1:-$work/env}
if [ $# = 0 ]; then
  python3 -m venv "$env"
  "$env/bin/pip" install -q -c constraints.txt '.[archive,eval,heic,int8,openvino,parquet,postgres,ray,remote,serve,train,video]'
fi
python3 -m venv "$work/tool"
"$work/tool/bin/pip" install -q pip-licenses
# Permissive ones, and weak copyleft, which asks nothing of a program that imports the package: the project ships none
# of them, pip installs each from its own source.
allowed="0BSD;Apache;BSD;CC0;ISC;MIT;PSF;Python Software Foundation;Zlib"
weak="LGPL;Lesser General Public License;MPL;Mozilla Public License"
"$work/tool/bin/pip-licenses" --python "$env/bin/python" --from=mixed --order=license --format=markdown \
  --partial-match --allow-only="$allowed;$weak"
