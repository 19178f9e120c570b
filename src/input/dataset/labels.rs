use super::{Dataset, File, Place, all_places, first_few};
use crate::input::{InputError, LabelTable};
use std::collections::BTreeMap;

impl Dataset {
    /// The labels of all samples, as a table names them: by their whole name, or by the file's alone where no other
    /// folder has one of that name. `None` for those it leaves out.
    ///
    /// # Errors
    /// [`InputError::LabelsWithoutFiles`] if the table names what is not there. A file that is there and cannot be
    /// read is no error.
    pub fn labels(&self, table: &LabelTable) -> Result<Vec<Option<usize>>, InputError> {
        let known = self.names_of_all();
        let mut labels: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let mut missing = Vec::new();
        for (name, label) in table.iter() {
            match known.get(name).copied().flatten() {
                Some(Place { file, row }) => {
                    labels.insert((file, row), label);
                }
                None => missing.push(name),
            }
        }
        if !missing.is_empty() {
            return Err(InputError::LabelsWithoutFiles {
                path: table.path().to_owned(),
                samples: self.root.clone(),
                count: if missing.len() == 1 { "1 file".to_owned() } else { format!("{} files", missing.len()) },
                names: first_few(missing.iter(), missing.len()),
            });
        }
        Ok(self.places.iter().map(|place| labels.get(&(place.file, place.row)).copied()).collect())
    }

    /// Every sample there is, by its names; those that several folders have are nobody's.
    fn names_of_all(&self) -> BTreeMap<String, Option<Place>> {
        // What could not be listed has one name, too.
        let unread = |(_, file): &(usize, &File)| file.rows == 0;
        let unread = self.files.iter().enumerate().filter(unread).map(|(file, _)| Place { file, row: 0 });
        let mut known: BTreeMap<String, Option<Place>> = BTreeMap::new();
        let places: Vec<Place> = all_places(&self.files).chain(unread).collect();
        for &place in &places {
            let name = self.name_of(place);
            if let Some((_, short)) = name.rsplit_once('/') {
                known.entry(short.to_owned()).and_modify(|place| *place = None).or_insert(Some(place));
            }
        }
        // Whole names come last: they are certain.
        known.extend(places.iter().map(|&place| (self.name_of(place), Some(place))));
        known
    }
}
