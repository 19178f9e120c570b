use super::*;
use limpid_graph::ir::Fact;
use limpid_graph::ops::{Activation, ActivationOp};
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{DType, Dim, Shape, Symbol};

/// Runs the reference on batches.
struct Samples(Vec<Tensor>);

impl Activations for Samples {
    fn observe(
        &mut self,
        graph: &Graph,
        see: &mut dyn FnMut(ValueId, &Tensor),
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let interpreter = Interpreter::new(graph)?;
        for batch in &self.0 {
            interpreter.run_observed(std::slice::from_ref(batch), see)?;
        }
        Ok(())
    }
}

/// x -> Relu -> Tanh
fn network() -> Graph {
    let mut graph = Graph::new("test");
    let shape = Shape::new([Dim::symbol(Symbol::new("N")), Dim::from(50)]);
    let x = graph.add_input("x", Fact::new(DType::F32, shape));
    let relu = graph.add_node("relu", ActivationOp { function: Activation::Relu }.into(), &[x]).unwrap();
    let made = graph.node(relu).outputs[0];
    let tanh = graph.add_node("tanh", ActivationOp { function: Activation::Tanh }.into(), &[made]).unwrap();
    graph.outputs = vec![graph.node(tanh).outputs[0]];
    graph
}

fn provenance(calibrator: Calibrator) -> Provenance {
    let text = |s: &str| s.to_owned();
    Provenance { model: text("m"), calibrator, preprocessing: text("none"), data: text("d"), samples: 40 }
}

fn rows(rows: std::ops::Range<usize>) -> Tensor {
    let value = |i: usize| ((i * 7919) % 1000) as f32 * 0.01 - 5.0;
    let values: Vec<f32> = (rows.start * 50..rows.end * 50).map(value).collect();
    Tensor::new(&[rows.len(), 50], values).unwrap()
}

#[test]
fn every_activation_has_a_scale_whatever_the_batches() {
    let graph = network();
    for name in ["entropy", "percentile", "mse", "minmax"] {
        let calibrator: Calibrator = name.parse().unwrap();
        let whole = calibrate(&graph, &mut Samples(vec![rows(0..40)]), provenance(calibrator)).unwrap();
        assert_eq!(whole.values.keys().collect::<Vec<_>>(), ["relu", "tanh", "x"]);
        let cut = vec![rows(17..40), rows(0..1), rows(1..17)];
        assert_eq!(calibrate(&graph, &mut Samples(cut), provenance(calibrator)).unwrap(), whole, "{name}");
        assert_eq!(whole.values["x"].threshold.curve.is_some(), matches!(name, "entropy" | "mse"));
    }
}

#[test]
fn minmax_is_the_range() {
    let graph = network();
    let made = calibrate(&graph, &mut Samples(vec![rows(0..40)]), provenance(Calibrator::MinMax)).unwrap();
    assert_eq!(made.scale("x"), Some(5.0 / 127.0));
    assert_eq!(made.scale("relu"), Some((999.0 * 0.01 - 5.0) / 127.0));
    assert!(made.scale("tanh").unwrap() < 1.0 / 127.0);
    let x = &made.values["x"].summary;
    assert_eq!((x.seen, x.saturated, x.lowest), (2000, 0.0, -5.0));
}

#[test]
fn one_run_serves_all_calibrators() {
    let graph = network();
    let histograms = Histograms::collect(&graph, &mut Samples(vec![rows(0..40)])).unwrap();
    let entropy = histograms.calibrate(&graph, provenance(Calibrator::Entropy)).unwrap();
    let minmax = histograms.calibrate(&graph, provenance(Calibrator::MinMax)).unwrap();
    assert!(entropy.scale("tanh").is_some() && minmax.scale("tanh").is_some());
    assert_eq!(entropy.provenance.calibrator, Calibrator::Entropy);
    assert_eq!(entropy.notes().count(), 0);
}

#[test]
fn what_cannot_be_calibrated_is_named() {
    let graph = network();
    let fail = |batches| calibrate(&graph, &mut Samples(batches), provenance(Calibrator::Entropy)).unwrap_err();
    assert!(matches!(fail(Vec::new()), CalibrateError::NoSamples));
    let nan = Tensor::new(&[1, 50], vec![f32::NAN; 50]).unwrap();
    assert!(fail(vec![nan]).to_string().contains("none of its numbers is finite"));
    let wrong = Tensor::new(&[1, 3], vec![0.0f32; 3]).unwrap();
    assert!(matches!(fail(vec![wrong]), CalibrateError::Run(_)));

    let mut partial = Histograms::default();
    partial.see(graph.inputs[0], &rows(0..1)).unwrap();
    let error = partial.calibrate(&graph, provenance(Calibrator::Entropy)).unwrap_err();
    assert_eq!(error.to_string(), "calibration: `relu`, `tanh` was not shown while the network ran");
}

#[test]
fn half_precision_counts_and_integers_do_not() {
    let mut histograms = Histograms::default();
    let graph = network();
    histograms.see(graph.inputs[0], &rows(0..2).cast(DType::F16)).unwrap();
    assert_eq!(histograms.get(graph.inputs[0]).unwrap().finite(), 100);
    let mut none = Histograms::default();
    none.see(graph.inputs[0], &Tensor::new(&[1], vec![3i64]).unwrap()).unwrap();
    assert!(none.get(graph.inputs[0]).is_none());
}
