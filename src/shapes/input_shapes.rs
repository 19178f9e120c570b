use super::ShapeError;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Shapes of inputs by name, in trtexec's grammar: `image:1x3x224x224,mask:1x224x224`. A name with a comma in it
/// stands in single quotes; a colon in a name needs none, since dims have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputShapes(BTreeMap<String, Vec<usize>>);

impl InputShapes {
    /// No shape yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With the shape of one more input.
    pub fn with(mut self, input: &str, shape: &[usize]) -> Self {
        self.0.insert(input.to_owned(), shape.to_vec());
        self
    }

    /// The shape of an input.
    pub fn get(&self, input: &str) -> Option<&[usize]> {
        self.0.get(input).map(Vec::as_slice)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.0.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()))
    }
}

impl FromStr for InputShapes {
    type Err = ShapeError;

    fn from_str(text: &str) -> Result<Self, ShapeError> {
        let wrong = || ShapeError::Shapes(text.to_owned());
        let mut shapes = BTreeMap::new();
        for part in parts(text) {
            let (name, dims) = part.rsplit_once(':').ok_or_else(wrong)?;
            let bare = name.strip_prefix('\'').and_then(|name| name.strip_suffix('\'')).unwrap_or(name);
            let dims = dims.split('x').map(|dim| dim.parse().ok().filter(|&dim: &usize| dim > 0));
            let dims = dims.collect::<Option<Vec<_>>>().filter(|_| !bare.is_empty()).ok_or_else(wrong)?;
            if shapes.insert(bare.to_owned(), dims).is_some() {
                return Err(wrong());
            }
        }
        Ok(Self(shapes))
    }
}

/// What stands between commas that are not quoted.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, character) in text.char_indices() {
        match character {
            '\'' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

impl fmt::Display for InputShapes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, shape)) in self.iter().enumerate() {
            let quote = if name.contains(',') { "'" } else { "" };
            let dims: Vec<String> = shape.iter().map(ToString::to_string).collect();
            write!(f, "{}{quote}{name}{quote}:{}", if index > 0 { "," } else { "" }, dims.join("x"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_written_as_they_are_read() {
        for text in ["image:1x3x224x224", "a:1,b:2x3", "input:0:4x5", "'a,b':7"] {
            assert_eq!(text.parse::<InputShapes>().map(|shapes| shapes.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("'x':2x3".parse(), Ok(InputShapes::new().with("x", &[2, 3])));
    }

    #[test]
    fn what_is_no_shape_is_refused() {
        for text in ["", "image", "image:", ":1x3", "image:1x0x3", "image:1x-1", "image:1x3,", "a:1,a:2"] {
            assert_eq!(text.parse::<InputShapes>(), Err(ShapeError::Shapes(text.to_owned())), "{text}");
        }
    }
}
