mod report;

use super::CommandError;
use super::console::Console;
use super::environment::{self, CALIB_DATA_DIR, LABELS_CSV};
use super::pictures::PictureArgs;
use super::source::{self, ModelOptions};
use crate::compare::{self, Subject, Truth};
use crate::engine::Engine;
use crate::input::{Dataset, LabelTable, Masks, Preprocessing};
use crate::runtime::{Backend, Session};
use clap::Args;
use report::Comparison;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Compare what two engines of one network answer, with each other and with the truth
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Pictures are seen as the engine has it, unless the arguments under `Pictures` say otherwise; a
model has nothing of its own and sees them as the other does. A picture that cannot be read is
named and skipped.

top-1 agreement is the share of samples with the same best class, top-5 the mean share of the five
best classes that both have. Labels come from --labels; else from an array `labels` beside the
samples of a .npz; else from the folders, if there are as many as classes.

Examples:
  limpid compare resnet50.onnx resnet50.engine val/ --labels val.csv --center-crop --imagenet-norm
  limpid compare fp32.engine fp16.engine samples.npz --layers
  limpid compare unet.onnx unet.engine scans/ --masks masks/ --json")]
pub(super) struct CompareArgs {
    /// The engine to compare with, or an ONNX model to build in FP32 in memory
    baseline: PathBuf,

    /// The engine to look at, or an ONNX model
    test: PathBuf,

    /// A folder of pictures (jpg, png, webp, bmp), all in it or in a folder per class, or of .npy or .npz files; or one
    /// such file [env: CALIB_DATA_DIR]
    images: Option<PathBuf>,

    /// Take at most this many samples, spread evenly over all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max: Option<u32>,

    /// What the samples show: a file with the columns filename,labelIndex, as `limpid labels` writes [env: LABELS_CSV]
    #[arg(long, value_name = "CSV")]
    labels: Option<PathBuf>,

    /// For segmentation networks: a folder of png files with the class of each pixel (255: ignored), named as the
    /// pictures are; seen as these are, but by the nearest pixel, at the output's size
    #[arg(long, value_name = "DIR")]
    masks: Option<PathBuf>,

    /// Compare values inside, too: those that both graphs have by the same name, worst first, by the CPU reference
    #[arg(long)]
    layers: bool,

    /// Samples that --layers takes
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    layer_samples: u32,

    /// Samples of a run, for models
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,

    /// What to run on: auto, cpu, cuda, cuda:N
    #[arg(long, default_value_t = Backend::Auto)]
    backend: Backend,

    #[command(flatten)]
    pictures: PictureArgs,
}

/// One of the two.
struct Side<'a> {
    path: &'a Path,
    engine: Arc<Engine>,
    session: Session,
    preprocessing: Preprocessing,
}

impl<'a> Side<'a> {
    fn open(
        path: &'a Path,
        engine: Arc<Engine>,
        args: &CompareArgs,
        base: &Preprocessing,
    ) -> Result<Self, CommandError> {
        let session = Session::new(Arc::clone(&engine), args.backend)?;
        Ok(Self { path, engine, session, preprocessing: args.pictures.apply(base)? })
    }

    fn subject(&mut self) -> Subject<'_> {
        Subject { engine: &self.engine, session: &mut self.session, preprocessing: &self.preprocessing }
    }

    fn line(&self) -> String {
        format!("{}, {}, {}", self.path.display(), self.engine.metadata.precision, self.session.backend_name())
    }

    fn as_json(&self) -> Value {
        json!({
            "path": self.path, "network": self.engine.metadata.name,
            "precision": self.engine.metadata.precision.name(), "backend": self.session.backend_name(),
            "preprocessing": self.preprocessing.to_string(),
        })
    }
}

