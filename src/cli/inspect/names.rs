use crate::cli::CommandError;

/// How many near names are worth showing.
const MOST_SUGGESTED: usize = 5;

/// How much alike a name must be, 0 to 1, by Jaro and Winkler.
const ALIKE: f64 = 0.75;

/// The one of `names` that `wanted` means: the same, or the only one it is a part of.
///
/// # Errors
/// [`CommandError::NotFound`] with the nearest names.
pub(super) fn find<'a>(
    what: &'static str,
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<&'a str, CommandError> {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    if let Some(name) = names.iter().find(|name| **name == wanted) {
        return Ok(name);
    }
    let lower = wanted.to_lowercase();
    let mut parts: Vec<&str> = names.iter().copied().filter(|name| name.to_lowercase().contains(&lower)).collect();
    if let [only] = parts[..] {
        return Ok(only);
    }
    let similarity = |name: &&str| strsim::jaro_winkler(&name.to_lowercase(), &lower);
    let mut alike: Vec<&str> = names.into_iter().filter(|name| similarity(name) >= ALIKE).collect();
    alike.sort_by(|a, b| similarity(b).total_cmp(&similarity(a)));
    parts.extend(alike);
    let mut similar: Vec<String> = Vec::new();
    for name in parts {
        if !similar.iter().any(|s| s == name) {
            similar.push(name.to_owned());
        }
    }
    similar.truncate(MOST_SUGGESTED);
    Err(CommandError::NotFound { what, name: wanted.to_owned(), similar })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["/layer1/conv1", "/layer1/conv2", "/layer2/conv1", "/fc"];

    #[test]
    fn a_whole_name_or_an_unmistakable_part_is_enough() {
        assert_eq!(find("node", "/fc", NAMES).ok(), Some("/fc"));
        assert_eq!(find("node", "FC", NAMES).ok(), Some("/fc"));
        assert_eq!(find("node", "layer2", NAMES).ok(), Some("/layer2/conv1"));
    }

    #[test]
    fn a_typo_gets_suggestions() {
        let Err(CommandError::NotFound { similar, .. }) = find("node", "/layer1/cnov1", NAMES) else {
            panic!("there is no such node")
        };
        assert_eq!(similar[0], "/layer1/conv1");
        let Err(CommandError::NotFound { similar, .. }) = find("node", "layer1", NAMES) else {
            panic!("there are two")
        };
        assert_eq!(similar[..2], ["/layer1/conv1", "/layer1/conv2"]);
    }
}
