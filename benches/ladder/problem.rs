//! What is multiplied: a matrix product, or a convolution as one.

use crate::steps::Step;
use bytemuck::{Pod, Zeroable};
use half::f16;
use limpid_kernels::launch::{Arg, Launch, Role};

/// `Params` of product.cuh.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    pub m: i32,
    pub n: i32,
    pub k: i32,
    pub height: i32,
    pub width: i32,
    pub channels: i32,
    pub out_height: i32,
    pub out_width: i32,
    pub kernel_width: i32,
    pub stride: i32,
    pub pad: i32,
}

/// A product; the left matrix of a convolution is the windows of its picture.
#[derive(Clone, Copy, Debug)]
pub struct Problem {
    /// `LEFT` of product.cuh.
    pub left: &'static str,
    pub name: &'static str,
    pub params: Params,
    /// Elements of x: of the left matrix, or of the picture.
    pub x_len: usize,
}

impl Problem {
    /// y (m,n) = a (m,k) · b (k,n).
    pub fn gemm(m: i32, n: i32, k: i32) -> Self {
        let params = Params { m, n, k, ..Params::zeroed() };
        Self { left: "Matrix", name: "gemm", params, x_len: (m * k) as usize }
    }

    /// `images` pictures of size×size×channels, filters of kernel×kernel, padded so that every pixel is a centre.
    pub fn conv(images: i32, size: i32, channels: i32, filters: i32, kernel: i32, stride: i32) -> Self {
        let pad = kernel / 2;
        let out = (size + 2 * pad - kernel) / stride + 1;
        let params = Params {
            m: images * out * out,
            n: filters,
            k: kernel * kernel * channels,
            height: size,
            width: size,
            channels,
            out_height: out,
            out_width: out,
            kernel_width: kernel,
            stride,
            pad,
        };
        Self { left: "Windows", name: "conv", params, x_len: (images * size * size * channels) as usize }
    }

    /// Its extents, for people.
    pub fn shape(&self) -> String {
        let Params { m, n, k, height, channels, kernel_width, out_height, .. } = self.params;
        match self.left {
            "Matrix" => format!("{m}×{n}×{k}"),
            _ => {
                let images = m / (out_height * out_height);
                format!("{images}×{height}×{height}×{channels}, {n} filters of {kernel_width}×{kernel_width}")
            }
        }
    }

    /// Multiplications and additions.
    pub fn flops(&self) -> f64 {
        2.0 * f64::from(self.params.m) * f64::from(self.params.n) * f64::from(self.params.k)
    }

    /// Bytes that must be moved: x, b and y once each.
    pub fn bytes(&self) -> f64 {
        let Params { m, n, k, .. } = self.params;
        2.0 * (self.x_len as f64 + f64::from(k) * f64::from(n) + f64::from(m) * f64::from(n))
    }

    /// x and b of small integers, whose sums are exact in f16.
    pub fn integers(&self) -> (Vec<f16>, Vec<f16>) {
        let small = |seed: usize| move |i: usize| f16::from_f32(((i * 7 + i / 5 + i / 31 + seed) % 5) as f32 - 2.0);
        ((0..self.x_len).map(small(0)).collect(), (0..self.b_len()).map(small(3)).collect())
    }

    /// x and b of random numbers between -1 and 1, to time with: a chip clocks higher if few bits change.
    pub fn random(&self) -> (Vec<f16>, Vec<f16>) {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let mut number = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            f16::from_f32((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
        };
        ((0..self.x_len).map(&mut number).collect(), (0..self.b_len()).map(&mut number).collect())
    }

    fn b_len(&self) -> usize {
        (self.params.k * self.params.n) as usize
    }

    /// y by plain loops.
    pub fn reference(&self, x: &[f16], b: &[f16]) -> Vec<f16> {
        let Params { m, n, k, .. } = self.params;
        let mut y = Vec::with_capacity((m * n) as usize);
        for row in 0..m {
            let left: Vec<f32> = (0..k).map(|k| self.index(row, k).map_or(0.0, |i| x[i].to_f32())).collect();
            for column in 0..n {
                let right = (0..k).map(|k| b[(k * n + column) as usize].to_f32());
                y.push(f16::from_f32(left.iter().zip(right).map(|(a, b)| a * b).sum()));
            }
        }
        y
    }

    /// Where element k of a row of the left matrix lies in x; `None` in the padding.
    fn index(&self, row: i32, k: i32) -> Option<usize> {
        let p = &self.params;
        if self.left == "Matrix" {
            return Some((row * p.k + k) as usize);
        }
        let (tap, channel) = (k / p.channels, k % p.channels);
        let (image, pixel) = (row / (p.out_height * p.out_width), row % (p.out_height * p.out_width));
        let h = pixel / p.out_width * p.stride - p.pad + tap / p.kernel_width;
        let w = pixel % p.out_width * p.stride - p.pad + tap % p.kernel_width;
        let inside = (0..p.height).contains(&h) && (0..p.width).contains(&w);
        inside.then(|| (((image * p.height + h) * p.width + w) * p.channels + channel) as usize)
    }

    /// How a step is launched for it: x, b, y and the parameters.
    pub fn launch(&self, step: &Step) -> Launch {
        let [rows, columns] = step.tile;
        Launch {
            unit: step.unit(self.left),
            grid: [(self.params.n as u32).div_ceil(columns), (self.params.m as u32).div_ceil(rows), 1],
            block: [step.threads, 1, 1],
            cluster: Launch::ALONE,
            shared_bytes: step.shared_bytes,
            args: vec![
                Arg::Pointer(Role::Input(0)),
                Arg::Pointer(Role::Input(1)),
                Arg::Pointer(Role::Output(0)),
                Arg::params(&self.params),
            ],
            dependent: false,
        }
    }
}
