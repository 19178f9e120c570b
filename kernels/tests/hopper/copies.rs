//! Tensor copies against their definition, and the rest of what Hopper brought.

use crate::machine::Machine;
use crate::small;
use limpid_graph::tensor::DType;
use limpid_kernels::emulator::{Buffer, EmulatorError, Memory};
use limpid_kernels::launch::{Arg, CompileUnit, Launch, Role};
use limpid_kernels::tensor_map::{Swizzle, TensorAccess, TensorMap};

const TEXT: &str = include_str!("copies.cu");
const X: Role = Role::Input(0);
const Y: Role = Role::Output(0);
const Z: Role = Role::Output(1);

fn launch(entry: &str, defines: &[(&str, u32)], grid: u32, block: u32, shared_bytes: u32, args: Vec<Arg>) -> Launch {
    let unit = CompileUnit::new("tests/copies.cu", entry, defines.iter().copied());
    let (grid, block, dependent) = ([grid, 1, 1], [block, 1, 1], entry == "dependent");
    Launch { unit, grid, block, cluster: Launch::ALONE, shared_bytes, args, dependent }
}

/// A box that is copied from `at`, and for im2col the filter tap.
struct BoxCase {
    map: TensorMap,
    at: Vec<i32>,
    offsets: Vec<i32>,
    store: bool,
}

/// Rows of the box in the order in which they lie in shared memory: the coordinates of their first elements.
fn rows(case: &BoxCase) -> Vec<Vec<i64>> {
    let map = &case.map;
    let at: Vec<i64> = case.at.iter().map(|&c| c.into()).collect();
    match &map.access {
        TensorAccess::Tiled { extents } => {
            let mut rows = vec![at];
            for d in 1..map.dims.len() {
                let steps = (0..extents[d]).step_by(map.element_strides[d] as usize);
                rows = steps
                    .flat_map(|step| {
                        let moved = |row: &Vec<i64>| {
                            let mut row = row.clone();
                            row[d] += i64::from(step);
                            row
                        };
                        rows.iter().map(moved).collect::<Vec<_>>()
                    })
                    .collect();
            }
            rows
        }
        TensorAccess::Im2col { lower, upper, pixels, .. } => {
            let spatial = map.dims.len() - 2;
            // Every pixel of the bounding box of every image, in order, from the first one on.
            let mut pixel = at;
            let mut rows = Vec::new();
            for _ in 0..*pixels {
                let mut row = pixel.clone();
                (0..spatial).for_each(|s| row[s + 1] += i64::from(case.offsets[s]));
                rows.push(row);
                let mut d = 1;
                while d <= spatial {
                    pixel[d] += i64::from(map.element_strides[d]);
                    if pixel[d] < map.dims[d] as i64 + i64::from(upper[d - 1]) {
                        break;
                    }
                    pixel[d] = lower[d - 1].into();
                    d += 1;
                }
                if d > spatial {
                    pixel[d] += 1;
                }
            }
            rows
        }
    }
}

impl BoxCase {
    /// Runs it, and holds what came to what it should be.
    fn check(&self, machine: &dyn Machine) {
        self.run(machine).unwrap_or_else(|error| panic!("{:?}: {error}", self.map));
    }

