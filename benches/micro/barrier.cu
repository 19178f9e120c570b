// benches/micro/barrier: a barrier of the whole grid made by hand, as a kernel that walks a network's layers would need.
//
// Every block must be on the chip at once: one block a multiprocessor. `counter` only ever grows, by one a block and
// round, so it need not be reset between launches; a round ends when it reaches the next multiple of the blocks.
#include "include/ptx.cuh"

__device__ __forceinline__ void grid_barrier(uint32_t* counter) {
    __syncthreads();
    if (threadIdx.x == 0) {
        // What the block has written is there for whoever sees its arrival.
        __threadfence();
        const uint32_t ticket = atomicAdd(counter, 1u);
        const uint32_t target = (ticket / gridDim.x + 1) * gridDim.x;
        const volatile uint32_t* const now = counter;
        while (static_cast<int32_t>(*now - target) < 0) {
        }
        __threadfence();
    }
    __syncthreads();
}

extern "C" __global__ void __launch_bounds__(1024) rounds(uint32_t* counter, const uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) grid_barrier(counter);
}
