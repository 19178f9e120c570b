#!/usr/bin/env bash
# The whole round on a GPU machine, which needs no Rust: correctness of the device room, of every kernel and of every
# network, compute-sanitizer, then timings. Binaries are built beforehand, on any machine:
#
#     benches/gpu_round.sh build     # leaves stripped binaries in target/gpu_round/
#     benches/gpu_round.sh run OUT   # runs them; logs and JSON go to the folder OUT
#
# A step that fails does not stop those after it; the summary says which failed, and the exit status is theirs.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=target/gpu_round

build() {
    set -e
    mkdir -p "$bin"
    cargo build --release --bin limpid
    cp target/release/limpid "$bin/"
    cargo test --workspace --release --no-run --message-format=json |
        python3 -c '
import json, shutil, sys
wanted = {"device", "gpu_catalog", "gpu_networks"}
for line in sys.stdin:
    message = json.loads(line)
    name = message.get("target", {}).get("name")
    if message.get("reason") == "compiler-artifact" and message.get("executable") and name in wanted:
        shutil.copy(message["executable"], f"target/gpu_round/{name}")
'
    strip "$bin"/*
    ls -l "$bin"
}

run() {
    out=${1:?name a folder for logs and JSON}
    mkdir -p "$out"
    failed=()
    step() {
        local name=$1 limit=$2
        shift 2
        local begin=$SECONDS
        if timeout "$limit" "$@" >"$out/$name.log" 2>&1; then verdict=ok; else verdict="FAILED ($?)"; failed+=("$name"); fi
        printf '%-24s %-12s %4d s\n' "$name" "$verdict" $((SECONDS - begin))
    }
    nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,clocks.max.sm --format=csv >"$out/machine.csv"
    step device 60 "$bin/device" --ignored --test-threads=1
    step gpu_catalog 150 "$bin/gpu_catalog" --ignored --nocapture
    step demo 90 "$bin/limpid" demo
    step gpu_networks 240 "$bin/gpu_networks" --ignored --nocapture
    local work
    work=$(mktemp -d)
    "$bin/limpid" zoo resnet18 -o "$work/resnet18.onnx" >/dev/null
    "$bin/limpid" build "$work/resnet18.onnx" -o "$work/resnet18.engine" --precision fp16 >"$out/build.log" 2>&1
    step memcheck 120 compute-sanitizer --tool memcheck --error-exitcode 1 \
        "$bin/limpid" bench "$work/resnet18.engine" --iterations 1 --warmup 1
    : >"$out/latency.jsonl"
    for network in mlp resnet18 resnet50 vgg16 unet deeplabv3plus mobilenetv2; do
        "$bin/limpid" zoo "$network" -o "$work/$network.onnx" >/dev/null
        for precision in fp32 tf32 fp16; do
            for batch in 1 32; do
                step "bench_${network}_${precision}_b$batch" 60 "$bin/limpid" bench "$work/$network.onnx" \
                    --precision "$precision" --batch "$batch" --json
                cat "$out/bench_${network}_${precision}_b$batch.log" >>"$out/latency.jsonl"
                rm -f "$out/bench_${network}_${precision}_b$batch.log"
            done
        done
    done
    rm -rf "$work"
    tail -n 60 "$out/gpu_networks.log"
    echo "failed: ${failed[*]:-none}"
    [ ${#failed[@]} -eq 0 ]
}

case ${1:-} in
    build) build ;;
    run) run "${2:-}" ;;
    *) sed -n '2,9p' "$0"; exit 2 ;;
esac
