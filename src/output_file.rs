//! Files that are there whole or not at all.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes a file under a temporary name in the same folder, makes sure it is on the disk, and renames it.
///
/// Whatever goes wrong on the way, and whoever reads meanwhile, `path` holds what it held before or all of
/// what `write` wrote.
///
/// # Errors
/// Those of `write` and the system's: no such folder, no room, no permission.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?;
    if path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    let file = with_usual_permissions(tempfile::Builder::new().prefix(&prefix).suffix(".part")).tempfile_in(folder)?;
    let mut buffered = BufWriter::with_capacity(1 << 20, file);
    write(&mut buffered)?;
    let file = buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|failure| failure.error)?;
    sync_folder(folder);
    Ok(())
}

/// Temporary files are private by default; this one becomes an ordinary file, less what the umask takes.
#[cfg(unix)]
fn with_usual_permissions<'a, 'b>(builder: &'a mut tempfile::Builder<'b, 'b>) -> &'a mut tempfile::Builder<'b, 'b> {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn with_usual_permissions<'a, 'b>(builder: &'a mut tempfile::Builder<'b, 'b>) -> &'a mut tempfile::Builder<'b, 'b> {
    builder
}

/// The new name survives a power cut only once the folder is on the disk, too. Some file systems refuse to sync
/// a folder; the file itself is safe by then, so that is no error.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("result");
        write_whole(&path, |out| out.write_all(b"old")).expect("it can be written");
        let error = write_whole(&path, |out| {
            out.write_all(&[1; 100_000])?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(error.expect_err("it failed").to_string(), "no more");
        assert_eq!(std::fs::read(&path).expect("it is there"), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn refuses_folders_and_paths_without_a_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(write_whole(folder.path(), |_| Ok(())).is_err());
        assert!(write_whole(&folder.path().join("no/such/result"), |_| Ok(())).is_err());
    }
}
