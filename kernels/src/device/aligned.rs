//! Bytes at an alignment that C code may rely on.

/// A copy of some bytes, aligned for any C type.
#[derive(Clone, Debug)]
pub struct AlignedBytes(Vec<Line>);

/// 16 bytes: the largest alignment of a CUDA built-in type (`float4`, `double2`), hence of a parameter struct.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(16))]
struct Line([u8; 16]);

impl AlignedBytes {
    /// Copies parts one after another, each at an aligned offset, and returns those offsets.
    pub fn pack<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> (Self, Vec<usize>) {
        let mut lines = Vec::new();
        let mut offsets = Vec::new();
        for part in parts {
            offsets.push(lines.len() * size_of::<Line>());
            let start = lines.len();
            lines.resize(start + part.len().div_ceil(size_of::<Line>()), Line([0; 16]));
            bytemuck::cast_slice_mut(&mut lines[start..])[..part.len()].copy_from_slice(part);
        }
        (Self(lines), offsets)
    }

    /// The bytes, with zeros between the parts and after the last.
    pub fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_begin_at_multiples_of_sixteen() {
        let (packed, offsets) = AlignedBytes::pack([&[1u8; 8][..], &[], &[2; 17], &[3; 16]]);
        assert_eq!(offsets, [0, 16, 16, 48]);
        assert_eq!(packed.bytes().len(), 64);
        assert_eq!(packed.bytes().as_ptr() as usize % 16, 0);
        assert_eq!(packed.bytes()[..8], [1; 8]);
        assert_eq!(packed.bytes()[8..16], [0; 8]);
        assert_eq!(packed.bytes()[16..33], [2; 17]);
        assert_eq!(packed.bytes()[48..], [3; 16]);
    }
}
