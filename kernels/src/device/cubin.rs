//! Machine code for one kernel, with what the compiler said of it.

use serde::{Deserialize, Serialize};

/// What NVRTC made of a compile unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cubin {
    /// The ELF image that the driver loads.
    pub image: Vec<u8>,
    /// NVRTC's and ptxas's log; warnings are here.
    pub log: String,
    /// What the kernel needs of a multiprocessor and of its caller.
    pub resources: Resources,
}

impl Cubin {
    /// The hash by which loaded modules are told apart.
    pub fn hash(&self) -> blake3::Hash {
        blake3::hash(&self.image)
    }

    /// Why the driver would not even try to load it: the image is no ELF file, or ends before its tables do.
    /// The driver is given a pointer without a length, so this is checked first.
    pub(super) fn malformed(&self) -> Option<&'static str> {
        let image = &self.image;
        let field = |at: usize, bytes: usize| -> Option<u64> {
            let field = image.get(at..at + bytes)?;
            Some(field.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
        };
        if !image.starts_with(b"\x7fELF") {
            return Some("the image is no ELF file");
        }
        // ELF64: offset, entry size and count of the section header table, then of the program header table.
        let end = |offset_at: usize, size_at: usize| -> Option<u64> {
            field(offset_at, 8)?.checked_add(field(size_at, 2)? * field(size_at + 2, 2)?)
        };
        match (end(40, 58), end(32, 54)) {
            (Some(sections), Some(segments)) if sections.max(segments) <= image.len() as u64 => None,
            _ => Some("the image is truncated"),
        }
    }
}

/// What a kernel uses, as ptxas reports it, and what it takes, as its PTX declares it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Registers of a thread.
    pub registers: Option<u32>,
    /// Bytes a thread stores because registers ran out. Anything but 0 in an inner loop costs speed.
    pub spill_bytes: Option<u32>,
    /// Bytes of a thread's stack frame: arrays indexed at run time live there, in slow local memory.
    pub stack_bytes: Option<u32>,
    /// Static shared memory of a block, bytes; what a launch asks for comes on top.
    pub shared_bytes: Option<u32>,
    /// Sizes of the kernel's parameters, bytes, in order.
    pub parameters: Vec<u32>,
}

impl Resources {
    /// Reads them from ptxas's log and the PTX. `None` if the PTX has no such entry.
    pub(super) fn parse(log: &str, ptx: &str, entry: &str) -> Option<Self> {
        let mut resources = Self { parameters: parameters(ptx, entry)?, ..Self::default() };
        let header = format!("Compiling entry function '{entry}' for");
        let mut lines = log.lines().skip_while(|line| !line.contains(&header));
        let Some(_) = lines.next() else { return Some(resources) };
        let add = |sum: &mut Option<u32>, more: Option<u32>| {
            if let Some(more) = more {
                *sum = Some(sum.unwrap_or(0) + more);
            }
        };
        for line in lines.take_while(|line| !line.contains("Compiling entry function")) {
            // Functions that were not inlined have their own lines here; what they spill counts as well.
            add(&mut resources.spill_bytes, number_before(line, "bytes spill stores"));
            add(&mut resources.stack_bytes, number_before(line, "bytes stack frame"));
            if resources.registers.is_none() && line.contains("Used ") {
                resources.registers = number_before(line, "registers");
                // ptxas is silent about shared memory where there is none.
                resources.shared_bytes = Some(number_before(line, "bytes smem").unwrap_or(0));
            }
        }
        Some(resources)
    }
}

/// The kernels a PTX text defines.
pub(super) fn entries(ptx: &str) -> Vec<String> {
    ptx.lines().filter_map(entry_name).map(str::to_owned).collect()
}

fn entry_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once(".entry ")?;
    (!before.contains("//")).then(|| after.split('(').next().unwrap_or(after).trim())
}

/// Sizes of an entry's parameters: `.param .align 8 .b8 conv_param_3[48]` has 48 bytes.
fn parameters(ptx: &str, entry: &str) -> Option<Vec<u32>> {
    let mut lines = ptx.lines().skip_while(|line| entry_name(line) != Some(entry));
    if lines.next()?.contains(')') {
        return Some(Vec::new());
    }
    let declarations = lines.take_while(|line| !line.trim_start().starts_with([')', '{']));
    declarations.filter(|line| line.contains(".param ")).map(parameter_size).collect()
}

