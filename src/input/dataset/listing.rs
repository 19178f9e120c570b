use crate::input::InputError;
use crate::input::load::short;
use std::fs;
use std::path::{Path, PathBuf};

/// Endings of names that pictures have, in any case.
const PICTURES: [&str; 5] = ["jpg", "jpeg", "png", "webp", "bmp"];

/// Endings of names that arrays have.
const ARRAYS: [&str; 2] = ["npy", "npz"];

/// A file that may hold samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::input) struct Listed {
    pub path: PathBuf,
    /// The path from the root, with `/` between its parts: `cat.jpg`, `n02123045/cat.jpg`.
    pub name: String,
    /// The folder it lies in, counted from 0 in the order of their names.
    pub class: Option<usize>,
}

/// The files of a folder, sorted by name.
#[derive(Debug)]
pub(in crate::input) struct Listing {
    pub files: Vec<Listed>,
    /// Names of the folders, if there is one a class.
    pub classes: Vec<String>,
    pub pictures: bool,
}

impl Listing {
    /// Looks for samples at `root`: the file itself; else files in it; else files in its folders, one a class.
    ///
    /// Files in `root` come before folders: what lies in folders beside them, masks say, is something else.
    pub(in crate::input) fn of(root: &Path) -> Result<Self, InputError> {
        let kind = fs::metadata(root).map_err(|source| InputError::Read { path: root.to_owned(), source })?;
        if kind.is_file() {
            let name = short(root);
            return Self::checked(root, vec![Listed { path: root.to_owned(), name, class: None }], Vec::new());
        }
        let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries(root)?.into_iter().partition(|p| p.is_dir());
        let flat: Vec<Listed> = files.into_iter().filter_map(|path| listed(path, None)).collect();
        if !flat.is_empty() {
            return Self::checked(root, flat, Vec::new());
        }
        let (mut in_folders, mut classes) = (Vec::new(), Vec::new());
        for folder in folders {
            let name = short(&folder);
            let class = Some((classes.len(), name.as_str()));
            in_folders.extend(entries(&folder)?.into_iter().filter_map(|path| listed(path, class)));
            classes.push(name);
        }
        Self::checked(root, in_folders, classes)
    }

    /// Something must be there, and of one kind: pictures beside arrays may be anything.
    fn checked(root: &Path, files: Vec<Listed>, classes: Vec<String>) -> Result<Self, InputError> {
        let first = |endings: &[&str]| files.iter().find(|file| ends_in(&file.path, endings));
        match (first(&PICTURES), first(&ARRAYS)) {
            (Some(picture), Some(array)) => Err(InputError::Mixed {
                path: root.to_owned(),
                picture: picture.name.clone(),
                array: array.name.clone(),
            }),
            (None, None) => {
                let endings: Vec<String> = PICTURES.iter().chain(&ARRAYS).map(|e| format!(".{e}")).collect();
                let looked_for = format!("{}, there or in folders of it, one a class", endings.join(", "));
                Err(InputError::NoSamples { path: root.to_owned(), looked_for })
            }
            (picture, _) => Ok(Self { pictures: picture.is_some(), files, classes }),
        }
    }
}

/// Files and folders, sorted by name; hidden ones are nobody's samples.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, InputError> {
    let failed = |source| InputError::Read { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn listed(path: PathBuf, class: Option<(usize, &str)>) -> Option<Listed> {
    let known = !path.is_dir() && (ends_in(&path, &PICTURES) || ends_in(&path, &ARRAYS));
    let file = short(&path);
    let name = class.map_or_else(|| file.clone(), |(_, folder)| format!("{folder}/{file}"));
    known.then_some(Listed { path, name, class: class.map(|(index, _)| index) })
}

/// True if a file of this name is a picture.
pub(in crate::input) fn is_picture(path: &Path) -> bool {
    ends_in(path, &PICTURES)
}

fn ends_in(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|ending| endings.contains(&ending.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder");
            fs::write(path, b"").expect("a file");
        }
        folder
    }

    fn names(files: &[&str]) -> Vec<(String, Option<usize>)> {
        let folder = folder(files);
        let listing = Listing::of(folder.path()).expect("there are samples");
        listing.files.into_iter().map(|file| (file.name, file.class)).collect()
    }

    #[test]
    fn files_are_sorted_and_others_passed_by() {
        let found = names(&["b.JPEG", "a.png", "notes.txt", ".hidden.png", "masks/a.png"]);
        assert_eq!(found, [("a.png".to_owned(), None), ("b.JPEG".to_owned(), None)]);
    }

    #[test]
    fn folders_are_classes_in_the_order_of_their_names() {
        let found = names(&["dog/1.png", "cat/2.png", "cat/1.webp", "readme.md", "cat/deeper/3.png"]);
        let expected = [("cat/1.webp", 0), ("cat/2.png", 0), ("dog/1.png", 1)];
        assert_eq!(found, expected.map(|(name, class)| (name.to_owned(), Some(class))));
    }

    #[test]
    fn nothing_and_everything_are_refused() {
        let error = Listing::of(folder(&["notes.txt", "a/b.txt"]).path()).expect_err("no samples");
        assert!(error.to_string().contains(".webp, .bmp, .npy, .npz"), "{error}");
        let error = Listing::of(folder(&["a.png", "b.npy"]).path()).expect_err("two kinds");
        assert!(matches!(&error, InputError::Mixed { .. }), "{error}");
        assert!(matches!(Listing::of(Path::new("no/such/folder")), Err(InputError::Read { .. })));
    }
}
