use super::*;
use crate::device::cubin::Resources;
use std::borrow::Cow;
use std::cell::Cell;
use std::time::{Duration, SystemTime};

const VERSION: CudaVersion = CudaVersion { major: 13, minor: 0 };

fn program(text: &'static str, header: &'static str) -> Program<'static> {
    let headers = vec![(Cow::Borrowed("include/ptx.cuh"), Cow::Borrowed(header))];
    Program { name: Cow::Borrowed("a.cu"), text: Cow::Borrowed(text), headers }
}

fn unit(block_m: u32) -> CompileUnit {
    CompileUnit::new("a.cu", "a", [("BLOCK_M", block_m)])
}

fn key(block_m: u32) -> CubinKey {
    CubinKey::new(&program("text", "header"), &unit(block_m), Arch(80), VERSION)
}

fn cubin(byte: u8, length: usize) -> Cubin {
    let resources = Resources { registers: Some(32), parameters: vec![8, 48], ..Resources::default() };
    Cubin { image: vec![byte; length], log: "ptxas".to_owned(), resources }
}

fn never() -> Result<Cubin, DeviceError> {
    panic!("compiled, though it was cached")
}

fn only_file(folder: &Path) -> PathBuf {
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn everything_a_cubin_depends_on_is_in_its_key() {
    let base = key(64);
    let other_version = CudaVersion { major: 13, minor: 1 };
    let others = [
        key(128),
        CubinKey::new(&program("text", "header"), &unit(64), Arch(90), VERSION),
        CubinKey::new(&program("text", "header"), &unit(64), Arch(80), other_version),
        CubinKey::new(&program("text2", "header"), &unit(64), Arch(80), VERSION),
        CubinKey::new(&program("text", "header2"), &unit(64), Arch(80), VERSION),
        CubinKey::new(&program("texth", "eader"), &unit(64), Arch(80), VERSION),
        CubinKey::new(
            &program("text", "header"),
            &CompileUnit { entry: "b".to_owned(), ..unit(64) },
            Arch(80),
            VERSION,
        ),
    ];
    assert!(others.iter().all(|other| *other != base));
    assert_eq!(key(64), base);
}

#[test]
fn compiles_once_in_a_process() {
    let cache = CubinCache::in_memory();
    let times = Cell::new(0);
    let compile = || {
        times.set(times.get() + 1);
        Ok(cubin(1, 100))
    };
    let first = cache.get_or_insert_with(key(64), compile).expect("compiles");
    let second = cache.get_or_insert_with(key(64), never).expect("cached");
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(times.get(), 1);
}

#[test]
fn an_error_is_not_kept() {
    let cache = CubinCache::in_memory();
    let failed = cache.get_or_insert_with(key(64), || Err(DeviceError::UnknownSource { path: "a.cu".to_owned() }));
    assert!(matches!(failed, Err(DeviceError::UnknownSource { .. })));
    assert!(cache.get_or_insert_with(key(64), || Ok(cubin(1, 10))).is_ok());
}

#[test]
fn threads_that_ask_at_once_compile_once() {
    let cache = CubinCache::in_memory();
    let times = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let compile = || {
                    times.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    Ok(cubin(1, 10))
                };
                cache.get_or_insert_with(key(64), compile).expect("compiles");
            });
        }
    });
    assert_eq!(times.into_inner(), 1);
}

#[test]
fn the_next_process_finds_it() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let folder = home.path().join("not/yet/there");
    let made = CubinCache::in_folder(&folder, CubinCache::DEFAULT_BYTES);
    made.get_or_insert_with(key(64), || Ok(cubin(7, 1000))).expect("compiles");
    let next = CubinCache::in_folder(&folder, CubinCache::DEFAULT_BYTES);
    let found = next.get_or_insert_with(key(64), never).expect("on disk");
    assert_eq!(*found, cubin(7, 1000));
    only_file(&folder);
}

#[test]
fn a_damaged_file_is_compiled_again_and_replaced() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let fresh = || CubinCache::in_folder(home.path(), CubinCache::DEFAULT_BYTES);
    fresh().get_or_insert_with(key(64), || Ok(cubin(7, 1000))).expect("compiles");
    let file = only_file(home.path());
    let whole = std::fs::read(&file).expect("readable");

    let mut flipped = whole.clone();
    flipped[500] ^= 1;
    let newer = [b"LIMPIDC2", &whole[8..]].concat();
    for damaged in [&flipped[..], &whole[..whole.len() - 1], &whole[..20], &[], &newer] {
        std::fs::write(&file, damaged).expect("writable");
        let again = fresh().get_or_insert_with(key(64), || Ok(cubin(9, 1000))).expect("compiles");
        assert_eq!(again.image[0], 9, "{} bytes were believed", damaged.len());
        let found = fresh().get_or_insert_with(key(64), never).expect("on disk");
        assert_eq!(found.image[0], 9);
    }
}

#[test]
fn the_folder_stays_within_its_bound_and_keeps_what_was_used_last() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let cache = CubinCache::in_folder(home.path(), 10_000);
    let now = SystemTime::now();
    for i in 0..6u32 {
        cache.get_or_insert_with(key(i), || Ok(cubin(0, 1500))).expect("compiles");
        let file = home.path().join(key(i).to_string()).with_extension("cubin");
        let used = now - Duration::from_secs(u64::from(1000 - i));
        let file = std::fs::File::options().append(true).open(file).expect("there");
        file.set_modified(used).expect("a time");
    }
    // Entry 0 is the oldest, but is used again; the next write exceeds the bound.
    CubinCache::in_folder(home.path(), 10_000).get_or_insert_with(key(0), never).expect("on disk");
    cache.get_or_insert_with(key(6), || Ok(cubin(0, 1500))).expect("compiles");

    let left: u64 = std::fs::read_dir(home.path())
        .expect("a folder")
        .map(|e| e.expect("an entry").metadata().expect("it").len())
        .sum();
    assert!(left <= 10_000, "{left} bytes");
    let next = CubinCache::in_folder(home.path(), 10_000);
    let is_there = |i: u32| {
        let mut compiled = false;
        next.get_or_insert_with(key(i), || {
            compiled = true;
            Err(DeviceError::UnknownSource { path: String::new() })
        })
        .is_ok()
            && !compiled
    };
    assert!(is_there(0), "used last but one");
    assert!(!is_there(1), "not used for longest");
    assert!(is_there(6), "used last");
}

#[test]
fn a_folder_that_cannot_be_written_does_not_stop_a_build() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let file = home.path().join("file");
    std::fs::write(&file, b"no folder").expect("writable");
    let cache = CubinCache::in_folder(file.join("below"), 1000);
    assert!(cache.get_or_insert_with(key(64), || Ok(cubin(1, 10))).is_ok());
}

#[test]
fn the_users_folder_follows_xdg() {
    let folder = |xdg: &'static str, home: &'static str| {
        CubinCache::folder_of_user(&|name| {
            let value = if name == "XDG_CACHE_HOME" { xdg } else { home };
            (!value.is_empty()).then(|| value.into())
        })
    };
    assert_eq!(folder("/xdg", "/home/a"), Some("/xdg/limpid/cubins".into()));
    assert_eq!(folder("relative", "/home/a"), Some("/home/a/.cache/limpid/cubins".into()));
    assert_eq!(folder("", "/home/a"), Some("/home/a/.cache/limpid/cubins".into()));
    assert_eq!(folder("", ""), None);
}
