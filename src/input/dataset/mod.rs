//! Many samples, read as they are needed: to calibrate with, to compare two engines on, to evaluate.

mod arrays;
mod batches;
mod labels;
pub(super) mod listing;

pub use batches::{Batch, Batches};

use super::{InputError, Preprocessing};
use arrays::{Arrays, several};
use limpid_graph::ir::Graph;
use listing::{Listed, Listing};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Files named in a message; the rest is counted.
const SHOWN: usize = 3;

/// The samples of a folder or a file, in the order of their names:
///
/// - pictures (jpg, png, webp, bmp), all in the folder or in folders of it, one a class;
/// - `.npy` files, one sample or a batch each, for a network with one input;
/// - `.npz` files, with an array for each input, and perhaps an integer array `labels`.
///
/// Only names and headers are read at first. [`Dataset::batches`] decodes batch by batch, on all cores, so that the
/// memory it takes does not grow with the number of samples. A file that cannot be read is skipped with a warning, and
/// listed in [`Dataset::skipped`]; a file that can be read but does not fit the network is an error.
#[derive(Debug)]
pub struct Dataset {
    root: PathBuf,
    files: Vec<File>,
    classes: Vec<String>,
    pictures: bool,
    /// The samples that were chosen.
    places: Vec<Place>,
    needed: usize,
    /// Files that could not be read, and why; found on the way.
    skipped: Mutex<BTreeMap<usize, String>>,
}

#[derive(Debug)]
struct File {
    listed: Listed,
    /// How many samples it holds; none if it cannot be read.
    rows: usize,
    /// What it holds, unless it is a picture.
    arrays: Arrays,
}

/// Where a sample lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    file: usize,
    row: usize,
}

