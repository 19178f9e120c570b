//! Exports as files.

use crate::cli::CommandError;
use crate::input::InputError;
use crate::output_file::write_whole;
use serde::Serialize;
use std::path::Path;

/// Writes a value as JSON, the whole file or nothing.
pub(super) fn write(path: &Path, value: &impl Serialize) -> Result<(), CommandError> {
    let written = write_whole(path, |out| {
        serde_json::to_writer_pretty(&mut *out, value)?;
        writeln!(out)
    });
    written.map_err(|source| InputError::Write { path: path.to_owned(), source }.into())
}