    fn run(&self, machine: &dyn Machine) -> Result<(), EmulatorError> {
        let map = &self.map;
        let size = map.dtype.size();
        let rank = map.dims.len();
        let bytes_of = |d: usize| if d == 0 { size as u64 } else { map.strides[d - 1] };
        let total = map.dims[rank - 1] * bytes_of(rank - 1);
        let data: Vec<u8> = (0..total).map(|i| (i * 37 + i / 256 * 11 + 5) as u8 | 1).collect();
        let bytes = map.copy_bytes() as usize;
        let step = if matches!(map.access, TensorAccess::Tiled { .. }) { map.element_strides[0] } else { 1 };
        let rows = rows(self);
        let row_bytes = bytes / rows.len();
        let mut want = vec![0u8; bytes];
        let mut stored = vec![0xffu8; total as usize];
        for (r, row) in rows.iter().enumerate() {
            for i in 0..row_bytes / size {
                let mut place = row.clone();
                place[0] += (i * step as usize) as i64;
                let inside = place.iter().zip(&map.dims).all(|(&p, &extent)| p >= 0 && (p as u64) < extent);
                let linear = r * row_bytes + i * size;
                let swizzled = match map.swizzle.span() {
                    Some(span) => linear ^ ((linear >> 7) & (span as usize / 16 - 1)) << 4,
                    None => linear,
                };
                if inside {
                    let from: u64 = place.iter().enumerate().map(|(d, &p)| p as u64 * bytes_of(d)).sum();
                    let from = from as usize..from as usize + size;
                    want[swizzled..swizzled + size].copy_from_slice(&data[from.clone()]);
                    stored[from.clone()].copy_from_slice(&data[from]);
                }
            }
        }
        let mut params: Vec<i32> = self.at.clone();
        params.resize(5, 0);
        params.extend(&self.offsets);
        params.resize(8, 0);
        params.push(bytes as i32);
        let im2col = matches!(map.access, TensorAccess::Im2col { .. });
        let defines =
            [("RANK", rank as u32), ("IM2COL", u32::from(im2col)), ("STORE", u32::from(self.store)), ("TRANS", 0)];
        let back = TensorMap { role: Z, ..map.clone() };
        let args = vec![
            Arg::TensorMap(map.clone()),
            Arg::TensorMap(back),
            Arg::Pointer(Y),
            Arg::Bytes(bytemuck::cast_slice(&params).to_vec()),
        ];
        let launch = launch("box", &defines, 1, 64, bytes as u32 + 64, args);
        let mut memory =
            Memory::from([(X, Buffer::input(data)), (Y, Buffer::output(bytes)), (Z, Buffer::output(total as usize))]);
        machine.run(TEXT, &launch, &mut memory)?;
        let first = memory[&Y].bytes.iter().zip(&want).position(|(g, w)| g != w);
        assert_eq!(first, None, "{map:?} at {:?}: byte of the box that is wrong", self.at);
        if self.store {
            let first = memory[&Z].bytes.iter().zip(&stored).position(|(g, w)| g != w);
            assert_eq!(first, None, "{map:?} at {:?}: byte that was stored wrong", self.at);
        }
        Ok(())
    }
}

/// A dense tensor whose lines are padded to 16 bytes.
fn dense(dtype: DType, dims: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let mut strides = Vec::new();
    let mut stride = (dims[0] * dtype.size() as u64).next_multiple_of(16);
    for &extent in &dims[1..] {
        strides.push(stride);
        stride *= extent;
    }
    (dims.to_vec(), strides)
}

/// Stored back, too, unless it begins outside, which no store may.
fn tiled(dtype: DType, dims: &[u64], extents: &[u32], at: &[i32], swizzle: Swizzle) -> BoxCase {
    let (dims, strides) = dense(dtype, dims);
    let map = TensorMap::tiled(X, dtype, &dims, &strides, extents, swizzle);
    BoxCase { map, at: at.to_vec(), offsets: Vec::new(), store: at.iter().all(|&c| c >= 0) }
}

/// A convolution's input (C, W, …, N): a 3-wide kernel, padded by 1, with this stride and dilation.
fn im2col(dims: &[u64], step: u32, dilation: i32, at: &[i32], tap: i32, channels: u32, pixels: u32) -> BoxCase {
    let (dims, strides) = dense(DType::F16, dims);
    let spatial = dims.len() - 2;
    let mut element_strides = vec![step; dims.len()];
    element_strides[0] = 1;
    element_strides[dims.len() - 1] = 1;
    let access = TensorAccess::Im2col {
        lower: vec![-dilation; spatial],
        upper: vec![dilation - 2 * dilation; spatial],
        channels,
        pixels,
    };
    let swizzle = if channels == 64 { Swizzle::B128 } else { Swizzle::B32 };
    let map = TensorMap { role: X, offset: 0, dtype: DType::F16, dims, strides, access, element_strides, swizzle };
    BoxCase { map, at: at.to_vec(), offsets: vec![tap * dilation; spatial], store: false }
}

