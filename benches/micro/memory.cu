// benches/micro/memory: how fast bytes come and go.
//
// A working set of `vectors` 16-byte vectors is gone through `passes` times by the whole grid, neighbouring threads at
// neighbouring vectors. WAY: 0 reads, 1 writes, 2 copies the first half to the second. Reads go past L1 (ld.global.cg),
// eight of a thread under way at once; their sum is stored, or the compiler would leave them out.
#include "include/ptx.cuh"

constexpr int AHEAD = 8;

__device__ __forceinline__ void add(uint4& sum, const uint4& x) {
    sum.x ^= x.x, sum.y ^= x.y, sum.z ^= x.z, sum.w ^= x.w;
}

extern "C" __global__ void __launch_bounds__(512)
move(uint4* memory, uint4* sink, const uint32_t vectors, const uint32_t passes) {
    const uint32_t threads = gridDim.x * blockDim.x, thread = blockIdx.x * blockDim.x + threadIdx.x;
    const uint32_t count = WAY == 2 ? vectors / 2 : vectors;
    uint4 sum = make_uint4(thread, 0, 0, 0);
    for (uint32_t pass = 0; pass < passes; ++pass) {
        for (uint32_t first = thread; first < count; first += AHEAD * threads) {
            uint4 x[AHEAD];
#pragma unroll
            for (uint32_t i = 0; i < AHEAD; ++i) {
                const uint32_t at = first + i * threads;
                x[i] = WAY != 1 && at < count ? __ldcg(memory + at) : sum;
            }
#pragma unroll
            for (uint32_t i = 0; i < AHEAD; ++i) {
                const uint32_t at = first + i * threads;
                if (WAY == 0) {
                    add(sum, x[i]);
                } else if (at < count) {
                    memory[WAY == 2 ? count + at : at] = x[i];
                }
            }
        }
        sum.x += pass;
    }
    sink[thread] = sum;
}
