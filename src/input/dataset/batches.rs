use super::{Dataset, File, Place};
use crate::input::load::{fit, frame, name_of, stack};
use crate::input::preprocessing::Frame;
use crate::input::{InputError, Picture, Preprocessing};
use limpid_graph::ir::Graph;
use limpid_graph::tensor::{DType, Tensor};
use rayon::prelude::*;

/// A few samples, ready for a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Which samples of the [`Dataset`] these are.
    pub samples: Vec<usize>,
    /// One tensor an input in the network's order, the samples along the first axis.
    pub inputs: Vec<Tensor>,
}

/// Decodes a [`Dataset`] batch by batch. Every batch but the last is full: for a file that is skipped, the next one
/// takes its place.
#[derive(Debug)]
pub struct Batches<'a> {
    dataset: &'a Dataset,
    graph: &'a Graph,
    preprocessing: &'a Preprocessing,
    /// What the network asks of a picture, where the samples are pictures.
    frame: Option<Frame>,
    size: usize,
    /// The next sample.
    next: usize,
    /// The file of arrays that was read last, and its array for each input.
    open: Option<(usize, Vec<Tensor>)>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(
        dataset: &'a Dataset,
        graph: &'a Graph,
        preprocessing: &'a Preprocessing,
        size: usize,
    ) -> Result<Self, InputError> {
        let frame = if dataset.pictures { Some(frame(graph, 0, preprocessing)?) } else { None };
        Ok(Self { dataset, graph, preprocessing, frame, size: size.max(1), next: 0, open: None })
    }

    fn batch(&mut self) -> Result<Batch, InputError> {
        let mut samples = Vec::with_capacity(self.size);
        let mut parts: Vec<Vec<Tensor>> = vec![Vec::new(); self.graph.inputs.len()];
        while samples.len() < self.size && self.next < self.dataset.len() {
            let end = (self.next + self.size - samples.len()).min(self.dataset.len());
            let read = match self.frame {
                Some(frame) => self.decode(end, frame),
                None => self.rows(end)?,
            };
            for part in read {
                self.check_extents(&parts, &part)?;
                samples.extend(part.samples);
                part.inputs.into_iter().zip(&mut parts).for_each(|(tensor, parts)| parts.push(tensor));
            }
        }
        // Whatever was skipped on the way: are there still as many as are needed?
        self.dataset.check()?;
        Ok(Batch { samples, inputs: parts.into_iter().filter(|part| !part.is_empty()).map(stack).collect() })
    }

    /// Where the network leaves extents open, the samples of a batch must agree on them.
    fn check_extents(&self, parts: &[Vec<Tensor>], next: &Batch) -> Result<(), InputError> {
        for (input, (parts, tensor)) in parts.iter().zip(&next.inputs).enumerate() {
            if let Some(first) = parts.first().filter(|first| first.shape()[1..] != tensor.shape()[1..]) {
                let sample = next.samples.first().map_or(0, |&sample| self.dataset.places[sample].file);
                return Err(InputError::Shape {
                    path: self.dataset.files[sample].listed.path.clone(),
                    input: name_of(self.graph, input).to_owned(),
                    found: format!("{:?}", tensor.shape()),
                    expected: format!("{:?} after the first extent, as the sample before", &first.shape()[1..]),
                });
            }
        }
        Ok(())
    }

    /// Decodes pictures up to sample `end`, all at once.
    fn decode(&mut self, end: usize, frame: Frame) -> Vec<Batch> {
        let (dataset, preprocessing) = (self.dataset, self.preprocessing);
        let samples = self.next..end;
        self.next = end;
        let decoded = samples.into_par_iter().filter_map(|sample| {
            let file = dataset.places[sample].file;
            if dataset.is_skipped(file) {
                return None;
            }
            match Picture::open(&dataset.files[file].listed.path, frame.channels) {
                Ok(picture) => {
                    Some(Batch { samples: vec![sample], inputs: vec![preprocessing.apply(&picture, &frame)] })
                }
                Err(error) => {
                    dataset.skip(file, &error);
                    None
                }
            }
        });
        decoded.collect()
    }

    /// Rows of one file of arrays, up to sample `end` or the end of the file.
    fn rows(&mut self, end: usize) -> Result<Vec<Batch>, InputError> {
        let (dataset, start) = (self.dataset, self.next);
        let places = &dataset.places[start..end];
        let Some(&Place { file, .. }) = places.first() else { return Ok(Vec::new()) };
        let count = places.iter().take_while(|place| place.file == file).count();
        self.next += count;
        if self.open.as_ref().is_none_or(|(open, _)| *open != file) {
            self.open = None;
            let File { listed, arrays, rows } = &dataset.files[file];
            match arrays.read(self.graph, &listed.path, *rows) {
                Ok(arrays) => self.open = Some((file, arrays)),
                Err(error @ (InputError::Read { .. } | InputError::Array { .. })) => dataset.skip(file, &error),
                Err(other) => return Err(other),
            }
        }
        let Some((_, arrays)) = &self.open else { return Ok(Vec::new()) };
        let path = &dataset.files[file].listed.path;
        let mut inputs = Vec::with_capacity(arrays.len());
        for (input, array) in arrays.iter().enumerate() {
            let chosen = gather(array, places[..count].iter().map(|place| place.row));
            let fitted = fit(self.graph, input, path, chosen, self.preprocessing)?;
            inputs.push(stack(fitted.into_iter().map(|(_, tensor)| tensor).collect()));
        }
        Ok(vec![Batch { samples: (start..start + count).collect(), inputs }])
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batch();
        match batch {
            Ok(batch) if batch.samples.is_empty() => None,
            Ok(batch) => Some(Ok(batch)),
            Err(error) => {
                // After an error there is nothing more.
                self.next = self.dataset.len();
                Some(Err(error))
            }
        }
    }
}

/// These rows of the first axis.
fn gather(tensor: &Tensor, rows: impl ExactSizeIterator<Item = usize>) -> Tensor {
    let mut shape = tensor.shape().to_vec();
    let size = tensor.bytes().len() / shape[0].max(1);
    shape[0] = rows.len();
    let bytes: Vec<u8> = rows.flat_map(|row| tensor.bytes()[row * size..(row + 1) * size].iter().copied()).collect();
    // Rows lie inside, and their lengths add up.
    Tensor::from_bytes(tensor.dtype(), &shape, &bytes).unwrap_or_else(|_| Tensor::zeros(DType::F32, &[0]))
}