fn boxes() -> Vec<BoxCase> {
    let mut strided = tiled(DType::F32, &[64, 9], &[16, 6], &[4, 1], Swizzle::B64);
    strided.map.element_strides = vec![1, 3];
    strided.store = false;
    // A row that ends within 16 bytes can be loaded.
    let mut ragged = tiled(DType::F32, &[30, 8], &[8, 4], &[24, 6], Swizzle::B32);
    ragged.store = false;
    vec![
        tiled(DType::F32, &[100], &[64], &[-8], Swizzle::None),
        tiled(DType::F32, &[100], &[64], &[64], Swizzle::None),
        tiled(DType::F16, &[72, 20], &[64, 16], &[16, 10], Swizzle::B128),
        tiled(DType::F16, &[72, 20], &[64, 16], &[-24, -3], Swizzle::B128),
        tiled(DType::I8, &[48, 9, 5], &[32, 8, 2], &[32, 3, 4], Swizzle::B32),
        tiled(DType::F16, &[40, 7, 6, 3], &[32, 4, 4, 2], &[16, -1, 4, 1], Swizzle::B64),
        tiled(DType::F16, &[40, 7, 6, 3], &[32, 4, 4, 2], &[16, 5, 4, 1], Swizzle::B64),
        tiled(DType::F32, &[20, 3, 4, 2, 3], &[8, 2, 3, 2, 2], &[16, 1, 2, -1, 2], Swizzle::B32),
        tiled(DType::F32, &[20, 3, 4, 2, 3], &[8, 2, 3, 2, 2], &[16, 1, 2, 1, 2], Swizzle::B32),
        strided,
        ragged,
        im2col(&[64, 9, 3], 1, 1, &[0, -1, 0], 0, 64, 24),
        im2col(&[64, 8, 7, 3], 1, 1, &[0, 3, 5, 0], 1, 64, 64),
        im2col(&[64, 8, 7, 3], 1, 1, &[0, -1, -1, 1], 2, 64, 100),
        im2col(&[48, 11, 9, 2], 2, 1, &[32, -1, 1, 0], 2, 16, 50),
        im2col(&[16, 12, 12, 2], 1, 2, &[0, 0, 0, 0], 1, 16, 128),
        im2col(&[16, 5, 4, 3, 2], 1, 1, &[0, 2, 1, 0, 0], 2, 16, 40),
        im2col(&[16, 7, 5, 5, 2], 2, 1, &[0, -1, 1, 1, 0], 1, 16, 30),
    ]
}

/// Copies that an H200 answers with "illegal instruction", or that write behind a row there: what they are.
pub fn refused(machine: &dyn Machine, what: &str) -> Result<(), EmulatorError> {
    let stored = |case: BoxCase| BoxCase { store: true, ..case };
    let case = match what {
        "AMID_16_BYTES" => tiled(DType::I8, &[50, 9, 5], &[32, 8, 2], &[24, 0, 1], Swizzle::B32),
        "STORE_LEFT_OF_ROWS" => stored(tiled(DType::F32, &[64, 8], &[32, 4], &[-4, 1], Swizzle::None)),
        "STORE_ABOVE" => stored(tiled(DType::F16, &[72, 20, 3], &[64, 4, 2], &[8, 1, -1], Swizzle::B128)),
        "STORE_CUTS_16_BYTES" => stored(tiled(DType::F32, &[30, 8], &[8, 4], &[24, 1], Swizzle::B32)),
        other => panic!("{other} is no such copy"),
    };
    case.run(machine)
}

