use super::outputs::{OutputSums, Task};
use super::{Classification, CompareError, Output, Segmentation, classes_of_pixels};
use crate::engine::Engine;
use crate::input::dataset::Batch;
use crate::input::{Dataset, Masks, Preprocessing};
use crate::progress::Progress;
use crate::runtime::Session;
use limpid_graph::ir::{Graph, ValueId};
use limpid_graph::tensor::Tensor;

/// Samples that are decoded and kept at once, at least.
const CHUNK: usize = 32;

/// One of the two engines.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// A session of it.
    pub session: &'a mut Session,
    /// How it sees pictures.
    pub preprocessing: &'a Preprocessing,
}

/// What is known of the samples.
#[derive(Debug, Default)]
pub struct Truth {
    /// The class of each sample of the dataset, where that is known; empty if none is.
    pub labels: Vec<Option<usize>>,
    /// The classes of their pixels.
    pub masks: Option<Masks>,
}

/// What came of a comparison.
#[derive(Clone, Debug)]
pub struct Report {
    /// Samples that both were run on.
    pub samples: usize,
    /// Each output, in the network's order.
    pub outputs: Vec<Output>,
    /// The first output of the form (N, C), with its name.
    pub classification: Option<(String, Classification)>,
    /// The first output of the form (N, C, H, W), with its name.
    pub segmentation: Option<(String, Segmentation)>,
}

/// Runs both engines on all samples and compares what they answer. Samples are read as they are needed; of the
/// answers only sums are kept.
///
/// # Errors
/// [`CompareError::Different`] for engines of different networks, [`CompareError::NoSuchOutput`] for labels or masks
/// that no output could be scored with, [`CompareError::Label`] and [`crate::input::InputError::Mask`] for classes
/// that the network does not have; those of reading samples and of running engines.
pub fn compare(
    baseline: Subject<'_>,
    test: Subject<'_>,
    dataset: &Dataset,
    truth: &Truth,
    progress: &mut dyn Progress,
) -> Result<Report, CompareError> {
    let size = chunk(&baseline, &test);
    let batches = dataset.batches(&baseline.engine.graph, baseline.preprocessing, size)?;
    // The test decodes for itself only if it sees something else.
    let mut others = match same_view(&baseline, &test)? {
        true => None,
        false => Some(dataset.batches(&test.engine.graph, test.preprocessing, size)?),
    };
    let mut tally = Tally::new(&baseline, dataset, truth);
    progress.stage("compare", Some(dataset.len() as u64));
    for batch in batches {
        let batch = batch?;
        let other = others.as_mut().and_then(Iterator::next).transpose()?;
        let inputs = other.as_ref().map_or(&batch.inputs, |other| &other.inputs);
        let run = |session: &mut Session, inputs: &[Tensor], which| {
            session.run_batches(inputs, &mut |_| {}).map_err(|source| CompareError::Run { which, source })
        };
        let ours = run(&mut *baseline.session, &batch.inputs, "baseline")?;
        let theirs = run(&mut *test.session, inputs, "test")?;
        tally.see(&batch, &ours, &theirs)?;
        batch.samples.iter().for_each(|_| progress.step(""));
    }
    progress.done();
    Ok(tally.finish())
}

/// As many samples as fill the batches that are fixed.
fn chunk(baseline: &Subject<'_>, test: &Subject<'_>) -> usize {
    let fixed = [&baseline.session, &test.session].map(|session| session.largest_batch().unwrap_or(1).max(1));
    let largest = fixed[0].max(fixed[1]);
    largest * CHUNK.div_ceil(largest)
}

/// Whether what one engine reads can be given to the other.
fn same_view(baseline: &Subject<'_>, test: &Subject<'_>) -> Result<bool, CompareError> {
    let (ours, theirs) = (&baseline.engine.graph, &test.engine.graph);
    for (what, a, b) in [("inputs", &ours.inputs, &theirs.inputs), ("outputs", &ours.outputs, &theirs.outputs)] {
        if a.len() != b.len() {
            let (baseline, test) = (ports(ours, a), ports(theirs, b));
            return Err(CompareError::Different { what, baseline, test });
        }
    }
    let facts = ours.inputs.iter().zip(&theirs.inputs).all(|(&a, &b)| {
        let (a, b) = (ours.fact(a), theirs.fact(b));
        // The batch may be open in one and fixed in the other.
        a.dtype == b.dtype && a.rank() == b.rank() && a.shape.iter().zip(b.shape.iter()).skip(1).all(|(a, b)| a == b)
    });
    Ok(facts && baseline.preprocessing == test.preprocessing)
}

/// `f32(N,3,224,224), f32(N,10)`
fn ports(graph: &Graph, values: &[ValueId]) -> String {
    values.iter().map(|&v| format!("{} {}", graph.value(v).name, graph.fact(v))).collect::<Vec<_>>().join(", ")
}

