#!/usr/bin/env bash
# The bundled weights in one command, from the data packs: about thirteen hours on two CPU cores.
#
#   tools/make_weights.sh DATA face_detection_yunet.onnx faceres.onnx vectors.npz OUT
#
# DATA holds the unpacked sets that the configurations name. DATA/backgrounds is what tools/make_clutter.py composes
# of things and places that are not among them; DATA/clipart the same, with clip art. faceres.onnx, which
# tools/tfjs_to_onnx.py makes, labels the gender of faces in crowds; in the last stage vectors.npz does, which
# tools/teacher_vectors.py writes for the embedding.
#
# OUT receives a folder per stage and, at the end, slim.safetensors and slim.onnx. If the script was stopped, run the
# same command again and it resumes.
set -euo pipefail
data=$1 teacher=$2 gender_teacher=$3 vectors=$4 out=$5
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
others=(--others "$data/wider_train_subset" --others "$data/group_photos/images" --others "$data/masked_faces/images")
[ -f "$out/gender/weights.safetensors" ] ||
  s3fd finetune "$data/labelled/train.csv" --images "$data" --target "$gender" --out "$out/gender" \
    --config "$here/configs/finetune/gender-joint.yaml" --weights "$out/slim-640/weights.safetensors" "${others[@]}"
[ -f "$data/labelled/crowds.csv" ] ||
  python "$here/tools/pseudo_labels.py" "$data" "$data/labelled/crowds.csv" --teacher "$gender_teacher" \
    --labels "$data/labelled/train.csv" wider_train_subset group_photos masked_faces

learn_gender() { # STAGE: the branch, and stages with it, learn on from $from, which is then what came of it
  [ -f "$out/$1/weights.safetensors" ] ||
    s3fd finetune "$data/labelled/crowds.csv" --images "$data" --target "$gender" --out "$out/$1" \
      --config "$here/configs/finetune/$1.yaml" --weights "$from" "${hold[@]}" "${others[@]}"
  from=$out/$1/weights.safetensors
}
from=$out/gender/weights.safetensors hold=()
for stage in gender-crowds gender-held gender-further; do
  if [ $stage = gender-held ]; then
    hold=(--hold "$out/slim-640/weights.safetensors")
    python "$here/tools/mix_weights.py" "$from" "${hold[1]}" "$out/gender-back.safetensors" --share 0.4
    from=$out/gender-back.safetensors
  elif [ $stage = gender-further ]; then
    hold=()
    others+=(--others "$data/lfw_subset/images")
  fi
  learn_gender $stage
done
gender_of=$from

further() { # STAGE FROM: the detector learns on from the weights of another stage
  [ -f "$out/$1/weights.safetensors" ] ||
    s3fd train "$here/configs/$1.yaml" --data "$data" --out "$out/$1" --from "$2"
}
mix() { # A B OUT SHARE [--all]
  python "$here/tools/mix_weights.py" "$1" "$2" "$3" --share "$4" "${@:5}"
}
further slim-statistics "$gender_of"
further slim-whole "$out/slim-statistics/weights.safetensors"
further slim-dropped "$out/slim-statistics/weights.safetensors"
further slim-framed "$out/slim-whole/weights.safetensors"
further slim-tilted "$out/slim-whole/weights.safetensors"
mix "$out"/slim-{whole,tilted}/weights.safetensors "$out/two.safetensors" 0.5
mix "$out"/slim-{dropped,framed}/weights.safetensors "$out/other-two.safetensors" 0.5
mix "$out"/{two,other-two}.safetensors "$out/mean.safetensors" 0.5
mix "$gender_of" "$out/mean.safetensors" "$out/joined.safetensors" 0 # its gender with that detector
from=$out/joined.safetensors hold=()
for stage in gender-last gender-fine gender-finer; do
  [ $stage = gender-finer ] && hold=(--hold "$out/gender-last/weights.safetensors")
  learn_gender $stage
done
further slim-heads "$from"
mix "$from" "$out/slim-heads/weights.safetensors" "$out/before.safetensors" 0.5 # and the gender of the first
from=$out/before.safetensors hold=(--hold "$out/before.safetensors")
for stage in gender-loose gender-firm; do learn_gender $stage; done
mix "$from" "$out/before.safetensors" "$out/whole.safetensors" 0.65 --all
singles=$data/labelled/singles.csv # the women of LFW twice: the second time in a folder that is a link to the first
[ -e "$data/again" ] || ln -s . "$data/again"
if [ ! -f "$singles" ]; then
  python "$here/tools/vector_labels.py" "$vectors" "$data/labelled/train.csv" "$singles.part" \
    --skip "$data/labelled/test.csv" "$data/labelled/calibration.csv"
  { cat "$singles.part"; grep ',0,lfw_subset,F,' "$singles.part" | sed 's,^,again/,'; } > "$singles"
fi
more=$data/labelled/singles-more.csv # and two sets twice as well
[ -f "$more" ] ||
  { cat "$singles"; grep -E ',0,(aligned|group)_crops,[FM],' "$singles.part" | sed 's,^,again/,'; } > "$more"
single() { # STAGE TABLE FROM: the branch learns single faces beside the detector as it is
  [ -f "$out/$1/weights.safetensors" ] ||
    s3fd finetune "$2" --images "$data" --target "$gender" --out "$out/$1" \
      --config "$here/configs/finetune/$1.yaml" --weights "$3"
}
single gender-single "$singles" "$out/whole.safetensors"
single gender-single-more "$more" "$out/gender-single/weights.safetensors"
mix "$out"/gender-single{,-more}/weights.safetensors "$out/singles.safetensors" 0.5 --all
single gender-large "$more" "$out/singles.safetensors"
single gender-large-more "$more" "$out/gender-large/weights.safetensors"
mix "$out"/gender-large{,-more}/weights.safetensors "$out/told.safetensors" 0.5 --all
s3fd weights calibrate "$out/told.safetensors" "$data/labelled/calibration.csv" --images "$data" \
  --target "$gender" --size original --out "$out/slim.safetensors"
s3fd export onnx "$out/slim.safetensors" --out "$out/slim.onnx"
