//! `wgmma` fed by tensor copies, for every type, N, swizzle and major-ness, against plain loops.

use crate::machine::Machine;
use crate::small;
use half::f16;
use limpid_graph::tensor::DType;
use limpid_kernels::emulator::{Buffer, EmulatorError, Memory};
use limpid_kernels::launch::{Arg, CompileUnit, Launch, Role};
use limpid_kernels::tensor_map::{Swizzle, TensorMap};
use rayon::prelude::*;

const TEXT: &str = include_str!("product.cu");
const SIZES: [usize; 8] = [8, 16, 32, 64, 96, 128, 192, 256];

/// One kernel to compile: `a` (64×K) times `b` (K×N).
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Of the operands.
    pub dtype: DType,
    /// Columns of b.
    pub n: usize,
    pub swizzle: Swizzle,
    /// Whether a lies as K rows of M, b as K rows of N.
    pub a_major: bool,
    pub b_major: bool,
    /// Whether a comes from registers.
    pub registers: bool,
    /// Stages of 128 bytes of K that are multiplied.
    pub stages: usize,
}

impl Case {
    /// f16, K-major, by descriptors.
    pub fn new(n: usize, swizzle: Swizzle) -> Self {
        Self { dtype: DType::F16, n, swizzle, a_major: false, b_major: false, registers: false, stages: 3 }
    }

    fn span(self) -> usize {
        self.swizzle.span().unwrap_or(16) as usize
    }

    fn k(self) -> usize {
        self.stages * 128 / self.dtype.size()
    }

    fn encode(self, value: i32) -> Vec<u8> {
        match self.dtype {
            DType::F16 => f16::from_f32(value as f32).to_le_bytes().to_vec(),
            DType::F32 => (value as f32).to_le_bytes().to_vec(),
            _ => vec![value as i8 as u8],
        }
    }

    /// A `rows`×K matrix in memory, and the map by which it is copied.
    fn operand(
        self,
        role: Role,
        rows: usize,
        mn_major: bool,
        value: impl Fn(usize, usize) -> i32,
    ) -> (Buffer, TensorMap) {
        let (k, size) = (self.k(), self.dtype.size());
        let (lines, length) = if mn_major { (k, rows) } else { (rows, k) };
        let element = |line: usize, at: usize| if mn_major { value(at, line) } else { value(line, at) };
        let indices = (0..lines).flat_map(|line| (0..length).map(move |at| (line, at)));
        let bytes = indices.flat_map(|(line, at)| self.encode(element(line, at))).collect();
        let extents = [(self.span() / size) as u32, if mn_major { 64 } else { rows as u32 }];
        let (dims, strides) = ([length as u64, lines as u64], [(length * size) as u64]);
        (Buffer::input(bytes), TensorMap::tiled(role, self.dtype, &dims, &strides, &extents, self.swizzle))
    }

    /// Runs it, with a fault planted if `plant` names one; the answer, and what it should be.
    pub fn run(self, machine: &dyn Machine, plant: &str) -> Result<(Vec<f32>, Vec<f32>), EmulatorError> {
        let a = |row: usize, k: usize| small(row * 131 + k);
        let b = |column: usize, k: usize| small(column * 37 + k * 3 + 1);
        let (a_role, b_role) = (Role::Input(0), Role::Input(1));
        let (a_buffer, map_a) = self.operand(a_role, 64, self.a_major, a);
        let (b_buffer, map_b) = self.operand(b_role, self.n, self.b_major, b);
        let flag = |set: bool| usize::from(set).to_string();
        let dtype = match self.dtype {
            DType::F16 => "0",
            DType::F32 => "1",
            _ => "2",
        };
        let defines = [
            ("TYPE", dtype.to_owned()),
            ("COLUMNS", self.n.to_string()),
            ("SPAN", self.span().to_string()),
            ("A_MAJOR", flag(self.a_major)),
            ("B_MAJOR", flag(self.b_major)),
            ("A_REGISTERS", flag(self.registers)),
            ("PLANT", plant.to_owned()),
        ];
        let rows_b = if self.b_major { (self.n * 2).next_multiple_of(self.span()) / 2 } else { self.n };
        let stage = 64 * 128 + (rows_b * 128).next_multiple_of(1024);
        let launch = Launch {
            unit: CompileUnit::new("tests/product.cu", "product", defines),
            grid: [1, 1, 1],
            block: [256, 1, 1],
            cluster: Launch::ALONE,
            shared_bytes: (2 * stage + 64) as u32,
            args: vec![
                Arg::TensorMap(map_a),
                Arg::TensorMap(map_b),
                Arg::Pointer(a_role),
                Arg::Pointer(Role::Output(0)),
                Arg::Bytes((self.stages as i32).to_le_bytes().to_vec()),
            ],
            dependent: false,
        };
        let output = Buffer::output(64 * self.n * 4);
        let mut memory = Memory::from([(a_role, a_buffer), (b_role, b_buffer), (Role::Output(0), output)]);
        machine.run(TEXT, &launch, &mut memory)?;
        let bytes = &memory[&Role::Output(0)].bytes;
        let got = match self.dtype {
            DType::I8 => bytemuck::pod_collect_to_vec::<u8, i32>(bytes).iter().map(|&v| v as f32).collect(),
            _ => bytemuck::pod_collect_to_vec(bytes),
        };
        let sum = |row: usize, column: usize| (0..self.k()).map(|k| a(row, k) * b(column, k)).sum::<i32>() as f32;
        let want = (0..64 * self.n).map(|i| sum(i / self.n, i % self.n)).collect();
        Ok((got, want))
    }
}

fn cases() -> Vec<Case> {
    let swizzles = [Swizzle::None, Swizzle::B32, Swizzle::B64, Swizzle::B128];
    let mut cases = Vec::new();
    // Every N for every type with the fullest swizzle; every swizzle and major-ness at sizes below and above its span.
    for n in SIZES {
        for dtype in [DType::F16, DType::F32, DType::I8] {
            cases.push(Case { dtype, ..Case::new(n, Swizzle::B128) });
        }
    }
    for swizzle in swizzles {
        for dtype in [DType::F16, DType::F32, DType::I8] {
            cases.push(Case { dtype, ..Case::new(32, swizzle) });
        }
        for (n, a_major, b_major) in [(16, true, false), (64, false, true), (128, true, true), (96, false, true)] {
            cases.push(Case { a_major, b_major, ..Case::new(n, swizzle) });
        }
    }
    for dtype in [DType::F16, DType::F32, DType::I8] {
        cases.push(Case { dtype, registers: true, ..Case::new(64, Swizzle::B128) });
    }
    cases.push(Case { registers: true, b_major: true, ..Case::new(64, Swizzle::B64) });
    cases
}

/// All products, exactly: every number in them is a small integer.
pub fn check(machine: &(dyn Machine + Sync)) {
    let failed = |case: &Case| {
        let (got, want) = match case.run(machine, "NONE") {
            Ok(outcome) => outcome,
            Err(error) => return Some(format!("{case:?}: {error}")),
        };
        let wrong = got.iter().zip(&want).filter(|(g, w)| g != w).count();
        let first = got.iter().zip(&want).position(|(g, w)| g != w)?;
        let (row, column) = (first / case.n, first % case.n);
        Some(format!("{case:?}: {wrong} wrong, first ({row},{column}): got {}, want {}", got[first], want[first]))
    };
    let failures: Vec<String> = cases().par_iter().filter_map(failed).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
