use std::collections::VecDeque;

/// A bounded cache: of what was made, only what was used last is kept.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    capacity: usize,
    /// The last used last.
    entries: VecDeque<(K, V)>,
}

impl<K: PartialEq + Clone, V> Recent<K, V> {
    /// Keeps this many, 1 at least.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), entries: VecDeque::new() }
    }

    /// Keeps this many from now on, 1 at least; those used longest ago go first.
    pub fn resize(&mut self, capacity: usize) {
        self.capacity = capacity.max(1);
        self.shrink_to(self.capacity);
    }

    /// What belongs to a key, made if it is not there. What was used longest ago goes before anything is made, so that
    /// both need not fit into memory.
    pub fn get_or_make<E>(&mut self, key: &K, make: impl FnOnce() -> Result<V, E>) -> Result<&mut V, E> {
        let entry = match self.entries.iter().position(|(known, _)| known == key) {
            Some(at) => self.entries.remove(at),
            None => None,
        };
        let entry = match entry {
            Some(entry) => entry,
            None => {
                self.shrink_to(self.capacity - 1);
                (key.clone(), make()?)
            }
        };
        self.entries.push_back(entry);
        let last = self.entries.len() - 1;
        Ok(&mut self.entries[last].1)
    }

    fn shrink_to(&mut self, count: usize) {
        while self.entries.len() > count {
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(cache: &mut Recent<u32, u32>, key: u32) -> bool {
        let mut made = false;
        let value = cache.get_or_make(&key, || {
            made = true;
            Ok::<_, ()>(10 * key)
        });
        assert_eq!(value, Ok(&mut (10 * key)));
        made
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let mut cache = Recent::new(2);
        assert!(made(&mut cache, 1) && made(&mut cache, 2) && !made(&mut cache, 1));
        assert!(made(&mut cache, 3) && !made(&mut cache, 1) && made(&mut cache, 2));
        cache.resize(1);
        assert!(!made(&mut cache, 2) && made(&mut cache, 1));
    }

    #[test]
    fn what_cannot_be_made_is_not_kept() {
        let mut cache: Recent<u32, u32> = Recent::new(2);
        assert_eq!(cache.get_or_make(&1, || Err("no room")), Err("no room"));
        assert!(made(&mut cache, 1));
    }

    proptest! {
        #[test]
        fn it_keeps_just_the_last_keys(capacity in 1usize..6, keys in prop::collection::vec(0u32..9, 0..60)) {
            let mut cache = Recent::new(capacity);
            let mut used: Vec<u32> = Vec::new();
            for key in keys {
                let kept = used.iter().rev().take(capacity).any(|&other| other == key);
                prop_assert_eq!(made(&mut cache, key), !kept);
                used.retain(|&other| other != key);
                used.push(key);
            }
        }
    }
}
