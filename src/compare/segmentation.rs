use limpid_graph::tensor::Tensor;

/// The class of a mask's pixels that are not scored: borders, or what nobody could tell.
pub const IGNORED: u32 = 255;

/// The class of pixels whose scores hold a NaN: it agrees with nothing, itself included.
const NONE: u32 = u32::MAX;

/// The best class of each pixel of (N, C, H, W) scores, as N·H·W numbers; of equal scores the lowest class.
pub fn classes_of_pixels(scores: &Tensor) -> Vec<u32> {
    let [samples, classes, height, width] = *scores.shape() else { return Vec::new() };
    let (values, plane) = (scores.to_f32(), height * width);
    let mut best = vec![0u32; samples * plane];
    for (picture, best) in values.chunks_exact(classes * plane).zip(best.chunks_exact_mut(plane)) {
        let mut largest = picture[..plane].to_vec();
        for (class, scores) in (0u32..).zip(picture.chunks_exact(plane)) {
            for ((best, largest), &score) in best.iter_mut().zip(&mut largest).zip(scores) {
                if score.is_nan() {
                    *best = NONE;
                } else if *best != NONE && score > *largest {
                    (*best, *largest) = (class, score);
                }
            }
        }
    }
    best
}

/// How often pixels of each class were taken for each other class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// Pixels by the class they show (rows) and the class they were given (columns); a last column for none.
    counts: Vec<u64>,
}

impl Confusion {
    /// Nothing counted yet.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * (classes + 1)] }
    }

    /// Counts pixels; what a mask ignores is left out. All other numbers of the mask are classes.
    pub fn see(&mut self, mask: &[u32], given: &[u32]) {
        for (&shown, &given) in mask.iter().zip(given).filter(|(shown, _)| **shown != IGNORED) {
            let column = (given as usize).min(self.classes);
            if let Some(count) = self.counts.get_mut(shown as usize * (self.classes + 1) + column) {
                *count += 1;
            }
        }
    }

    /// Intersection over union, TP / (TP + FP + FN), of each class; `None` for one that was neither shown nor given.
    pub fn iou(&self) -> Vec<Option<f64>> {
        let columns = self.classes + 1;
        let of = |class: usize| {
            let right = self.counts[class * columns + class];
            let shown: u64 = self.counts[class * columns..][..columns].iter().sum();
            let given: u64 = self.counts.iter().skip(class).step_by(columns).sum();
            let union = shown + given - right;
            (union > 0).then(|| right as f64 / union as f64)
        };
        (0..self.classes).map(of).collect()
    }

    /// The mean over the classes that were shown or given; `None` if there are none.
    pub fn mean_iou(&self) -> Option<f64> {
        let present: Vec<f64> = self.iou().into_iter().flatten().collect();
        (!present.is_empty()).then(|| present.iter().sum::<f64>() / present.len() as f64)
    }
}

/// How often two segmentation networks give a pixel the same class, and how well each does.
#[derive(Clone, Debug, PartialEq)]
pub struct Segmentation {
    pixels: u64,
    same: u64,
    /// Pictures with a mask.
    masked: usize,
    baseline: Confusion,
    test: Confusion,
}

impl Segmentation {
    /// Nothing counted yet.
    pub fn new(classes: usize) -> Self {
        let confusion = Confusion::new(classes);
        Self { pixels: 0, same: 0, masked: 0, baseline: confusion.clone(), test: confusion }
    }

    /// Takes one picture into account: the classes of its pixels by both, and as they are where that is known.
    pub fn see(&mut self, baseline: &[u32], test: &[u32], mask: Option<&[u32]>) {
        self.pixels += baseline.len() as u64;
        self.same += baseline.iter().zip(test).filter(|(a, b)| a == b && **a != NONE).count() as u64;
        if let Some(mask) = mask {
            self.masked += 1;
            self.baseline.see(mask, baseline);
            self.test.see(mask, test);
        }
    }

    /// The share of pixels with the same class.
    pub fn pixel_agreement(&self) -> f64 {
        self.same as f64 / self.pixels as f64
    }

    /// Pictures with a mask.
    pub fn masked(&self) -> usize {
        self.masked
    }

    /// The baseline's pixels by class.
    pub fn baseline(&self) -> &Confusion {
        &self.baseline
    }

    /// The test's pixels by class.
    pub fn test(&self) -> &Confusion {
        &self.test
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_class_of_each_pixel() {
        // Two classes, one row of four pixels: 0 wins, 1 wins, a tie, a NaN.
        let scores = vec![2.0f32, 1.0, 3.0, f32::NAN, 1.0, 2.0, 3.0, 9.0];
        let scores = Tensor::new(&[1, 2, 1, 4], scores).expect("a tensor");
        assert_eq!(classes_of_pixels(&scores), [0, 1, 0, NONE]);
        // A NaN in a later class counts, too; pictures do not mix.
        let scores = Tensor::new(&[2, 2, 1, 1], vec![5.0f32, f32::NAN, f32::NEG_INFINITY, -1.0]).expect("a tensor");
        assert_eq!(classes_of_pixels(&scores), [NONE, 1]);
    }

    #[test]
    fn counted_by_hand() {
        let mut counts = Segmentation::new(3);
        let mask = [0, 0, 1, 1, 255, 1];
        counts.see(&[0, 0, 1, 1, 0, NONE], &[0, 1, 1, 1, 1, NONE], Some(&mask));
        // Same at 0, 2, 3; the pixels without a class do not agree, those that are ignored count here.
        assert_eq!(counts.pixel_agreement(), 3.0 / 6.0);
        // Baseline: class 0 is whole; class 1 has 2 of 3; class 2 occurs nowhere.
        assert_eq!(counts.baseline().iou(), [Some(1.0), Some(2.0 / 3.0), None]);
        assert_eq!(counts.baseline().mean_iou(), Some((1.0 + 2.0 / 3.0) / 2.0));
        // Test: class 0 has 1 of 2; class 1: 2 right, 1 wrongly given, 1 missed.
        assert_eq!(counts.test().iou(), [Some(0.5), Some(0.5), None]);
        assert_eq!((counts.masked(), Confusion::new(2).mean_iou()), (1, None));
    }
}
