// How chain/wgmma is fed: the ring of stages between the thread that copies and the warpgroups that multiply, through
// which the steps of all layers go one after another.
#pragma once

// A stage and the parity of its barrier's phase, which turns with every round.
struct Place {
    int stage = 0;
    uint32_t parity = 0;

    __device__ __forceinline__ void advance() {
        if (++stage == STAGES) stage = 0, parity ^= 1;
    }
};

struct Ring {
    unsigned char* stages;
    unsigned char* between;  // what a layer hands on; at last the block's rows of y
    uint64_t* full;          // the copies have come
    uint64_t* empty;         // every warp has multiplied it

    __device__ __forceinline__ explicit Ring(unsigned char* shared) : stages(shared) {
        between = shared + STAGES * STAGE_BYTES;
        full = reinterpret_cast<uint64_t*>(between + BETWEEN_BYTES);
        empty = full + STAGES;
    }
    // By one thread.
    __device__ __forceinline__ void initialise() const {
        for (int i = 0; i < STAGES; ++i) {
            mbarrier_init(full + i, 1);
            mbarrier_init(empty + i, CONSUMERS / 32);
        }
        fence_mbarrier_init();
    }
    // By each warp, when it has multiplied a stage.
    __device__ __forceinline__ void release(int stage) const {
        if (threadIdx.x % 32 == 0) mbarrier_arrive(empty + stage);
    }
    __device__ __forceinline__ void wait_empty(const Place& place) const {
        mbarrier_wait(empty + place.stage, place.parity ^ 1);
    }
};

// One thread keeps the ring filled. A stage's rows and weights are asked for together: copies are served in turn, and
// the first stage is what everybody waits for.
struct Producer {
    const Ring& ring;
    const TensorMap &a, &w0, &w1, &w2;
    Place place = {};
    int layer = 0, step = 0;

    // Asks for the next steps, `most` of them if there are so many, each as soon as its stage is free.
    __device__ __forceinline__ void run(const ChainParams& p, int most) {
#pragma unroll 1
        for (; layer < p.count && most > 0; --most) {
            ring.wait_empty(place);
            load(p);
            place.advance();
            if (++step == p.layers[layer].steps) step = 0, ++layer;
        }
    }

  private:
    __device__ __forceinline__ void load(const ChainParams& p) const {
        uint64_t* const full = ring.full + place.stage;
        unsigned char* const stage = ring.stages + place.stage * STAGE_BYTES;
        const int weights = 2 * p.layers[layer].width * ROW_BYTES;
        mbarrier_arrive_expect_tx(full, weights + (layer == 0 ? A_BYTES : 0));
        const int at[2] = {step * STEP, 0};
        cp_async_bulk_tensor_load(stage + A_BYTES, layer == 0 ? &w0 : layer == 1 ? &w1 : &w2, at, full);
        if (layer > 0) return;
        // Weights nobody writes, rows the kernel before may.
        if (step == 0) griddepcontrol_wait();
#pragma unroll
        for (int box = 0; box < BOXES; ++box) {
            const int at[2] = {(step * BOXES + box) * (STEP / BOXES), static_cast<int>(blockIdx.x) * BLOCK_M};
            cp_async_bulk_tensor_load(stage + box * BOX_BYTES, &a, at, full);
        }
    }
};