/// Everything that is counted on the way.
struct Tally<'a> {
    graph: &'a Graph,
    preprocessing: &'a Preprocessing,
    dataset: &'a Dataset,
    truth: &'a Truth,
    samples: usize,
    outputs: Vec<OutputSums>,
    classification: Option<(usize, Classification)>,
    segmentation: Option<(usize, Segmentation)>,
}

impl<'a> Tally<'a> {
    fn new(baseline: &Subject<'a>, dataset: &'a Dataset, truth: &'a Truth) -> Self {
        let (graph, preprocessing) = (&baseline.engine.graph, baseline.preprocessing);
        let outputs = graph.outputs.iter().map(|&v| OutputSums::new(&graph.value(v).name)).collect();
        let (samples, classification, segmentation) = (0, None, None);
        Self { graph, preprocessing, dataset, truth, samples, outputs, classification, segmentation }
    }

    fn see(&mut self, batch: &Batch, baseline: &[Tensor], test: &[Tensor]) -> Result<(), CompareError> {
        let count = batch.samples.len();
        for (index, (a, b)) in baseline.iter().zip(test).enumerate() {
            if a.shape() != b.shape() {
                let shapes = [a, b].map(|tensor| format!("{}{:?}", tensor.dtype(), tensor.shape()));
                let [baseline, test] = shapes;
                return Err(CompareError::Different { what: "outputs", baseline, test });
            }
            let rows = if a.shape().first() == Some(&count) { count } else { 1 };
            self.outputs[index].see(&a.to_f32(), &b.to_f32(), rows);
        }
        if self.samples == 0 {
            self.find_tasks(baseline, count)?;
        }
        self.samples += count;
        self.classify(batch, baseline, test)?;
        self.segment(batch, baseline, test)
    }

    /// The first batch shows what the outputs are about.
    fn find_tasks(&mut self, outputs: &[Tensor], samples: usize) -> Result<(), CompareError> {
        for (index, task) in outputs.iter().map(|output| Task::of(output, samples)).enumerate() {
            match task {
                Some(Task::Classification { .. }) if self.classification.is_none() => {
                    self.classification = Some((index, Classification::default()));
                }
                Some(Task::Segmentation { classes, .. }) if self.segmentation.is_none() => {
                    self.segmentation = Some((index, Segmentation::new(classes)));
                }
                _ => {}
            }
        }
        let without =
            |what, wanted| CompareError::NoSuchOutput { what, wanted, outputs: ports(self.graph, &self.graph.outputs) };
        if !self.truth.labels.is_empty() && self.classification.is_none() {
            return Err(without("labels", "scores of classes for each sample, f32(N,C)"));
        }
        if self.truth.masks.is_some() && self.segmentation.is_none() {
            return Err(without("masks", "scores of classes for each pixel, f32(N,C,H,W)"));
        }
        Ok(())
    }

    fn classify(&mut self, batch: &Batch, baseline: &[Tensor], test: &[Tensor]) -> Result<(), CompareError> {
        let Some((index, counts)) = &mut self.classification else { return Ok(()) };
        let Some(Task::Classification { classes }) = Task::of(&baseline[*index], batch.samples.len()) else {
            return Ok(());
        };
        let (ours, theirs) = (baseline[*index].to_f32(), test[*index].to_f32());
        let scores = ours.chunks_exact(classes).zip(theirs.chunks_exact(classes));
        for (&sample, (ours, theirs)) in batch.samples.iter().zip(scores) {
            let label = self.truth.labels.get(sample).copied().flatten();
            if let Some(label) = label.filter(|&label| label >= classes) {
                return Err(CompareError::Label { name: self.dataset.name(sample), label, classes });
            }
            counts.see(ours, theirs, label);
        }
        Ok(())
    }

    fn segment(&mut self, batch: &Batch, baseline: &[Tensor], test: &[Tensor]) -> Result<(), CompareError> {
        let Some((index, counts)) = &mut self.segmentation else { return Ok(()) };
        let task = Task::of(&baseline[*index], batch.samples.len());
        let Some(Task::Segmentation { classes, height, width }) = task else { return Ok(()) };
        let (ours, theirs) = (classes_of_pixels(&baseline[*index]), classes_of_pixels(&test[*index]));
        let pixels = ours.chunks_exact(height * width).zip(theirs.chunks_exact(height * width));
        for (&sample, (ours, theirs)) in batch.samples.iter().zip(pixels) {
            let mask = match &self.truth.masks {
                Some(masks) => masks.open(&self.dataset.name(sample), classes)?,
                None => None,
            };
            let seen = match mask {
                Some(mask) => Some(mask.seen_by(self.graph, self.preprocessing, (height, width))?),
                None => None,
            };
            counts.see(ours, theirs, seen.as_deref());
        }
        Ok(())
    }

    fn finish(self) -> Report {
        let name = |index: usize| self.graph.value(self.graph.outputs[index]).name.clone();
        Report {
            samples: self.samples,
            classification: self.classification.map(|(index, counts)| (name(index), counts)),
            segmentation: self.segmentation.map(|(index, counts)| (name(index), counts)),
            outputs: self.outputs.into_iter().map(OutputSums::finish).collect(),
        }
    }
}
