use super::console::Console;
use super::{CommandError, units};
use crate::input::{LabelTable, class_folders, validation_set};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Write the labels of pictures as CSV: of folders of classes, or of ImageNet's validation pictures
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  limpid labels pictures/ -o labels.csv                       by the order of the folders' names
  limpid labels pictures/ -o labels.csv --synset synsets.txt  as the network counts its classes
  limpid labels val/ -o labels.csv --ground-truth truth.txt   a line for each picture of val/

ImageNet: the numbers in ILSVRC2012_validation_ground_truth.txt, of its development kit, are no
classes of a network; they count from 1 and in an order of their own. --ids says what they stand
for. Archives such as ILSVRC2012_img_val.tar are read as they are.")]
pub(super) struct LabelsArgs {
    /// The folder, or a .tar, .tar.gz or .tgz of it: with a folder per class, or with all the pictures if there is
    /// --ground-truth
    folder: PathBuf,

    /// The file to write: `filename,labelIndex`, a line a picture
    #[arg(short, long, value_name = "CSV")]
    output: PathBuf,

    /// Names of the network's classes, the names of the folders, one a line, the first is class 0 [default: the
    /// folders in the order of their names]
    #[arg(long, value_name = "FILE")]
    synset: Option<PathBuf>,

    /// The class of each picture, one a line in the order of the pictures' names: a number from 0, or a name of --synset
    #[arg(long, value_name = "FILE")]
    ground_truth: Option<PathBuf>,

    /// What the numbers of --ground-truth stand for: names of --synset, one a line, the first is number 1
    #[arg(long, value_name = "FILE", requires_all = ["ground_truth", "synset"])]
    ids: Option<PathBuf>,
}

/// Finds the labels and writes them.
pub(super) fn run(args: &LabelsArgs, console: &mut Console) -> Result<(), CommandError> {
    let synset = args.synset.as_deref();
    let rows = match &args.ground_truth {
        Some(truth) => validation_set(&args.folder, truth, args.ids.as_deref(), synset)?,
        None => class_folders(&args.folder, synset)?,
    };
    LabelTable::write(&args.output, &rows)?;
    let mut classes: Vec<usize> = rows.iter().map(|(_, label)| *label).collect();
    classes.sort_unstable();
    classes.dedup();
    console.json(|| json!({ "output": args.output, "pictures": rows.len(), "classes": classes.len() }))?;
    console.print(format_args!(
        "{} of {} classes -> {}",
        units::count(rows.len(), "picture"),
        classes.len(),
        args.output.display()
    ))?;
    Ok(())
}
