use super::ranking::top;
use serde::Serialize;

/// Classes that count as found, beside the best.
const FIVE: usize = 5;

/// How often two classifiers say the same, and how often they are right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Classification {
    classes: usize,
    samples: usize,
    same_first: usize,
    /// Classes among the best five of both, summed over samples.
    shared_five: usize,
    labelled: usize,
    baseline: Hits,
    test: Hits,
}

/// Samples whose label was the best class, or among the best five.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Hits {
    first: usize,
    five: usize,
}

/// Shares of the labelled samples, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// Acc@1: the label has the best score.
    pub top_1: f64,
    /// Acc@5: the label is among the best five. `None` for a network of five classes or fewer.
    pub top_5: Option<f64>,
}

impl Classification {
    /// Takes one sample into account: the scores of both, and the class it shows where that is known.
    ///
    /// Scores with a NaN agree with nothing and are never right.
    pub fn see(&mut self, baseline: &[f32], test: &[f32], label: Option<usize>) {
        self.classes = baseline.len();
        self.samples += 1;
        let (baseline, test) = (top(baseline, FIVE), top(test, FIVE));
        if let (Some(ours), Some(theirs)) = (&baseline, &test) {
            self.same_first += usize::from(ours.first() == theirs.first());
            self.shared_five += ours.iter().filter(|class| theirs.contains(class)).count();
        }
        let Some(label) = label else { return };
        self.labelled += 1;
        self.baseline.see(baseline.as_deref(), label);
        self.test.see(test.as_deref(), label);
    }

    /// The share of samples with the same best class.
    pub fn top_1_agreement(&self) -> f64 {
        self.same_first as f64 / self.samples as f64
    }

    /// How many of the best five classes both have, whatever their order: the mean share. `None` for a network of five
    /// classes or fewer, where it would always be 1.
    pub fn top_5_agreement(&self) -> Option<f64> {
        (self.classes > FIVE).then(|| self.shared_five as f64 / (self.samples * FIVE) as f64)
    }

    /// Samples whose class is known.
    pub fn labelled(&self) -> usize {
        self.labelled
    }

    /// The baseline's accuracy, if classes were known.
    pub fn baseline(&self) -> Option<Accuracy> {
        self.accuracy(self.baseline)
    }

    /// The test's accuracy, if classes were known.
    pub fn test(&self) -> Option<Accuracy> {
        self.accuracy(self.test)
    }

    fn accuracy(&self, hits: Hits) -> Option<Accuracy> {
        let share = |hits: usize| hits as f64 / self.labelled as f64;
        let top_5 = (self.classes > FIVE).then(|| share(hits.five));
        (self.labelled > 0).then(|| Accuracy { top_1: share(hits.first), top_5 })
    }
}

impl Hits {
    fn see(&mut self, best: Option<&[usize]>, label: usize) {
        let best = best.unwrap_or_default();
        self.first += usize::from(best.first() == Some(&label));
        self.five += usize::from(best.contains(&label));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_by_hand() {
        let mut counts = Classification::default();
        // Best five of the baseline: 0 1 2 3 4; of the test: 5 0 1 2 3, four of them shared.
        counts.see(&[6.0, 5.0, 4.0, 3.0, 2.0, 1.0], &[5.0, 4.0, 3.0, 2.0, 1.0, 6.0], Some(4));
        // The same, shifted: both say 2, and all five are shared.
        counts.see(&[0.0, 1.0, 9.0, 3.0, 4.0, 5.0], &[0.0, 1.0, 8.0, 3.0, 4.0, 5.0], Some(2));
        counts.see(&[1.0; 6], &[1.0; 6], None);
        assert_eq!(counts.top_1_agreement(), 2.0 / 3.0);
        assert_eq!(counts.top_5_agreement(), Some(14.0 / 15.0));
        assert_eq!(counts.labelled(), 2);
        assert_eq!(counts.baseline(), Some(Accuracy { top_1: 0.5, top_5: Some(1.0) }));
        assert_eq!(counts.test(), Some(Accuracy { top_1: 0.5, top_5: Some(0.5) }));
    }

    #[test]
    fn nan_agrees_with_nothing_and_is_never_right() {
        let mut counts = Classification::default();
        let nan = [f32::NAN, 1.0, 2.0, 3.0, 4.0, 5.0];
        counts.see(&nan, &nan, Some(0));
        assert_eq!((counts.top_1_agreement(), counts.top_5_agreement()), (0.0, Some(0.0)));
        assert_eq!(counts.test(), Some(Accuracy { top_1: 0.0, top_5: Some(0.0) }));
    }

    #[test]
    fn five_of_five_say_nothing() {
        let mut counts = Classification::default();
        counts.see(&[1.0, 2.0], &[1.0, 2.0], Some(1));
        assert_eq!((counts.top_1_agreement(), counts.top_5_agreement()), (1.0, None));
        assert_eq!(counts.baseline(), Some(Accuracy { top_1: 1.0, top_5: None }));
    }
}
