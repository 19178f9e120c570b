use std::cmp::Ordering;

/// The `k` classes with the largest scores, best first; of equal scores the lowest class. `None` if a score is NaN:
/// such a list has no best.
pub fn top(scores: &[f32], k: usize) -> Option<Vec<usize>> {
    if scores.iter().any(|score| score.is_nan()) {
        return None;
    }
    // Unlike `total_cmp`, this takes -0 and 0 for equal.
    let better = |&a: &usize, &b: &usize| scores[b].partial_cmp(&scores[a]).unwrap_or(Ordering::Equal).then(a.cmp(&b));
    let mut classes: Vec<usize> = (0..scores.len()).collect();
    if k < classes.len() {
        classes.select_nth_unstable_by(k, better);
        classes.truncate(k);
    }
    classes.sort_unstable_by(better);
    Some(classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first_and_the_lowest_of_equals() {
        assert_eq!(top(&[0.1, 0.9, 0.5, 0.9], 3), Some(vec![1, 3, 2]));
        assert_eq!(top(&[0.0, -0.0, 0.0], 2), Some(vec![0, 1]));
        assert_eq!(top(&[1.0, 2.0], 5), Some(vec![1, 0]));
        assert_eq!(top(&[f32::NEG_INFINITY, f32::INFINITY], 1), Some(vec![1]));
        assert_eq!(top(&[1.0], 0), Some(vec![]));
    }

    #[test]
    fn nan_has_no_best() {
        assert_eq!(top(&[1.0, f32::NAN, 2.0], 1), None);
    }
}
