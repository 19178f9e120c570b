//! Large copies in host memory. One core moves some 10 GB/s and far less where every page is touched for the first
//! time; a machine's memory moves ten times as much, so large copies are shared out among the cores.

use limpid_graph::tensor::{DType, Tensor, TensorError};
use rayon::prelude::*;

/// From this size on a copy takes longer than waking the other cores, bytes.
pub(super) const LARGE: usize = 1 << 20;

/// Bytes that one core copies at a time.
const SHARE: usize = 512 << 10;

/// Copies `from` to `to`, which is as long.
pub(super) fn copy(from: &[u8], to: &mut [u8]) {
    if from.len() < LARGE {
        return to.copy_from_slice(from);
    }
    to.par_chunks_mut(SHARE).zip(from.par_chunks(SHARE)).for_each(|(to, from)| to.copy_from_slice(from));
}

/// A tensor with a copy of these bytes.
pub(super) fn tensor(dtype: DType, shape: &[usize], bytes: &[u8]) -> Result<Tensor, TensorError> {
    if bytes.len() < LARGE {
        return Tensor::from_bytes(dtype, shape, bytes);
    }
    // Zeros come as pages that nobody has touched yet, so that the cores share that work, too.
    let mut words = Words(vec![0u64; bytes.len().div_ceil(8)]);
    copy(bytes, &mut bytemuck::cast_slice_mut(&mut words.0)[..bytes.len()]);
    Tensor::shared(dtype, shape, words, 0)
}

/// Bytes that are aligned for every element type.
struct Words(Vec<u64>);

impl AsRef<[u8]> for Words {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_and_small_copies_are_the_same() {
        for len in [0, 5, LARGE - 1, LARGE, 3 * LARGE + 17] {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + i / 251) as u8).collect();
            let mut to = vec![0xEE; len];
            copy(&bytes, &mut to);
            assert_eq!(to, bytes, "{len} bytes");
            let tensor = tensor(DType::U8, &[len], &bytes).expect("it has that size");
            assert_eq!((tensor.bytes(), tensor.shape()), (&bytes[..], &[len][..]));
        }
        assert!(tensor(DType::F32, &[LARGE], &vec![0; LARGE]).is_err(), "four times as many are wanted");
    }
}
