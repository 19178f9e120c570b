#!/usr/bin/env bash
# The whole round on a GPU machine, which needs no Rust: correctness of the device room, of every kernel and of every
# network, compute-sanitizer, then timings. Binaries are built beforehand, on any machine:
#
#     benches/gpu_round.sh build               # leaves stripped binaries in target/gpu_round.tar.xz
#     benches/gpu_round.sh run OUT [STEP...]   # runs them; logs and JSON go to the folder OUT
#
# The steps, in this order if none is named: device kernels hopper demo networks int8 shapes streams memcheck latency.
# LIMPID_NETWORKS and LIMPID_BATCHES, lists with commas, narrow the last ones down. A step that fails does not stop those
# after it; the summary says which failed, and the exit status is theirs. Four steps must be named: `micro` measures what
# the chip can do, `ladder` times the kernel ladder, `compile` compiles every kernel for every architecture, `races` has
# compute-sanitizer look for races and misused barriers in Hopper's own kernels, each tactic once; LIMPID_KERNELS names
# others, LIMPID_EXTENT=whole takes all candidates at all sites.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=target/gpu_round

build() {
    set -e
    mkdir -p "$bin"
    cargo test --workspace --release --no-run --message-format=json \
        --test device --test gpu_catalog --test gpu_networks --test gpu_shapes --test gpu_streams --test hopper \
        --test nvrtc_catalog --bench ladder --bench micro |
        python3 -c '
import json, shutil, sys
wanted = {"device", "gpu_catalog", "gpu_networks", "gpu_shapes", "gpu_streams", "hopper", "ladder", "micro", "nvrtc_catalog"}
for line in sys.stdin:
    message = json.loads(line)
    name = message.get("target", {}).get("name")
    if message.get("reason") == "compiler-artifact" and message.get("executable") and name in wanted:
        shutil.copy(message["executable"], f"target/gpu_round/{name}")
'
    # Tests of the root package bring the command along.
    cp target/release/limpid "$bin/"
    strip "$bin"/*
    # Every binary holds the kernels' sources and most of the same code.
    XZ_OPT="-3 -T0" tar cJf "$bin.tar.xz" "$bin"
    ls -lh "$bin" "$bin.tar.xz"
}

step() {
    local name=$1 limit=$2 begin=$SECONDS
    shift 2
    if timeout "$limit" "$@" >"$out/$name.log" 2>&1; then verdict=ok; else verdict="FAILED ($?)"; failed+=("$name"); fi
    printf '%-32s %-12s %4d s\n' "$name" "$verdict" $((SECONDS - begin))
}

zoo() {
    [ -f "$work/$1.onnx" ] || "$bin/limpid" zoo "$1" -o "$work/$1.onnx" >/dev/null
}

memcheck() {
    zoo resnet18
    "$bin/limpid" build "$work/resnet18.onnx" -o "$work/memcheck.engine" --backend cuda --precision fp16 >"$out/memcheck_build.log" 2>&1
    step memcheck 200 compute-sanitizer --tool memcheck --error-exitcode 1 \
        "$bin/limpid" bench "$work/memcheck.engine" --backend cuda --iterations 1 --warmup 1
}

# A kernel at a time: these tools take a hundred times as long as the kernels.
races() {
    local names=${LIMPID_KERNELS:-chain/gemv,chain/wgmma,gemm/wgmma,conv/stem,conv/wgmma} tool kernel
    local -x LIMPID_KERNELS LIMPID_EXTENT=${LIMPID_EXTENT:-least}
    for kernel in ${names//,/ }; do
        LIMPID_KERNELS=$kernel
        for tool in synccheck racecheck; do
            # Left to itself a tool follows as many barriers as the compiler told it of, and 64 were too few.
            step "${tool}_${kernel//\//_}" 120 compute-sanitizer --tool "$tool" --num-cuda-barriers 16384 \
                --error-exitcode 1 "$bin/gpu_catalog" --ignored --nocapture
        done
    done
}

latency() {
    : >"$out/latency.jsonl"
    local network precision batch name
    for network in ${LIMPID_NETWORKS//,/ }; do
        zoo "$network"
        for precision in ${LIMPID_PRECISIONS//,/ }; do
            for batch in ${LIMPID_BATCHES//,/ }; do
                name=${network}_${precision}_b$batch
                # Scales do not change speed, so random numbers will do to calibrate on.
                step "build_$name" 120 "$bin/limpid" build "$work/$network.onnx" -o "$work/$name.engine" \
                    --backend cuda --precision "$precision" --batch "$batch" --timing-cache "$LIMPID_TIMING_CACHE" \
                    --calib random:2 >/dev/null
                step "bench_$name" 60 "$bin/limpid" bench "$work/$name.engine" --backend cuda --json
                cat "$out/bench_$name.log" >>"$out/latency.jsonl"
                rm -f "$out/bench_$name.log" "$out/build_$name.log" "$work/$name.engine"
            done
        done
    done
}

run() {
    out=${1:?name a folder for logs and JSON}
    shift
    local steps=${*:-device kernels hopper demo networks int8 shapes streams memcheck latency}
    work=$bin/work
    failed=()
    # Python unpacks what tar cannot without xz.
    [ -d "$bin" ] || tar xJf "$bin.tar.xz" || python3 -m tarfile -e "$bin.tar.xz"
    mkdir -p "$out" "$work"
    export LIMPID_TIMING_CACHE=$bin/timings.json
    export LIMPID_NETWORKS=${LIMPID_NETWORKS:-mlp,resnet18,resnet50,vgg16,unet,deeplabv3plus,mobilenetv2}
    export LIMPID_BATCHES=${LIMPID_BATCHES:-1,32}
    export LIMPID_PRECISIONS=${LIMPID_PRECISIONS:-fp32,tf32,fp16,int8}
    nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,clocks.max.sm --format=csv >"$out/machine.csv"
    for name in $steps; do
        case $name in
            device) step device 60 "$bin/device" --ignored --test-threads=1 ;;
            kernels) step kernels 300 "$bin/gpu_catalog" --ignored --nocapture ;;
            hopper) step hopper 120 "$bin/hopper" --ignored --exact the_gpu_agrees ;;
            micro) step micro 120 "$bin/micro" "$out/micro.json" ;;
            ladder) step ladder 180 "$bin/ladder" measure "$out/ladder.json" ;;
            compile) step compile 500 "$bin/nvrtc_catalog" all ;;
            demo) step demo 90 "$bin/limpid" demo ;;
            networks) step networks 560 "$bin/gpu_networks" --ignored --nocapture every_network ;;
            int8) step int8 560 "$bin/gpu_networks" --ignored --nocapture int8 ;;
            shapes) step shapes 560 "$bin/gpu_shapes" --ignored --nocapture --test-threads=1 ;;
            streams) step streams 300 "$bin/gpu_streams" --ignored --nocapture --test-threads=1 ;;
            memcheck | latency | races) "$name" ;;
            *) echo "no step is called $name" >&2; exit 2 ;;
        esac
    done
    echo "failed: ${failed[*]:-none}"
    [ ${#failed[@]} -eq 0 ]
}

case ${1:-} in
    build) build ;;
    run) shift; run "$@" ;;
    *) sed -n '2,13p' "$0"; exit 2 ;;
esac