/// Runs one of the other kernels, with a fault planted if `plant` is not empty; what it left in y.
pub fn run(machine: &dyn Machine, entry: &str, plant: &str) -> Result<Vec<i32>, EmulatorError> {
    // CLUSTER_KERNEL is of the whole file.
    let mut defines = vec![("TRANS", 0)];
    defines.extend((entry == "pair").then_some(("PAIR", 1)));
    if !plant.is_empty() {
        defines.push((plant, 1));
    }
    let x: Vec<i32> = (0..256).map(|i| small(i) + i as i32).collect();
    let x = Buffer::input(bytemuck::cast_slice(&x).to_vec());
    let y = Buffer::output(4 * 256);
    let mut memory = Memory::from([(X, x), (Y, y)]);
    let launch = match entry {
        "bulk" => launch("bulk", &defines, 2, 128, 528, vec![Arg::Pointer(X), Arg::Pointer(Y)]),
        "pair" => {
            let map = TensorMap::tiled(X, DType::I32, &[256], &[], &[16], Swizzle::None);
            launch("pair", &defines, 2, 32, 400, vec![Arg::TensorMap(map), Arg::Pointer(Y)])
        }
        "dependent" => launch("dependent", &defines, 1, 256, 0, vec![Arg::Pointer(X), Arg::Pointer(Y)]),
        "relay" => launch("relay", &defines, 1, 64, 0, vec![Arg::Pointer(Y)]),
        other => panic!("{other} is no kernel of copies.cu"),
    };
    machine.run(TEXT, &launch, &mut memory)?;
    Ok(bytemuck::pod_collect_to_vec(&memory[&Y].bytes))
}

/// All of them, to the bit.
pub fn check(machine: &(dyn Machine + Sync)) {
    boxes().iter().for_each(|case| case.check(machine));
    let run = |entry| run(machine, entry, "").unwrap_or_else(|error| panic!("{error}"));
    let x = |i: usize| small(i) + i as i32;
    assert_eq!(run("bulk"), (0..256).map(|i| x(i) + 1).collect::<Vec<_>>());
    let pair = run("pair");
    for (rank, lane) in (0..2).flat_map(|rank| (0..32).map(move |lane| (rank, lane))) {
        let other = 1 - rank as i32;
        let want = [100 * other + lane as i32, 1000 * other + lane as i32, x(16 + lane % 16)];
        assert_eq!(pair[(rank * 32 + lane) * 3..][..3], want, "block {rank}, lane {lane}");
    }
    let relay = run("relay");
    for (i, &got) in relay[..128].iter().enumerate() {
        assert_eq!(got, (i / 32 * 32 + 31 - i % 32) as i32, "step {}", i / 32);
    }
    assert_eq!(relay[128], 2, "one lane of each warp is elected");
    assert_eq!(run("dependent"), (0..256).map(x).collect::<Vec<_>>());
    for trans in [false, true] {
        matrices(machine, trans);
    }
}

/// What stmatrix stores, ldmatrix loads; and where it lies between.
fn matrices(machine: &dyn Machine, trans: bool) {
    let launch = launch("matrices", &[("TRANS", u32::from(trans))], 1, 32, 0, vec![Arg::Pointer(Y)]);
    let mut memory = Memory::from([(Y, Buffer::output(32 * 20))]);
    machine.run(TEXT, &launch, &mut memory).unwrap_or_else(|error| panic!("{error}"));
    let y: Vec<u32> = bytemuck::pod_collect_to_vec(&memory[&Y].bytes);
    for lane in 0..32u32 {
        let got = &y[lane as usize * 5..][..5];
        assert_eq!(got[..4], [lane, lane + 100, lane + 200, lane + 300], "lane {lane}");
        // Row `lane % 8` of matrix `lane / 8`: its first two elements.
        let (matrix, row) = (lane / 8, lane % 8);
        let want = if trans {
            // Elements (row, 0) and (row, 1) are the halves `row % 2` of the registers of lanes row/2 and row/2 + 4.
            let half = |lane: u32| (lane + 100 * matrix) >> (16 * (row % 2)) & 0xffff;
            half(row / 2) | half(row / 2 + 4) << 16
        } else {
            row * 4 + 100 * matrix
        };
        assert_eq!(got[4], want, "row {row} of matrix {matrix}");
    }
}
