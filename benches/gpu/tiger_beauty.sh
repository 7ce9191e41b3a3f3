#!/bin/bash
# TIGER and DecoderOnly on Amazon Beauty, trained on one GPU in at most ten minutes.
#
#     python benches/gpu/tiger_beauty.py prepare RUN INPUTS      once; RUN is a run directory
#     OUT=results bash benches/gpu/tiger_beauty.sh INPUTS [SECONDS]
#
# Each word of GROUPS_OF is a process that trains the comma-separated names concurrently. Trainings of one process
# overlap on the GPU; processes take turns. Called again, an interrupted training continues from its checkpoint in
# $WORK. $OUT receives histories with validation metrics, the lists of the test users and the weights of the best
# models; `store.py` measures the lists.
set -u
here=$(cd "$(dirname "$0")" && pwd)
inputs=$1
seconds=${2:-480}
: "${OUT:?set OUT to the folder of the results}" "${WORK:=/tmp/tiger-beauty}" "${PY:=python3}"
: "${GROUPS_OF:=tiger-drop1 decoderonly-seed0}"
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 OMP_NUM_THREADS=2
export CUDA_DEVICE_MAX_CONNECTIONS=32 TORCHINDUCTOR_CACHE_DIR=${TORCHINDUCTOR_CACHE_DIR:-/tmp/inductor}
mkdir -p "$OUT" "$WORK"
for group in $GROUPS_OF; do
    log="$WORK/${group%%,*}.log"
    $PY "$here/tiger_beauty.py" train "$inputs" "$WORK/runs" "$group" --work "$WORK/checkpoints" \
        --seconds "$seconds" ${OPTIONS:-} > "$log" 2>&1 &
done
wait
$PY "$here/tiger_beauty.py" collect "$WORK/runs" "$OUT"
tail -qn 2 "$WORK"/*.log
