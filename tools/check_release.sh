#!/usr/bin/env bash
# What a release is: builds the source distribution, and the wheel from that, and runs the README's main job with the
# wheel in an empty environment, in an empty folder. Leaves both in DIR (dist by default).
#
#   tools/check_release.sh [DIR]
#
# PYTHON names the interpreter. With TAG, such as v0.2.0, the version has to be the tag's.
set -euo pipefail
out=$(mkdir -p "${1:-dist}" && cd "${1:-dist}" && pwd)
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
if ! [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+((a|b|rc)[0-9]+)?$ ]]; then
  echo "check_release: $version is no version of three numbers" >&2
  exit 1
fi
if [ -n "${TAG:-}" ]; then
  [ "$TAG" = "v$version" ] || { echo "check_release: the tag is $TAG, and the version $version" >&2; exit 1; }
  grep -q "^## $version" CHANGELOG.md || { echo "check_release: CHANGELOG.md has no $version" >&2; exit 1; }
fi
"$python" -m venv "$work/build"
"$work/build/bin/pip" install -q build
"$work/build/bin/python" -m build --outdir "$work/dist" . > "$work/log" || { cat "$work/log"; exit 1; }
ls -l "$work/dist"
"$python" -m venv "$work/env"
"$work/env/bin/pip" install -q "$work/dist/s3fd-$version-py3-none-any.whl"
"$work/env/bin/pip" check
mkdir "$work/empty"
cp examples/astronaut.jpg "$work/empty"
cd "$work/empty"
[ "$("$work/env/bin/s3fd" --version)" = "s3fd $version" ]
"$work/env/bin/s3fd" detect astronaut.jpg --draw found | tee answer
grep -q '"faces": \[{"box"' answer
[ -s found/astronaut.jpg ]
mv "$work"/dist/* "$out"
echo "s3fd $version is good to go: $out"
