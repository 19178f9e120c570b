//! Names of the pictures in an archive, which is not unpacked for it.

use super::InputError;
use super::dataset::listing::{Listed, Listing, is_picture};
use flate2::read::GzDecoder;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// True for `.tar`, `.tar.gz` and `.tgz`.
pub(super) fn is_archive(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    path.is_file() && (name.ends_with(".tar") || is_compressed(&name))
}

fn is_compressed(name: &str) -> bool {
    name.ends_with(".tar.gz") || name.ends_with(".tgz")
}

/// The pictures of an archive as if it were unpacked: sorted by name; where they lie in folders, those are classes.
///
/// # Errors
/// [`InputError::Read`] if it is no archive, [`InputError::NoSamples`] if it holds no pictures.
pub(super) fn listing(path: &Path) -> Result<Listing, InputError> {
    let failed = |source| InputError::Read { path: path.to_owned(), source };
    let file = BufReader::new(File::open(path).map_err(failed)?);
    let reader: Box<dyn Read> = match is_compressed(&path.to_string_lossy().to_ascii_lowercase()) {
        true => Box::new(GzDecoder::new(file)),
        false => Box::new(file),
    };
    let mut pictures: Vec<PathBuf> = Vec::new();
    for entry in tar::Archive::new(reader).entries().map_err(failed)? {
        let name = entry.map_err(failed)?.path().map_err(failed)?.into_owned();
        if is_picture(&name) {
            pictures.push(name);
        }
    }
    pictures.sort();
    let folder_of = |picture: &Path| Some(picture.parent()?.file_name()?.to_string_lossy().into_owned());
    let classes: Vec<String> =
        pictures.iter().filter_map(|p| folder_of(p)).collect::<BTreeSet<String>>().into_iter().collect();
    // One folder around all pictures is how they were packed, and no class.
    let classes = if classes.len() > 1 { classes } else { Vec::new() };
    let files = pictures.into_iter().map(|picture| {
        let name = picture.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let class = folder_of(&picture).and_then(|folder| classes.iter().position(|class| *class == folder));
        let name = class.map_or_else(|| name.clone(), |class| format!("{}/{name}", classes[class]));
        Listed { path: picture, name, class }
    });
    let files: Vec<Listed> = files.collect();
    if files.is_empty() {
        let looked_for = "pictures in the archive".to_owned();
        return Err(InputError::NoSamples { path: path.to_owned(), looked_for });
    }
    Ok(Listing { files, classes, pictures: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn archive(files: &[&str]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for name in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(1);
            builder.append_data(&mut header, name, &b"x"[..]).expect("an entry");
        }
        builder.into_inner().expect("an archive")
    }

    fn names(file: &str, bytes: &[u8]) -> Vec<(String, Option<usize>)> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(file);
        std::fs::write(&path, bytes).expect("a file");
        assert!(is_archive(&path));
        let files = listing(&path).expect("pictures").files;
        files.into_iter().map(|file| (file.name, file.class)).collect()
    }

    #[test]
    fn pictures_are_listed_as_if_unpacked() {
        let flat = archive(&["val/b.JPEG", "val/a.JPEG", "val/readme.txt"]);
        let expected = [("a.JPEG".to_owned(), None), ("b.JPEG".to_owned(), None)];
        assert_eq!(names("val.tar", &flat), expected);
        let mut compressed = GzEncoder::new(Vec::new(), Compression::fast());
        compressed.write_all(&flat).expect("compressed");
        assert_eq!(names("val.tar.gz", &compressed.finish().expect("whole")), expected);
        let classes = archive(&["train/n02/1.png", "train/n01/2.png"]);
        let expected = [("n01/2.png".to_owned(), Some(0)), ("n02/1.png".to_owned(), Some(1))];
        assert_eq!(names("train.tar", &classes), expected);
    }

    #[test]
    fn what_holds_no_pictures_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.tar");
        std::fs::write(&path, archive(&["a.txt"])).expect("a file");
        assert!(matches!(listing(&path), Err(InputError::NoSamples { .. })));
        std::fs::write(&path, b"this is no archive, however long it may be").expect("a file");
        assert!(listing(&path).is_err());
    }
}
