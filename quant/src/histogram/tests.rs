use super::*;
use proptest::prelude::*;

fn of(values: &[f32]) -> Histogram {
    let mut histogram = Histogram::default();
    histogram.observe(values);
    histogram
}

/// Any f32 there is: NaN, infinities, subnormals, zeros of both signs.
fn any_number() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => any::<u32>().prop_map(f32::from_bits),
        4 => -1.0f32..1.0,
        1 => Just(0.0f32),
        1 => Just(-0.0f32),
    ]
}

/// A permutation that a seed names (Fisher and Yates).
fn shuffle(values: &mut [f32], mut seed: u64) {
    for i in (1..values.len()).rev() {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        values.swap(i, (seed >> 33) as usize % (i + 1));
    }
}

proptest! {
    #[test]
    fn order_cuts_and_merges_do_not_show(
        values in prop::collection::vec(any_number(), 0..300),
        seed in any::<u64>(),
        cut in 1usize..40,
    ) {
        let at_once = of(&values);
        let mut shuffled = values.clone();
        shuffle(&mut shuffled, seed);
        prop_assert_eq!(&of(&shuffled), &at_once);

        let mut streamed = Histogram::default();
        shuffled.chunks(cut).for_each(|batch| streamed.observe(batch));
        prop_assert_eq!(&streamed, &at_once);

        let parts: Vec<Histogram> = values.chunks(cut).map(of).collect();
        let merged = |parts: &mut dyn Iterator<Item = &Histogram>| {
            parts.fold(Histogram::default(), |mut all, part| { all.merge(part); all })
        };
        prop_assert_eq!(&merged(&mut parts.iter()), &at_once);
        prop_assert_eq!(&merged(&mut parts.iter().rev()), &at_once);
    }

    #[test]
    fn every_number_is_counted_once_and_where_it_belongs(values in prop::collection::vec(any_number(), 1..300)) {
        let histogram = of(&values);
        let finite = values.iter().filter(|v| v.is_finite()).count() as u64;
        prop_assert_eq!(histogram.finite(), finite);
        prop_assert_eq!(histogram.finite() + histogram.nan() + histogram.infinite(), values.len() as u64);
        if let Some((width, counts)) = histogram.fine_bins() {
            let mut expected = vec![0u64; FINE_BINS];
            for v in values.iter().filter(|v| v.is_finite() && **v != 0.0) {
                expected[(f64::from(v.abs()) / width).floor() as usize] += 1;
            }
            prop_assert_eq!(counts, &expected[..]);
        }
    }

    #[test]
    fn calibrators_see_all_counts_in_well_filled_bins(values in prop::collection::vec(any_number(), 1..300)) {
        let histogram = of(&values);
        let Some(bins) = histogram.bins() else {
            prop_assert_eq!(histogram.finite(), histogram.zeros());
            return Ok(());
        };
        prop_assert_eq!(bins.counts.len(), BINS);
        prop_assert_eq!(bins.counts.iter().sum::<u64>() + histogram.zeros(), histogram.finite());
        prop_assert!((1639..=BINS).contains(&bins.used), "{} bins used", bins.used);
        let largest = f64::from(histogram.largest()) / bins.width;
        prop_assert!((bins.used - 1) as f64 <= largest && largest < bins.used as f64);
    }
}

#[test]
fn threads_do_not_show() {
    let values: Vec<f32> = (0..3 * CHUNK + 7).map(|i| ((i * 2654435761) % 100003) as f32 * 1e-3 - 40.0).collect();
    let mut one_thread = Histogram::default();
    values.chunks(1000).for_each(|batch| one_thread.observe(batch));
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| of(&values)), one_thread, "{threads} threads");
    }
}

#[test]
fn growing_joins_neighbours() {
    let mut histogram = of(&[1.0, 1.5, 1.999]);
    let (width, counts) = histogram.fine_bins().unwrap();
    assert_eq!(width, 2.0 / FINE_BINS as f64);
    assert_eq!(counts[FINE_BINS / 2], 1);
    histogram.observe(&[-7.0]);
    let (width, counts) = histogram.fine_bins().unwrap();
    assert_eq!(width, 8.0 / FINE_BINS as f64);
    assert_eq!((counts[FINE_BINS / 8], counts[FINE_BINS / 8 * 7]), (1, 1));
    assert_eq!(histogram.finite(), 4);
}

#[test]
fn the_whole_span_of_f32_fits() {
    let tiny = f32::from_bits(1);
    let mut histogram = of(&[tiny, tiny]);
    assert_eq!(histogram.fine_bins().unwrap().1[FINE_BINS / 2], 2);
    histogram.observe(&[f32::MAX]);
    let (_, counts) = histogram.fine_bins().unwrap();
    assert_eq!((counts[0], counts[FINE_BINS - 1]), (2, 1));
}

#[test]
fn what_is_no_magnitude_is_counted_apart() {
    let histogram = of(&[0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -2.0, 0.5]);
    assert_eq!((histogram.zeros(), histogram.nan(), histogram.infinite(), histogram.finite()), (2, 1, 2, 4));
    assert_eq!((histogram.lowest(), histogram.highest(), histogram.largest()), (-2.0, 0.5, 2.0));
    let nothing = of(&[0.0, f32::NAN]);
    assert_eq!((nothing.bins(), nothing.largest()), (None, 0.0));
}
