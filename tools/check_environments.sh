#!/usr/bin/env bash
# The README's main job, fast tests and Ray in a fresh environment of each Python, with the newest versions of what the
# project depends on, or with --lowest the lowest that pyproject.toml allows (and those that pip would choose with them):
#
#   tools/check_environments.sh python3.10 python3.13
#   tools/check_environments.sh --lowest python3.10
#
# Needs uv (pip install uv). Training, OpenVINO and 8-bit integers are left out: PyTorch's lowest version comes with
# gigabytes for GPUs. The whole suite, with them, is the README's test command.
set -euo pipefail
cd "$(dirname "$0")/.."
resolution=highest
if [ "${1:-}" = --lowest ]; then
  resolution=lowest-direct
  shift
fi
[ $# -gt 0 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
inference=(batches classify detector draw job pictures postprocess pyramid resize sources threads tiles voting writers)
tests=(tests/data tests/test_boxes.py tests/test_faces.py tests/test_package.py tests/test_safe_loading.py)
for name in "${inference[@]}"; do tests+=("tests/inference/test_$name.py"); done
for python in "$@"; do
  echo "== $python, $resolution"
  case $python in *3.14*) ray= ;; *) ray=,ray ;; esac  # Ray has no wheels for 3.14 yet
  rm -rf "$work/env"
  uv venv -q --python "$python" "$work/env"
  uv pip install -q --python "$work/env/bin/python" --resolution "$resolution" \
    ".[eval,parquet,remote,serve,video,archive$ray]" 'hypothesis>=6.100' 'onnx>=1.16' 'pytest>=8'
  (cd "$work" && env/bin/s3fd detect "$OLDPWD/examples/astronaut.jpg" --draw found) | tee "$work/answer"
  grep -q '"faces": \[{"box"' "$work/answer" && [ -f "$work/found/astronaut.jpg" ]
  (cd "$work" && for command in anonymize track eval classify serve gallery; do
    env/bin/s3fd "$command" --help > "$work/help" || { cat "$work/help"; exit 1; }
  done)
  "$work/env/bin/python" -m pytest -q -p no:cacheprovider -m 'not slow' "${tests[@]}"
  "$work/env/bin/python" -m pytest -q -p no:cacheprovider -m 'not slow' tests/archive
  [ -z "$ray" ] || (cd "$work" && rm -rf found && env/bin/s3fd detect "$OLDPWD/examples" --output found --engine ray)
done
