use super::InputError;
use crate::output_file::write_whole;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The first line of a file of labels.
const HEADER: &str = "filename,labelIndex";

/// Which class each file shows: a CSV file with the columns `filename,labelIndex`, classes counted from 0.
///
/// A name may stand in quotation marks, with those inside it doubled (RFC 4180); without them it ends at the line's
/// last comma.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelTable {
    path: PathBuf,
    rows: BTreeMap<String, usize>,
}

impl LabelTable {
    /// Reads such a file. Its first line may be the names of the columns; empty lines are passed by.
    ///
    /// # Errors
    /// [`InputError::Read`], [`InputError::LabelLine`].
    pub fn open(path: &Path) -> Result<Self, InputError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| InputError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// From the text of such a file; `path` names it.
    ///
    /// # Errors
    /// [`InputError::LabelLine`]: a line of another form, or a name with two labels.
    pub fn parse(path: &Path, text: &str) -> Result<Self, InputError> {
        let mut rows = BTreeMap::new();
        let lines = text.trim_start_matches('\u{feff}').lines().zip(1..);
        for (line, number) in lines.filter(|(line, _)| !line.trim().is_empty()) {
            let fail = |reason: String| InputError::LabelLine { path: path.to_owned(), line: number, reason };
            if number == 1 && line.trim().eq_ignore_ascii_case(HEADER) {
                continue;
            }
            let parsed = line.trim().rsplit_once(',').and_then(|(name, label)| {
                Some((unquoted(name.trim())?, label.trim().trim_matches('"').parse::<usize>().ok()?))
            });
            let (name, label) = parsed
                .ok_or_else(|| fail(format!("expected `filename,labelIndex` as in `cat.jpg,281`, not `{line}`")))?;
            match rows.insert(name.clone(), label) {
                Some(other) if other != label => {
                    return Err(fail(format!("`{name}` is {label} here and {other} before")));
                }
                _ => {}
            }
        }
        match rows.is_empty() {
            true => {
                Err(InputError::LabelLine { path: path.to_owned(), line: 1, reason: "there are no labels".to_owned() })
            }
            false => Ok(Self { path: path.to_owned(), rows }),
        }
    }

    /// Writes names with their labels, in this order.
    ///
    /// # Errors
    /// [`InputError::Write`].
    pub fn write(path: &Path, rows: &[(String, usize)]) -> Result<(), InputError> {
        let lines = rows.iter().map(|(name, label)| format!("{},{label}\n", quoted(name)));
        let text: String = std::iter::once(format!("{HEADER}\n")).chain(lines).collect();
        write_whole(path, |out| out.write_all(text.as_bytes()))
            .map_err(|source| InputError::Write { path: path.to_owned(), source })
    }

    /// The file it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names and labels, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.rows.iter().map(|(name, &label)| (name.as_str(), label))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

fn quoted(name: &str) -> String {
    if name.contains(['"', ',']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

/// `None` for no name, or for quotation marks that do not end.
fn unquoted(text: &str) -> Option<String> {
    let name = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?.replace("\"\"", "\""),
        None => text.to_owned(),
    };
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<(String, usize)>, String> {
        let table = LabelTable::parse(Path::new("labels.csv"), text).map_err(|e| e.to_string())?;
        Ok(table.iter().map(|(name, label)| (name.to_owned(), label)).collect())
    }

    #[test]
    fn what_is_written_reads_back() {
        let rows = ["a.png", "cat/b.png", "with \" mark.png", "with, comma.png"].map(str::to_owned);
        let rows: Vec<(String, usize)> = rows.into_iter().zip([3, 0, 999, 1]).collect();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("labels.csv");
        LabelTable::write(&path, &rows).expect("it can be written");
        let table = LabelTable::open(&path).expect("it can be read");
        assert_eq!(table.iter().map(|(name, label)| (name.to_owned(), label)).collect::<Vec<_>>(), rows);
        let text = std::fs::read_to_string(&path).expect("a text");
        assert!(text.starts_with("filename,labelIndex\na.png,3\n"), "{text}");
    }

    #[test]
    fn the_header_may_be_missing_and_lines_end_as_they_like() {
        let expected = Ok(vec![("a.png".to_owned(), 1), ("b,c.png".to_owned(), 2)]);
        assert_eq!(parse("\u{feff}FileName,LabelIndex\r\na.png, 1\r\n\r\nb,c.png,2"), expected);
        assert_eq!(parse("a.png,1\n\"b,c.png\",\"2\"\n"), expected);
    }

    #[test]
    fn lines_that_are_no_labels_are_named() {
        for (text, words) in [
            ("a.png", "line 1: expected"),
            ("a.png,1\nb.png,cat", "line 2: expected"),
            ("a.png,-1", "line 1"),
            (",1", "line 1"),
            ("\"a.png,1", "line 1"),
            ("a.png,1\na.png,2", "line 2: `a.png` is 2 here and 1 before"),
            ("filename,labelIndex\n", "no labels"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(words), "{error}");
        }
    }
}
