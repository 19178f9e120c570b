// How chain/wgmma is fed: the ring of stages between the thread that copies and the warpgroups that multiply, through
// which the steps of all layers go one after another. Blocks of a cluster fill each other's stages: each copies its part
// of a tile of weights to all of them, and a stage is free when every block has multiplied it.
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
    unsigned char* between;  // BLOCK_M rows of PITCH bytes
    uint64_t* full;          // the copies have come
    uint64_t* empty;         // every warp of every block of the cluster has multiplied it
    int blocks, rank;        // of the cluster; this one among them

    __device__ __forceinline__ explicit Ring(unsigned char* shared)
        : stages(shared), blocks(cluster_nctarank()), rank(cluster_ctarank()) {
        between = shared + STAGES * STAGE_BYTES;
        full = reinterpret_cast<uint64_t*>(between + BLOCK_M * PITCH);
        empty = full + STAGES;
    }
    __device__ __forceinline__ void initialise() const {
        if (threadIdx.x == 0) {
            for (int i = 0; i < STAGES; ++i) {
                mbarrier_init(full + i, 1);
                mbarrier_init(empty + i, blocks * CONSUMERS / 32);
            }
            fence_mbarrier_init();
        }
        __syncthreads();
        arrive();
    }
    // All threads of the cluster meet, as soon as the first ones wait.
    __device__ __forceinline__ void arrive() const {
        if (blocks > 1) barrier_cluster_arrive_relaxed();
    }
    __device__ __forceinline__ void wait() const {
        if (blocks > 1) barrier_cluster_wait();
    }
    // By each warp, when it has multiplied a stage.
    __device__ __forceinline__ void release(int stage) const {
        const int lane = threadIdx.x % 32;
        if (blocks == 1) {
            if (lane == 0) mbarrier_arrive(empty + stage);
        } else if (lane < blocks) {
            mbarrier_arrive_cluster_read(mapa(empty + stage, lane));
        }
    }
    __device__ __forceinline__ void wait_empty(const Place& place) const {
        mbarrier_wait(empty + place.stage, place.parity ^ 1);
    }
};

// The steps of all layers, one after another.
struct Steps {
    const ChainParams& p;
    int layer = 0, step = 0;

    __device__ __forceinline__ explicit Steps(const ChainParams& p_) : p(p_) {}
    __device__ __forceinline__ bool any() const { return layer < p.count; }
    __device__ __forceinline__ void advance() {
        if (++step == p.layers[layer].steps) step = 0, ++layer;
    }
};

// One thread keeps the ring filled.
struct Producer {
    const Ring& ring;
    const TensorMap &a, &w0, &w1, &w2;

    // The first stages as far as no other block is needed: it may not have begun.
    __device__ __forceinline__ void begin(const ChainParams& p) const {
        int stage = 0;
#pragma unroll 1
        for (Steps steps(p); steps.any() && stage < STAGES; steps.advance()) begin(stage++, steps);
    }
    // All others, when every block has begun.
    __device__ __forceinline__ void run(const ChainParams& p) const {
        Place place;
        int begun = STAGES;
#pragma unroll 1
        for (Steps steps(p); steps.any(); steps.advance()) {
            if (begun > 0) {
                --begun;
            } else {
                ring.wait_empty(place);
                begin(place.stage, steps);
            }
            load_weights(place.stage, steps);
            place.advance();
        }
    }

  private:
    // Says what will come, and asks for the rows.
    __device__ __forceinline__ void begin(int stage, const Steps& steps) const {
        const int weights = 2 * steps.p.layers[steps.layer].width * ROW_BYTES;
        mbarrier_arrive_expect_tx(ring.full + stage, weights + (steps.layer == 0 ? A_BYTES : 0));
        if (steps.layer > 0) return;
#pragma unroll
        for (int box = 0; box < BOXES; ++box) {
            const int at[2] = {(steps.step * BOXES + box) * (STEP / BOXES), static_cast<int>(blockIdx.x) * BLOCK_M};
            cp_async_bulk_tensor_load(ring.stages + stage * STAGE_BYTES + box * BOX_BYTES, &a, at, ring.full + stage);
        }
    }
    // This block's part of a tile of weights, for every block of the cluster.
    __device__ __forceinline__ void load_weights(int stage, const Steps& steps) const {
        uint64_t* const full = ring.full + stage;
        const int part = 2 * steps.p.layers[steps.layer].width / ring.blocks * ring.rank;
        unsigned char* const to = ring.stages + stage * STAGE_BYTES + A_BYTES + part * ROW_BYTES;
        const int at[2] = {steps.step * STEP, part};
        if (steps.layer == 0) load(to, w0, at, full);
        if (steps.layer == 1) load(to, w1, at, full);
        if (steps.layer == 2) load(to, w2, at, full);
    }
    __device__ __forceinline__ void load(unsigned char* to, const TensorMap& map, const int (&at)[2],
                                         uint64_t* full) const {
        if (ring.blocks == 1) {
            cp_async_bulk_tensor_load(to, &map, at, full);
        } else {
            cp_async_bulk_tensor_load_multicast(to, &map, at, full, (1 << ring.blocks) - 1);
        }
    }
};
