#!/usr/bin/env bash
# The bundled weights in one command, from the data packs: about five hours on two CPU cores.
#
#   tools/make_weights.sh DATA face_detection_yunet.onnx OUT
#
# DATA holds the unpacked sets that the configurations name. Every stage that was stopped goes on where it was when
# the same command runs again; OUT receives a folder a stage, and slim.safetensors and slim.onnx in the end.
set -euo pipefail
data=$1 teacher=$2 out=$3
here=$(dirname "$0")/..
gender=Gender:F=female,M=male
sets=(group_photos masked_faces lfw_subset)
options=("--labels $data/group_photos/bbx_gt.txt" "--labels $data/masked_faces/bbx_gt.txt" "--sizes 160 320 512")
for i in "${!sets[@]}"; do
  boxes=$data/relabelled/${sets[i]}.txt
  # shellcheck disable=SC2086  # the options are several words
  [ -f "$boxes" ] || python "$here/tools/relabel.py" "$data/${sets[i]}/images" "$boxes" --teacher "$teacher" ${options[i]}
done
[ -f "$data/labelled/train.csv" ] || python "$here/tools/locate_faces.py" "$data" "$data/labelled" \
  --teacher "$teacher" portraits group_crops aligned_crops lfw_subset masked_faces

from=()
for stage in slim slim-quality slim-relabelled slim-640; do
  [ -f "$out/$stage/weights.safetensors" ] ||
    s3fd train "$here/configs/$stage.yaml" --data "$data" --out "$out/$stage" "${from[@]}"
  from=(--from "$out/$stage/weights.safetensors")
done
s3fd finetune "$data/labelled/train.csv" --images "$data" --target "$gender" --out "$out/gender" \
  --config "$here/configs/finetune/gender-branch.yaml" --weights "$out/slim-640/weights.safetensors"
s3fd weights calibrate "$out/gender/weights.safetensors" "$data/labelled/calibration.csv" --images "$data" \
  --target "$gender" --size original --out "$out/slim.safetensors"
s3fd export onnx "$out/slim.safetensors" --out "$out/slim.onnx"