/// A file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its path.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl Dataset {
    /// Lists the samples at `path` for a network with the inputs of `graph`.
    ///
    /// # Errors
    /// [`InputError::Read`] for a path that is not there, [`InputError::NoSamples`] where nothing was found,
    /// [`InputError::Mixed`] for pictures beside arrays, [`InputError::SeveralInputs`], [`InputError::Missing`] and
    /// [`InputError::Samples`] for arrays that are not those of the network. A single file that cannot be read is an
    /// error, too.
    pub fn open(path: &Path, graph: &Graph) -> Result<Self, InputError> {
        let Listing { files: listed, classes, pictures } = Listing::of(path)?;
        if pictures && graph.inputs.len() != 1 {
            return Err(several(graph, &listed[0].path));
        }
        let alone = listed.len() == 1;
        let (mut files, mut skipped) = (Vec::new(), BTreeMap::new());
        for (index, listed) in listed.into_iter().enumerate() {
            let described = if pictures { Ok((1, Arrays::default())) } else { Arrays::of(graph, &listed.path) };
            let (rows, arrays) = match described {
                Err(error @ (InputError::Read { .. } | InputError::Array { .. })) if !alone => {
                    skipped.insert(index, warn(&listed, &error));
                    Default::default()
                }
                described => described?,
            };
            files.push(File { listed, rows, arrays });
        }
        let places = all_places(&files).collect();
        let skipped = Mutex::new(skipped);
        let dataset = Self { root: path.to_owned(), files, classes, pictures, places, needed: 1, skipped };
        dataset.check()?;
        Ok(dataset)
    }

    /// Takes at most `most` of the samples, spread evenly over their order, so that every class has its share.
    pub fn at_most(mut self, most: usize) -> Self {
        let (count, kept) = (self.places.len(), most.min(self.places.len()));
        self.places = (0..kept).map(|i| self.places[i * count / kept]).collect();
        self
    }

    /// Asks for at least `needed` samples that can be read; 1 if nothing is said.
    ///
    /// # Errors
    /// [`InputError::TooFew`] if there are not as many. Where some cannot be read, [`Batches`] says so as soon as the
    /// rest cannot make up for them.
    pub fn at_least(mut self, needed: usize) -> Result<Self, InputError> {
        self.needed = needed.max(1);
        self.check()?;
        Ok(self)
    }

    /// The samples of a network, `size` at a time.
    ///
    /// # Errors
    /// [`InputError::Preprocessing`] if the network does not take pictures.
    pub fn batches<'a>(
        &'a self,
        graph: &'a Graph,
        preprocessing: &'a Preprocessing,
        size: usize,
    ) -> Result<Batches<'a>, InputError> {
        Batches::new(self, graph, preprocessing, size)
    }

    /// How many samples there are, those that cannot be read among them.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Where they lie.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What a sample is called: `cat.jpg`, `n02123045/cat.jpg`, `images.npz[3]`.
    pub fn name(&self, sample: usize) -> String {
        self.name_of(self.places[sample])
    }

    /// The names of the folders, one a class, if the samples lie in such.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The folder a sample lies in, as an index into [`Dataset::classes`].
    pub fn class(&self, sample: usize) -> Option<usize> {
        self.files[self.places[sample].file].listed.class
    }

    /// The label of a sample in the array `labels` of its `.npz`.
    pub fn stored_label(&self, sample: usize) -> Option<usize> {
        let Place { file, row } = self.places[sample];
        self.files[file].arrays.labels.get(row).and_then(|&label| usize::try_from(label).ok())
    }

    /// The files that could not be read so far.
    pub fn skipped(&self) -> Vec<Skipped> {
        let path = |file: usize| self.files[file].listed.path.clone();
        self.skipped_files()
            .iter()
            .map(|(&file, reason)| Skipped { path: path(file), reason: reason.clone() })
            .collect()
    }

    /// A hash of the files the samples lie in, whatever they are called and in whatever order: blake3 of the sorted
    /// hashes of their contents, in hexadecimal. Files that the system does not give are skipped here, too.
    ///
    /// # Errors
    /// [`InputError::TooFew`].
    pub fn hash(&self) -> Result<String, InputError> {
        let files: BTreeSet<usize> = self.places.iter().map(|place| place.file).collect();
        let hash = |file: usize| -> Option<[u8; blake3::OUT_LEN]> {
            let path = &self.files[file].listed.path;
            let mut hasher = blake3::Hasher::new();
            match std::fs::File::open(path).and_then(|contents| hasher.update_reader(contents).map(|_| ())) {
                Ok(()) => Some(hasher.finalize().into()),
                Err(source) => {
                    self.skip(file, &InputError::Read { path: path.clone(), source });
                    None
                }
            }
        };
        let mut hashes: Vec<_> = files.into_par_iter().filter_map(hash).collect();
        self.check()?;
        hashes.sort_unstable();
        Ok(blake3::hash(hashes.as_flattened()).to_hex().to_string())
    }

    fn name_of(&self, Place { file, row }: Place) -> String {
        let File { listed, rows, .. } = &self.files[file];
        if *rows == 1 { listed.name.clone() } else { format!("{}[{row}]", listed.name) }
    }

    fn skipped_files(&self) -> MutexGuard<'_, BTreeMap<usize, String>> {
        // Entries are put in whole, so the list is right even if a thread died holding it.
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_skipped(&self, file: usize) -> bool {
        self.skipped_files().contains_key(&file)
    }

    /// Notes a file that cannot be read; the first time, with a warning.
    fn skip(&self, file: usize, error: &InputError) {
        self.skipped_files().entry(file).or_insert_with(|| warn(&self.files[file].listed, error));
    }

    /// Whether enough samples are left.
    fn check(&self) -> Result<(), InputError> {
        let skipped = self.skipped_files();
        let usable = self.places.iter().filter(|place| !skipped.contains_key(&place.file)).count();
        if usable >= self.needed {
            return Ok(());
        }
        let reasons = skipped.iter().map(|(&file, reason)| format!("{} ({reason})", self.files[file].listed.name));
        Err(InputError::TooFew {
            path: self.root.clone(),
            usable,
            listed: self.places.len(),
            needed: self.needed,
            skipped: if skipped.is_empty() { "none".to_owned() } else { first_few(reasons, skipped.len()) },
        })
    }
}

fn all_places(files: &[File]) -> impl Iterator<Item = Place> {
    files.iter().enumerate().flat_map(|(file, f)| (0..f.rows).map(move |row| Place { file, row }))
}

/// Warns of a file that cannot be read and returns what is wrong with it.
fn warn(file: &Listed, error: &InputError) -> String {
    let reason = match error {
        InputError::Read { source, .. } => source.to_string(),
        InputError::Picture { reason, .. } | InputError::Array { reason, .. } => reason.clone(),
        other => other.to_string(),
    };
    tracing::warn!("skipped `{}`: {reason}", file.path.display());
    reason
}

/// `a, b, c and 4 more`.
fn first_few(names: impl Iterator<Item = impl AsRef<str>>, count: usize) -> String {
    let shown: Vec<String> = names.take(SHOWN).map(|name| name.as_ref().to_owned()).collect();
    let more = if count > SHOWN { format!(" and {} more", count - SHOWN) } else { String::new() };
    shown.join(", ") + &more
}
