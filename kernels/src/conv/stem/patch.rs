//! What a tile of `stem.cu` reads: the pixels under it and where words of K lie among them.

use crate::site::ConvSite;
use crate::tile::Math;

/// The depth of the product, in words of four bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    pub math: Math,
    /// Numbers of a word.
    pub word: u32,
    /// Numbers of a pixel in the patch: x's channels, and zeros where a stride would not take whole words otherwise.
    pub channels: u32,
    /// Numbers of a line of taps.
    pub line: u32,
    /// Words of a line.
    pub line_words: u32,
    /// Words of all lines.
    pub words: u32,
    /// Steps of eight words.
    pub steps: u32,
}

impl Depth {
    /// Of a site whose windows have at most 2^15 pixels on a side.
    pub fn new(site: &ConvSite, math: Math) -> Self {
        let word = 4 / math.dtype().size() as u32;
        // Taps that lie apart must each be of whole words, too.
        let whole = |channels: &u32| {
            (site.stride[1] * channels).is_multiple_of(word)
                && (site.dilation[1] == 1 || site.kernel[1] == 1 || channels.is_multiple_of(word))
        };
        let channels = (site.x.c..).find(whole).unwrap_or(word);
        let line = site.kernel[1] * channels;
        let line_words = line.div_ceil(word);
        let words = site.kernel[0] * line_words;
        Self { math, word, channels, line, line_words, words, steps: words.div_ceil(8) }
    }

    /// Number of the patch's row where word `word` of a line begins, from the corner of its window.
    fn across(&self, site: &ConvSite, word: u32) -> u32 {
        let first = word * self.word;
        first / self.channels * site.dilation[1] * self.channels + first % self.channels
    }

    /// Where word `word` of K lies from the corner of its window, as the kernel finds it, in words; those behind the last
    /// lie at the corner.
    fn place(&self, site: &ConvSite, pitch: u32, word: u32) -> u32 {
        if word >= self.words {
            return 0;
        }
        word / self.line_words * site.dilation[0] * pitch + self.across(site, word % self.line_words) / self.word
    }
}

/// The pixels under a tile, as they lie in shared memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patch {
    /// Pixels of y that a tile is wide, a power of two.
    pub tile_width: u32,
    /// Tiles of a picture below and beside one another.
    pub tiles: [u32; 2],
    /// Rows.
    pub height: u32,
    /// Pixels of a row.
    pub width: u32,
    /// Words from one row to the next.
    pub pitch: u32,
}

impl Patch {
    /// Of tiles of `pixels` in whatever shape takes the least work, in at most `room` bytes; `None` if no shape fits.
    pub fn best(site: &ConvSite, depth: Depth, pixels: u32, room: u32) -> Option<Self> {
        let widths = (3..=pixels.trailing_zeros()).map(|shift| 1 << shift);
        let patches = widths.filter_map(|width| Self::new(site, depth, pixels, width, room));
        // A pixel of y takes about eight times what one of x takes on its way into shared memory.
        let work = |patch: &Self| {
            let tiles = u64::from(patch.tiles[0]) * u64::from(patch.tiles[1]);
            tiles * (8 * u64::from(pixels) + u64::from(patch.height) * u64::from(patch.width))
        };
        let mut best = patches.min_by_key(work)?;
        best.spread(site, depth, room);
        Some(best)
    }

    pub fn bytes(&self) -> u32 {
        4 * self.height * self.pitch
    }

    fn new(site: &ConvSite, depth: Depth, pixels: u32, tile_width: u32, room: u32) -> Option<Self> {
        let tile = [pixels / tile_width, tile_width];
        let last = [0, 1].map(|axis: usize| u64::from(tile[axis] - 1) * u64::from(site.stride[axis]));
        let height = last[0] + u64::from(site.dilation[0]) * u64::from(site.kernel[0] - 1) + 1;
        // To the end of the last word of a line, which may lie in the pixel behind.
        let across = u64::from(depth.across(site, depth.line_words - 1) + depth.word);
        let width = (last[1] * u64::from(depth.channels) + across).div_ceil(depth.channels.into());
        let pitch = (width * u64::from(depth.channels)).div_ceil(depth.word.into());
        if height * pitch * 4 > u64::from(room) {
            return None;
        }
        let tiles = [site.y.h.div_ceil(tile[0]), site.y.w.div_ceil(tile[1])];
        Some(Self { tile_width, tiles, height: height as u32, width: width as u32, pitch: pitch as u32 })
    }

    /// Sets rows so far apart that as few as possible of the words that lanes read at once share a bank.
    fn spread(&mut self, site: &ConvSite, depth: Depth, room: u32) {
        let fits = |pitch: &u32| 4 * self.height * pitch <= room;
        let pitches = (self.pitch..self.pitch + BANKS as u32).filter(fits);
        self.pitch = pitches.min_by_key(|&pitch| rounds(site, depth, pitch)).unwrap_or(self.pitch);
    }
}

const BANKS: usize = 32;

/// Times the banks are asked for all words of eight neighbouring windows, which lanes read four words at a time.
fn rounds(site: &ConvSite, depth: Depth, pitch: u32) -> usize {
    let fours = (0..depth.steps * 2).map(|four| {
        let mut banks: [Vec<u32>; BANKS] = Default::default();
        for word in 4 * four..4 * four + 4 {
            for window in 0..8 {
                let corner = window * site.stride[1] * depth.channels / depth.word;
                let at = corner + depth.place(site, pitch, word);
                let bank = &mut banks[at as usize % BANKS];
                if !bank.contains(&at) {
                    bank.push(at);
                }
            }
        }
        banks.iter().map(Vec::len).max().unwrap_or(0)
    });
    fours.sum()
}
