// benches/micro/launches: what lies between two kernels of a CUDA graph.
//
// Each thread is busy for `clocks` clocks, then stores a number nobody reads. TRIGGER says when the grid behind may
// start: 0 never said (it starts when this one has ended), 1 first thing, 2 when the work is done.
#include "include/ptx.cuh"

extern "C" __global__ void __launch_bounds__(128) busy(uint32_t* __restrict__ y, const uint32_t clocks) {
#if TRIGGER == 1
    griddepcontrol_launch_dependents();
#endif
#if TRIGGER
    griddepcontrol_wait();
#endif
    const int64_t begin = clock64();
    while (clock64() - begin < clocks) {
    }
#if TRIGGER == 2
    griddepcontrol_launch_dependents();
#endif
    y[blockIdx.x * blockDim.x + threadIdx.x] = threadIdx.x;
}