/// Runs both on all samples and prints how far they are apart.
pub(super) fn run(args: &CompareArgs, console: &mut Console) -> Result<(), CommandError> {
    let images = args.images.clone().or_else(|| environment::path(CALIB_DATA_DIR)).ok_or_else(|| {
        CommandError::usage(format!(
            "there is nothing to compare on: name a folder of pictures, or set {CALIB_DATA_DIR}"
        ))
    })?;
    let options = ModelOptions { precision: None, batch: args.batch as usize, backend: args.backend };
    let mut engines = Vec::new();
    for path in [&args.baseline, &args.test] {
        engines.push((path, source::is_engine(path), Arc::new(source::open(path, options, console)?)));
    }
    // A model carries no preprocessing, so it takes the other's.
    let own = engines.iter().filter(|(_, is_engine, _)| *is_engine).map(|(_, _, engine)| engine);
    let other = own.map(|engine| engine.metadata.preprocessing.clone()).next().unwrap_or_default();
    let mut sides = Vec::new();
    for (path, is_engine, engine) in engines {
        let base = if is_engine { engine.metadata.preprocessing.clone() } else { other.clone() };
        sides.push(Side::open(path, engine, args, &base)?);
    }
    let [baseline, test] = &mut sides[..] else { return Ok(()) };
    if let Some(note) = baseline.session.note().or(test.session.note()) {
        console.note(format_args!("note: running on the CPU: {note}"));
    }
    if baseline.preprocessing != test.preprocessing {
        console.note(format_args!(
            "note: the two see pictures differently: {}; and {}",
            baseline.preprocessing, test.preprocessing
        ));
    }

    let mut dataset = Dataset::open(&images, &baseline.engine.graph)?;
    if let Some(max) = args.max {
        dataset = dataset.at_most(max as usize);
    }
    let (labels, origin) = labels(args.labels.clone(), &dataset, &baseline.engine, console)?;
    let masks = args.masks.as_deref().map(|folder| masks(folder, &dataset)).transpose()?;
    let truth = Truth { labels, masks };
    let report = compare::compare(baseline.subject(), test.subject(), &dataset, &truth, &mut console.progress())?;
    let layers = match args.layers {
        true => Some(compare::layers(
            (&baseline.engine.graph, &baseline.preprocessing),
            (&test.engine.graph, &test.preprocessing),
            &dataset,
            args.layer_samples as usize,
            &mut console.progress(),
        )?),
        false => None,
    };
    let result = Comparison { baseline, test, dataset: &dataset, report: &report, origin, layers: layers.as_deref() };
    console.json(|| result.as_json())?;
    result.show(console)
}

/// The label of each sample, and where it is from; none if nothing is known.
pub(in crate::cli) fn labels(
    table: Option<PathBuf>,
    dataset: &Dataset,
    engine: &Engine,
    console: &mut Console,
) -> Result<(Vec<Option<usize>>, Option<String>), CommandError> {
    if let Some(path) = table.or_else(|| environment::path(LABELS_CSV)) {
        return Ok((dataset.labels(&LabelTable::open(&path)?)?, Some(path.display().to_string())));
    }
    // What lies beside the samples is no more than an offer: it counts for a classifier only.
    let Some(classes) = classes(engine) else { return Ok(Default::default()) };
    let of_all = |label: &dyn Fn(usize) -> Option<usize>| (0..dataset.len()).map(label).collect::<Vec<_>>();
    let stored = of_all(&|sample| dataset.stored_label(sample));
    if stored.iter().any(Option::is_some) {
        return Ok((stored, Some("the array `labels`".to_owned())));
    }
    match dataset.classes().len() {
        0 => Ok(Default::default()),
        folders if folders == classes => Ok((of_all(&|sample| dataset.class(sample)), Some("the folders".to_owned()))),
        folders => {
            console.note(format_args!(
                "note: {folders} folders are no labels for a network of {classes} classes; `limpid labels --synset` \
                 writes which is which"
            ));
            Ok(Default::default())
        }
    }
}

/// The masks of a folder; one of a picture must be among them.
fn masks(folder: &Path, dataset: &Dataset) -> Result<Masks, CommandError> {
    let masks = Masks::list(folder)?;
    if (0..dataset.len()).any(|sample| masks.has(&dataset.name(sample))) {
        return Ok(masks);
    }
    let (folder, root) = (folder.display(), dataset.root().display());
    Err(CommandError::usage(format!("no mask in `{folder}` has the name of a picture in `{root}`")))
}

/// How many classes a classifier tells apart.
fn classes(engine: &Engine) -> Option<usize> {
    let facts = engine.graph.outputs.iter().map(|&output| engine.graph.fact(output));
    let of = |extents: Vec<Option<usize>>| match extents[..] {
        [_, Some(classes)] | [_, Some(classes), Some(1), Some(1)] if classes > 1 => Some(classes),
        _ => None,
    };
    facts.filter(|fact| fact.dtype.is_float()).find_map(|fact| of(fact.shape.iter().map(|d| d.as_usize()).collect()))
}
