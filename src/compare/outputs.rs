use super::Distance;
use limpid_graph::tensor::Tensor;
use serde::Serialize;

/// How far one output of the two engines is apart, sample by sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Samples there were.
    pub samples: usize,
    /// Samples with a NaN or an infinity in one of the two; the means are NaN then.
    pub not_finite: usize,
    /// The mean over samples of [`Distance::cosine`].
    pub mean_cosine: f64,
    /// The smallest cosine.
    pub least_cosine: f64,
    /// The mean over samples of [`Distance::relative_l2`].
    pub mean_relative_l2: f64,
    /// The mean over samples of [`Distance::l2`].
    pub mean_l2: f64,
    /// The largest difference of two numbers.
    pub largest_difference: f64,
}

/// Adds up what becomes an [`Output`].
#[derive(Clone, Debug)]
pub(super) struct OutputSums {
    name: String,
    samples: usize,
    not_finite: usize,
    cosine: f64,
    least_cosine: f64,
    relative_l2: f64,
    l2: f64,
    all: Distance,
}

impl OutputSums {
    pub(super) fn new(name: &str) -> Self {
        let (samples, not_finite, cosine, relative_l2, l2) = (0, 0, 0.0, 0.0, 0.0);
        let (name, all) = (name.to_owned(), Distance::default());
        Self { name, samples, not_finite, cosine, least_cosine: 1.0, relative_l2, l2, all }
    }

    /// Takes the samples of a batch into account; both tensors have the same shape.
    pub(super) fn see(&mut self, baseline: &[f32], test: &[f32], samples: usize) {
        let row = (baseline.len() / samples.max(1)).max(1);
        for (baseline, test) in baseline.chunks_exact(row).zip(test.chunks_exact(row)) {
            let distance = Distance::between(baseline, test);
            let cosine = distance.cosine();
            self.samples += 1;
            self.not_finite += usize::from(!distance.is_finite());
            self.cosine += cosine;
            self.least_cosine = if cosine >= self.least_cosine { self.least_cosine } else { cosine };
            self.relative_l2 += distance.relative_l2();
            self.l2 += distance.l2();
            self.all.add(distance);
        }
    }

    pub(super) fn finish(self) -> Output {
        let mean = |sum: f64| sum / self.samples as f64;
        Output {
            samples: self.samples,
            not_finite: self.not_finite,
            mean_cosine: mean(self.cosine),
            least_cosine: self.least_cosine,
            mean_relative_l2: mean(self.relative_l2),
            mean_l2: mean(self.l2),
            largest_difference: self.all.largest_difference(),
            name: self.name,
        }
    }
}

/// What an output of scores is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// (N, C), or (N, C, 1, 1): a class for each sample.
    Classification { classes: usize },
    /// (N, C, H, W): a class for each pixel.
    Segmentation { classes: usize, height: usize, width: usize },
}

impl Task {
    /// What the output of a batch looks like; `None` for one that is neither.
    pub(super) fn of(output: &Tensor, samples: usize) -> Option<Self> {
        let (first, rest) = output.shape().split_first()?;
        if *first != samples || !output.dtype().is_float() {
            return None;
        }
        match *rest {
            [classes] | [classes, 1, 1] if classes > 1 => Some(Self::Classification { classes }),
            [classes, height, width] if classes > 1 => Some(Self::Segmentation { classes, height, width }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use limpid_graph::tensor::DType;

    #[test]
    fn means_are_over_samples() {
        let mut sums = OutputSums::new("logits");
        // Cosines 1 and 0, distances 1 and √2, relative ones 1/2 and √2.
        sums.see(&[2.0, 0.0, 1.0, 0.0], &[3.0, 0.0, 0.0, 1.0], 2);
        let output = sums.clone().finish();
        assert_eq!((output.mean_cosine, output.least_cosine, output.samples), (0.5, 0.0, 2));
        assert_eq!(output.mean_l2, (1.0 + 2f64.sqrt()) / 2.0);
        assert_eq!(output.mean_relative_l2, (0.5 + 2f64.sqrt()) / 2.0);
        assert_eq!((output.largest_difference, output.not_finite), (1.0, 0));
        sums.see(&[f32::NAN, 0.0], &[f32::NAN, 0.0], 1);
        let output = sums.finish();
        assert!(output.mean_cosine.is_nan() && output.least_cosine.is_nan() && output.largest_difference.is_nan());
        assert_eq!((output.not_finite, output.samples), (1, 3));
    }

    #[test]
    fn shapes_tell_the_task() {
        let of = |shape: &[usize]| Task::of(&Tensor::zeros(DType::F32, shape), 2);
        assert_eq!(of(&[2, 10]), Some(Task::Classification { classes: 10 }));
        assert_eq!(of(&[2, 10, 1, 1]), Some(Task::Classification { classes: 10 }));
        assert_eq!(of(&[2, 21, 4, 5]), Some(Task::Segmentation { classes: 21, height: 4, width: 5 }));
        assert_eq!(
            (of(&[2, 1]), of(&[2, 1, 4, 5]), of(&[3, 10]), of(&[2, 7, 9]), of(&[])),
            (None, None, None, None, None)
        );
        assert_eq!(Task::of(&Tensor::zeros(DType::I64, &[2, 10]), 2), None);
    }
}
