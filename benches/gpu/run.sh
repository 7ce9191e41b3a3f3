#!/bin/bash
# Device tests, training throughput, beam search and masks on one GPU, in at most eight minutes.
#
#     benches/gpu/run.sh OUT.json                 on a GPU
#     DEVICE=cpu benches/gpu/run.sh OUT.json      a check of the script, with small sizes
#
# PY is the Python to use; it needs sidkit with the extras `train` and `transformers`, pytest and hypothesis.
set -euo pipefail
out=$(realpath -m "${1:?usage: benches/gpu/run.sh OUT.json}")
cd "$(dirname "$0")/../.."
export DEVICE=${DEVICE:-cuda} PYTHONPATH="python:.${PYTHONPATH:+:$PYTHONPATH}"
PY=${PY:-python3}
case $DEVICE in
    cuda) size=full ;;
    cpu) size=small ;;
    *) echo "DEVICE must be cuda or cpu, got $DEVICE" >&2; exit 2 ;;
esac
tests=$(mktemp)
trap 'rm -f "$tests"' EXIT
failed=0
timeout 150 "$PY" -m pytest -q -p no:cacheprovider --junit-xml "$tests" \
    tests/train/test_device.py tests/decode/test_device.py tests/decode/test_tensors.py tests/models/test_dropout.py ||
    failed=1
timeout 330 "$PY" benches/gpu/device.py --device "$DEVICE" --size "$size" --tests "$tests" --out "$out" || failed=1
exit "$failed"
