//! Thresholds against an independent NumPy implementation: `reference.py`, whose answers are in `thresholds.json`.

use limpid_quant::{Calibrator, Histogram, Threshold};
use serde_json::Value;
use std::f64::consts::TAU;

const COUNT: usize = 100_000;

/// Draws of SplitMix64 as uniform numbers in (0, 1); see `reference.py`.
fn uniform(seed: u64, count: usize) -> Vec<f64> {
    let draw = |i: u64| {
        let mut z = seed.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((z >> 11) as f64 + 0.5) / 2f64.powi(53)
    };
    (0..count as u64).map(draw).collect()
}

fn gaussian(seed: u64) -> Vec<f64> {
    uniform(seed, 2 * COUNT).chunks(2).map(|u| (-2.0 * u[0].ln()).sqrt() * (TAU * u[1]).cos()).collect()
}

fn laplacian(seed: u64) -> Vec<f64> {
    let one = |u: f64| -(u - 0.5).signum() * (1.0 - 2.0 * (u - 0.5).abs()).ln();
    uniform(seed, COUNT).into_iter().map(one).collect()
}

fn bimodal(seed: u64) -> Vec<f64> {
    let both = gaussian(seed).into_iter().zip(uniform(seed + 1, COUNT));
    both.map(|(g, u)| if u < 0.7 { 1.0 + 0.3 * g } else { 6.0 + 0.5 * g }).collect()
}

fn with_outlier(seed: u64) -> Vec<f64> {
    let mut x = gaussian(seed);
    x[12345] = -100.0;
    x
}

fn data(name: &str) -> Vec<f32> {
    let x = match name {
        "gaussian" => gaussian(1),
        "laplacian" => laplacian(2),
        "relu" => gaussian(3).into_iter().map(|g| g.max(0.0)).collect(),
        "bimodal" => bimodal(4),
        "constant" => vec![3.7; COUNT],
        "all_zero" => vec![0.0; COUNT],
        "single_outlier" => with_outlier(6),
        "pixels" => uniform(7, COUNT).into_iter().map(|u| (256.0 * u).floor()).collect(),
        other => panic!("no data named {other}"),
    };
    x.into_iter().map(|v| v as f32).collect()
}

fn expected() -> serde_json::Map<String, Value> {
    let text = include_str!("thresholds.json");
    serde_json::from_str(text).unwrap()
}

fn threshold(histogram: &Histogram, calibrator: &str) -> Threshold {
    calibrator.parse::<Calibrator>().unwrap().threshold(histogram).unwrap()
}

#[test]
fn thresholds_are_numpys_to_within_a_bin() {
    let expected = expected();
    assert_eq!(expected.len(), 8);
    for (name, case) in &expected {
        let x = data(name);
        let mut histogram = Histogram::default();
        histogram.observe(&x);

        // The same numbers, or nothing below means anything.
        let sum: f64 = x.iter().map(|v| f64::from(v.abs())).sum();
        let numpys = case["sum"].as_f64().unwrap();
        assert!((sum - numpys).abs() <= 1e-9 * numpys, "{name}: sum {sum}, NumPy {numpys}");

        for calibrator in ["entropy", "percentile", "mse", "minmax"] {
            let found = threshold(&histogram, calibrator).value;
            let Some(numpys) = case.get(calibrator) else {
                assert_eq!((name.as_str(), found), ("all_zero", 1.0));
                continue;
            };
            let (numpys, width) = (numpys.as_f64().unwrap(), case["width"].as_f64().unwrap());
            assert_eq!(histogram.bins().unwrap().width, width, "{name}");
            let bins = (f64::from(found) - numpys) / width;
            println!("{name:>15} {calibrator:>10}: {found:10.5}, NumPy {numpys:10.5}: {bins:+.2} bins");
            assert!(bins.abs() <= 1.0, "{name}, {calibrator}: {found}, NumPy {numpys}: {bins} bins off");
        }
    }
}

#[test]
fn mse_is_least_on_the_numbers_themselves() {
    for (name, case) in &expected() {
        let Some(least) = case.get("mse_error").and_then(Value::as_f64) else { continue };
        let x = data(name);
        let mut histogram = Histogram::default();
        histogram.observe(&x);
        let scale = f64::from(threshold(&histogram, "mse").scale());
        let error = |v: &f32| {
            let v = f64::from(v.abs());
            (v - (v / scale).round_ties_even().min(127.0) * scale).powi(2)
        };
        let mean = x.iter().map(error).sum::<f64>() / x.len() as f64;
        println!("{name:>15}: {mean:.6e}, NumPy's least {least:.6e}");
        assert!(mean <= least * 1.001, "{name}: {mean}, NumPy's least {least}");
    }
}

#[test]
fn the_whole_curve_is_numpys() {
    for (name, case) in &expected() {
        let Some(points) = case.get("entropy_curve").and_then(Value::as_array) else { continue };
        let mut histogram = Histogram::default();
        histogram.observe(&data(name));
        let curve = threshold(&histogram, "entropy").curve.unwrap();
        let width = histogram.bins().unwrap().width;
        assert!(!points.is_empty());
        for point in points {
            let (kept, nats) = (point[0].as_f64().unwrap(), point[1].as_f64().unwrap());
            let at = |c: &&(f32, f64)| (f64::from(c.0) / width - 0.5).round() == kept;
            let found = curve.iter().find(at).unwrap_or_else(|| panic!("{name}: no candidate of {kept} bins")).1;
            // A number on a bin's edge may fall to either side after another libm's logarithm.
            assert!((found - nats).abs() <= 1e-4 * (1.0 + nats), "{name}, {kept} bins: {found}, NumPy {nats}");
        }
    }
}

#[test]
fn pictures_get_tensorrts_scale() {
    // TensorRT's caches of networks that read pixels in 0..255 hold 4000890a: (2048 + 1/2)/2048 · 255/127.
    let mut histogram = Histogram::default();
    histogram.observe(&data("pixels"));
    let tensorrt = f32::from_bits(0x4000_890a);
    let scale = threshold(&histogram, "entropy").scale();
    // Its last bin ends at 255, where another of ours begins; and half a bin of the two widths differs, too.
    let bin = histogram.bins().unwrap().width as f32 / 127.0;
    assert!((scale - tensorrt).abs() <= 1.5 * bin, "{scale} {tensorrt}");
}
