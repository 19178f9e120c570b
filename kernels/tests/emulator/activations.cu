// y[i] = activate(x[i]) by the exact way of INT8 epilogues.
#include "include/activation.cuh"

extern "C" __global__ void __launch_bounds__(256)
    activations(const float* __restrict__ x, float* __restrict__ y, const ActivationParams f, int count) {
    const int i = blockIdx.x * 256 + threadIdx.x;
    if (i < count) y[i] = activate<Exact>(f, x[i]);
}
