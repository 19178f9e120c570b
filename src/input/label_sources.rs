//! Where labels come from: folders of classes, and the files that come with ImageNet's validation pictures.

use super::dataset::listing::Listing;
use super::{InputError, Labels, archive};
use std::collections::BTreeMap;
use std::path::Path;

/// The pictures of a folder or of an archive of it.
fn pictures(path: &Path) -> Result<Listing, InputError> {
    if archive::is_archive(path) { archive::listing(path) } else { Listing::of(path) }
}

/// The pictures of a folder with a folder per class, and their classes: the places of the folders' names in the file
/// `synset`, or without one in their own order.
///
/// # Errors
/// [`InputError::NoSamples`] if there are no folders with pictures, [`InputError::UnknownClass`] for a folder that
/// `synset` does not name, [`InputError::Read`].
pub fn class_folders(folder: &Path, synset: Option<&Path>) -> Result<Vec<(String, usize)>, InputError> {
    let Listing { files, classes, .. } = pictures(folder)?;
    if classes.is_empty() {
        let looked_for = "folders of pictures, one a class".to_owned();
        return Err(InputError::NoSamples { path: folder.to_owned(), looked_for });
    }
    let synset = synset.map(Synset::open).transpose()?;
    let label = |class: usize| synset.as_ref().map_or(Ok(class), |synset| synset.find(&classes[class]));
    files.into_iter().map(|file| Ok((file.name, label(file.class.unwrap_or(0))?))).collect()
}

/// The pictures of a folder, sorted by name, and their classes from a file with a line for each: a class, counted from
/// 0; a number of `ids`, counted from 1, that is a name there; or a name. Names are looked up in `synset`.
///
/// # Errors
/// [`InputError::LabelLine`] for a line that is none of these and for more or fewer lines than pictures; those of
/// [`class_folders`].
pub fn validation_set(
    folder: &Path,
    truth: &Path,
    ids: Option<&Path>,
    synset: Option<&Path>,
) -> Result<Vec<(String, usize)>, InputError> {
    let Listing { files, .. } = pictures(folder)?;
    let text = std::fs::read_to_string(truth).map_err(|source| InputError::Read { path: truth.to_owned(), source })?;
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim).collect();
    let fail = |line: usize, reason: String| InputError::LabelLine { path: truth.to_owned(), line, reason };
    if lines.len() != files.len() {
        let reason = format!("it has {} lines for {} pictures; there must be one for each", lines.len(), files.len());
        return Err(fail(lines.len(), reason));
    }
    let (ids, synset) = (ids.map(Labels::open).transpose()?, synset.map(Synset::open).transpose()?);
    let label = |line: &str| -> Result<usize, String> {
        let known = |name: &str| match &synset {
            Some(synset) => synset.find(name).map_err(|e| e.to_string()),
            None => Err(format!("`{name}` is no number; which class is it? (--synset)")),
        };
        match (line.parse::<usize>(), &ids) {
            (Ok(class), None) => Ok(class),
            (Ok(id), Some(ids)) => match id.checked_sub(1).and_then(|index| ids.get(index)) {
                Some(name) => known(name),
                None => Err(format!("there is no number {id} among {} names, counted from 1", ids.len())),
            },
            (Err(_), _) => known(line),
        }
    };
    let rows = files.into_iter().zip(lines).zip(1..);
    rows.map(|((file, line), number)| Ok((file.name, label(line).map_err(|reason| fail(number, reason))?))).collect()
}

/// The classes of a network by name: one a line, the first is class 0. Behind the name may be words that explain it,
/// as in `n01440764 tench, Tinca tinca`.
struct Synset<'a> {
    path: &'a Path,
    classes: BTreeMap<String, usize>,
}

impl<'a> Synset<'a> {
    fn open(path: &'a Path) -> Result<Self, InputError> {
        let labels = Labels::open(path)?;
        let lines = || (0..labels.len()).filter_map(|class| Some((labels.get(class)?, class)));
        // Whole lines come last: they are certain.
        let first_words = lines().map(|(line, class)| (line.split_whitespace().next().unwrap_or_default(), class));
        let classes = first_words.chain(lines()).map(|(name, class)| (name.to_owned(), class)).collect();
        Ok(Self { path, classes })
    }

    fn find(&self, name: &str) -> Result<usize, InputError> {
        let unknown = || InputError::UnknownClass { path: self.path.to_owned(), name: name.to_owned() };
        self.classes.get(name.trim()).copied().ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, contents) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder");
            fs::write(path, contents).expect("a file");
        }
        folder
    }

    fn rows(expected: &[(&str, usize)]) -> Vec<(String, usize)> {
        expected.iter().map(|&(name, label)| (name.to_owned(), label)).collect()
    }

    #[test]
    fn folders_are_counted_or_looked_up() {
        let pictures = folder(&[("n02/a.png", ""), ("n01/b.png", ""), ("n01/c.jpg", "")]);
        let found = class_folders(pictures.path(), None).expect("folders of classes");
        assert_eq!(found, rows(&[("n01/b.png", 0), ("n01/c.jpg", 0), ("n02/a.png", 1)]));
        let words = folder(&[("all", "n00 fish\nn02 cat, house cat\nn01\n"), ("few", "n01\n")]);
        let found = class_folders(pictures.path(), Some(&words.path().join("all"))).expect("folders of classes");
        assert_eq!(found, rows(&[("n01/b.png", 2), ("n01/c.jpg", 2), ("n02/a.png", 1)]));
        let error = class_folders(pictures.path(), Some(&words.path().join("few"))).expect_err("n02 is not there");
        assert!(matches!(&error, InputError::UnknownClass { name, .. } if name == "n02"), "{error}");
        let flat = folder(&[("a.png", "")]);
        assert!(matches!(class_folders(flat.path(), None), Err(InputError::NoSamples { .. })));
    }

    #[test]
    fn a_validation_set_has_a_line_a_picture() {
        let pictures = folder(&[("val_2.JPEG", ""), ("val_1.JPEG", ""), ("val_3.JPEG", "")]);
        let files = folder(&[
            ("numbers", "5\n0\n7\n"),
            ("names", "n02\nn01\nn02"),
            ("ids", "2\n1\n2\n"),
            ("of_ids", "n01\nn02\n"),
            ("synset", "n00\nn01\nn02\n"),
            ("short", "1\n2\n"),
            ("odd", "1\nx\n3\n"),
        ]);
        let path = |name: &str| files.path().join(name);
        let set = |truth: &str, ids: Option<&str>, synset: Option<&str>| {
            let (ids, synset) = (ids.map(path), synset.map(path));
            validation_set(pictures.path(), &path(truth), ids.as_deref(), synset.as_deref())
        };
        let labelled = |a, b, c| rows(&[("val_1.JPEG", a), ("val_2.JPEG", b), ("val_3.JPEG", c)]);
        assert_eq!(set("numbers", None, None).expect("labels"), labelled(5, 0, 7));
        assert_eq!(set("names", None, Some("synset")).expect("labels"), labelled(2, 1, 2));
        assert_eq!(set("ids", Some("of_ids"), Some("synset")).expect("labels"), labelled(2, 1, 2));
        for (truth, ids, words) in [
            ("short", None, "2 lines for 3 pictures"),
            ("odd", None, "line 2: `x` is no number"),
            ("numbers", Some("of_ids"), "line 1: there is no number 5"),
        ] {
            let error = set(truth, ids, None).expect_err(truth).to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
