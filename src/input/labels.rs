use super::InputError;
use std::path::Path;

/// The names of a classifier's classes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(Vec<String>);

impl Labels {
    /// Reads a text file with one name a line; the first is class 0. Empty lines at the end are dropped.
    ///
    /// # Errors
    /// [`InputError::Read`]: not there, or not UTF-8.
    pub fn open(path: &Path) -> Result<Self, InputError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| InputError::Read { path: path.to_owned(), source })?;
        Ok(Self::parse(&text))
    }

    /// From the text of such a file.
    pub fn parse(text: &str) -> Self {
        Self(text.trim_end().lines().map(|line| line.trim().to_owned()).collect())
    }

    /// The name of a class, if there is one.
    pub fn get(&self, class: usize) -> Option<&str> {
        self.0.get(class).map(String::as_str)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_a_line() {
        let labels = Labels::parse("cat\r\ndog \n\nbird\n\n");
        assert_eq!(
            (labels.get(0), labels.get(1), labels.get(3), labels.get(4)),
            (Some("cat"), Some("dog"), Some("bird"), None)
        );
    }
}
