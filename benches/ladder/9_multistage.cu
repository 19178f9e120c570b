// Four stages: a copy has three steps of time to arrive, as long as memory takes, instead of one. And with more than two
// stages one barrier a step is enough, because the stage that is filled next was read a step ago.
//
// Grid   x: 128 columns, y: 128 rows
// Shared STAGES stages of both tiles
constexpr int STAGES = 4, STAGE = SIZE_A + SIZE_B;

extern "C" __global__ void __launch_bounds__(THREADS)
product(const f16* __restrict__ x, const f16* __restrict__ b, f16* __restrict__ y, const Params p) {
    DYNAMIC_SHARED(uint4, stages);
    const LEFT a = {x, p};
    WarpTile<Swizzled> warp;
    for (int stage = 0; stage < STAGES - 1; ++stage) {
        start_copy<Swizzled>(stages + stage * STAGE, a, b, p, stage * BLOCK_K);
        cp_async_commit_group();
    }
    int reading = 0;
    for (int k = 0; k < p.k; k += BLOCK_K) {
        // A group is committed at every step, empty or not, so this always means: this step's tiles are there.
        cp_async_wait_group<STAGES - 2>();
        __syncthreads();
        const int filling = reading == 0 ? STAGES - 1 : reading - 1;
        start_copy<Swizzled>(stages + filling * STAGE, a, b, p, k + (STAGES - 1) * BLOCK_K);
        cp_async_commit_group();
        const uint4* const stage = stages + reading * STAGE;
        warp.multiply(stage, stage + SIZE_A);
        reading = reading + 1 == STAGES ? 0 : reading + 1;
    }
    warp.store(y, p);
}