fn parameter_size(declaration: &str) -> Option<u32> {
    let mut size = None;
    for word in declaration.split_whitespace() {
        // `.u64`, `.f32`, `.b8`: a letter and a number of bits. `.ptr` and `.align` are not of that form.
        let bits =
            word.strip_prefix('.').and_then(|w| w.strip_prefix(['u', 's', 'b', 'f'])).and_then(|n| n.parse().ok());
        size = bits.map(|bits: u32| bits / 8).or(size);
    }
    let count = match declaration.split_once('[') {
        Some((_, rest)) => rest.split(']').next()?.parse().ok()?,
        None => 1,
    };
    size.map(|size| size * count)
}

/// `number_before("Used 48 registers, …", "registers")` is 48.
fn number_before(line: &str, words: &str) -> Option<u32> {
    let before = line.split_once(words)?.0.trim_end();
    before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As NVRTC 13.0 wrote it for a unit with two kernels.
    const LOG: &str = "\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z5otherPf' for 'sm_90a'
ptxas info    : Function properties for _Z5otherPf
ptxas         .     800 bytes stack frame, 776 bytes spill stores, 808 bytes spill loads
ptxas info    : Used 48 registers, used 0 barriers, 800 bytes cumulative stack size
ptxas info    : Compile time = 17.312 ms
ptxas info    : Compiling entry function 'k' for 'sm_90a'
ptxas info    : Function properties for k
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, used 1 barriers, 256 bytes smem
ptxas info    : Compile time = 1.548 ms
";

    const PTX: &str = "\
// a comment that says .entry nothing(
.visible .entry nothing()
{
}
.visible .entry _Z5otherPf(
\t.param .u64 .ptr .align 1 _Z5otherPf_param_0
)
{
}
\t// .globl\tk
.visible .entry k(
\t.param .u64 .ptr .align 1 k_param_0,
\t.param .align 8 .b8 k_param_1[48],
\t.param .f32 k_param_2,
\t.param .align 4 .b32 k_param_3[3],
\t.param .u8 k_param_4
)
.maxntid 128
{
}
";

    #[test]
    fn reads_the_lines_of_the_entry_that_was_asked_for() {
        let k = Resources::parse(LOG, PTX, "k").expect("k is there");
        assert_eq!(
            (k.registers, k.spill_bytes, k.stack_bytes, k.shared_bytes),
            (Some(10), Some(0), Some(0), Some(256))
        );
        let other = Resources::parse(LOG, PTX, "_Z5otherPf").expect("it is there");
        assert_eq!((other.registers, other.spill_bytes, other.shared_bytes), (Some(48), Some(776), Some(0)));
    }

    #[test]
    fn counts_what_called_functions_spill() {
        let log = "\
ptxas info    : Compiling entry function 'k' for 'sm_80'
ptxas info    : Function properties for k
    0 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 8192 bytes smem, 360 bytes cmem[0]
ptxas info    : Function properties for helper
    16 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads
";
        let k = Resources::parse(log, PTX, "k").expect("k is there");
        assert_eq!(
            (k.spill_bytes, k.stack_bytes, k.registers, k.shared_bytes),
            (Some(12), Some(16), Some(255), Some(8192))
        );
    }

    #[test]
    fn reads_parameter_sizes() {
        assert_eq!(parameters(PTX, "k"), Some(vec![8, 48, 4, 12, 1]));
        assert_eq!(parameters(PTX, "_Z5otherPf"), Some(vec![8]));
        assert_eq!(parameters(PTX, "nothing"), Some(vec![]));
        assert_eq!(parameters(PTX, "absent"), None);
    }

    #[test]
    fn lists_entries() {
        assert_eq!(entries(PTX), ["nothing", "_Z5otherPf", "k"]);
    }

    #[test]
    fn a_truncated_image_is_never_handed_to_the_driver() {
        let mut image = vec![0u8; 64];
        image[..4].copy_from_slice(b"\x7fELF");
        image[40] = 64; // section headers at 64,
        image[58] = 64; // 64 bytes each,
        image[60] = 2; // two of them: the file must have 192 bytes.
        let mut cubin = Cubin { image, log: String::new(), resources: Resources::default() };
        assert_eq!(cubin.malformed(), Some("the image is truncated"));
        cubin.image.resize(192, 0);
        assert_eq!(cubin.malformed(), None);
        cubin.image.truncate(10);
        assert_eq!(cubin.malformed(), Some("the image is truncated"));
        cubin.image = b"PTX".to_vec();
        assert_eq!(cubin.malformed(), Some("the image is no ELF file"));
    }
}
