/// A square convolution without bias, padded so that stride 1 keeps the size.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    pub(super) out: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) groups: usize,
    pub(super) bias: bool,
}

impl Conv {
    /// `out` channels, `kernel`×`kernel`.
    pub fn new(out: usize, kernel: usize) -> Self {
        Self { out, kernel, stride: 1, dilation: 1, groups: 1, bias: false }
    }

    /// Moves by `stride` pixels.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// Spreads the taps `dilation` pixels apart.
    pub fn dilation(self, dilation: usize) -> Self {
        Self { dilation, ..self }
    }

    /// Splits the channels in `groups`.
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// Adds a number to each channel.
    pub fn bias(self) -> Self {
        Self { bias: true, ..self }
    }

    /// Zeros on each side of the picture.
    pub(super) fn padding(self) -> usize {
        self.dilation * (self.kernel - 1) / 2
    }

    /// Height and width of the result.
    pub(super) fn out_size(self, size: usize) -> usize {
        (size + 2 * self.padding() - self.dilation * (self.kernel - 1) - 1) / self.stride + 1
    }

    /// For each tap, the share of output positions at which it is inside the picture.
    pub(super) fn coverage(self, size: usize) -> Vec<f64> {
        let positions = self.out_size(size);
        let inside = |tap: usize| {
            let at = |position: usize| (position * self.stride + tap * self.dilation).wrapping_sub(self.padding());
            (0..positions).filter(|&p| at(p) < size).count() as f64 / positions as f64
        };
        let row: Vec<f64> = (0..self.kernel).map(inside).collect();
        row.iter().flat_map(|y| row.iter().map(move |x| y * x)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_beyond_the_border_count_less() {
        // Four pixels, three taps: the outer ones miss one position of four.
        let coverage = Conv::new(8, 3).coverage(4);
        let (edge, middle) = (0.75, 1.0);
        assert_eq!(coverage[..3], [edge * edge, edge * middle, edge * edge]);
        assert_eq!(coverage[3..6], [middle * edge, 1.0, middle * edge]);
        // Stride 2 over eight pixels reads from -1, 1, 3, 5: only the first is outside.
        assert_eq!(Conv::new(8, 3).stride(2).coverage(8)[3..6], [0.75, 1.0, 1.0]);
        // A tap that is always in the padding.
        assert_eq!(Conv::new(8, 3).dilation(4).coverage(4)[3..6], [0.0, 1.0, 0.0]);
    }

    #[test]
    fn sizes_are_halved_by_stride_and_kept_by_dilation() {
        assert_eq!(Conv::new(64, 7).stride(2).out_size(224), 112);
        assert_eq!(Conv::new(64, 3).stride(2).out_size(56), 28);
        assert_eq!(Conv::new(64, 3).dilation(18).out_size(32), 32);
    }
}
