//! Cached windows of a file, filled with `pread`. The bytes have no meaning here.
//!
//! Entries are read in order, and each follows the DATA that are new with it. So a window of 64 KiB serves some hundred
//! entries. Distant bytes are read in small pieces that evict no window.

use std::io;

use crate::file_range::FileRange;

const CHUNK_BITS: u32 = 16;
/// The size of a chunk. Windows begin at multiples of it.
const CHUNK: u64 = 1 << CHUNK_BITS;
/// The bytes of a window beyond its chunk, so that objects that begin in the chunk are mostly complete.
const OVERLAP: u64 = 4 << 10;
/// The size of a small read.
const SMALL_READ: usize = 4 << 10;
/// The size to which the buffer of a huge object is cut.
const KEPT_SIZE: usize = 1 << 20;

/// The number of windows of all files together. Each takes 68 KiB.
const WINDOWS: usize = 256;

/// The least number of bytes in a view, unless the file ends before.
pub(crate) const VIEW_MIN: usize = 256;

/// Returns the number of windows for each of `files` files.
pub(crate) fn windows(files: usize) -> usize {
    (WINDOWS / files.max(1)).clamp(2, 16)
}

/// A part of the file in memory.
#[derive(Default)]
struct Window {
    /// The offset of its first byte.
    start: u64,
    /// The number of offsets from there on that have a whole view.
    reach: u64,
    /// The number of bytes that are of the file. Bytes after them are stale.
    len: usize,
    buffer: Vec<u8>,
}

impl Window {
    #[inline]
    fn holds(&self, offset: u64) -> bool {
        offset.wrapping_sub(self.start) < self.reach
    }

    /// Returns the bytes from an offset on. The window has to hold the offset.
    #[inline]
    fn view(&self, offset: u64) -> &[u8] {
        self.buffer.get(offset.wrapping_sub(self.start) as usize..self.len).unwrap_or_default()
    }

    fn forget(&mut self) {
        self.reach = 0;
        self.len = 0;
    }

    /// Fills the window with `wanted` bytes, or fewer at the end of the file.
    fn fill(&mut self, file: &FileRange, start: u64, wanted: usize) -> io::Result<()> {
        self.forget();
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        } else if self.buffer.len() > KEPT_SIZE && wanted <= KEPT_SIZE {
            self.buffer.truncate(KEPT_SIZE);
            self.buffer.shrink_to_fit();
        }
        self.start = start;
        while let Some(room) = self.buffer.get_mut(self.len..wanted).filter(|room| !room.is_empty()) {
            match file.read_at(room, start + self.len as u64) {
                Ok(0) => break,
                Ok(more) => self.len += more,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => {
                    self.forget();
                    return Err(cause);
                }
            }
        }
        Ok(())
    }
}

/// The window that holds an offset. Valid until the next read.
#[derive(Clone, Copy)]
pub(crate) struct WindowSlot(usize);

/// The windows of one file.
pub(crate) struct Windows {
    file: FileRange,
    /// The end of the file for the reader. Bytes after it are never read.
    end: u64,
    /// The windows. The low bits of a chunk's number select its slot.
    slots: Vec<Window>,
    mask: usize,
    /// A window for distant bytes, and for objects too long for the others.
    spare: Window,
}

impl Windows {
    /// Creates `windows` windows, rounded down to a power of two. Buffers are allocated on first use.
    pub(crate) fn new(file: impl Into<FileRange>, end: u64, windows: usize) -> Self {
        let count = 1 << windows.max(1).ilog2();
        let slots = std::iter::repeat_with(Window::default).take(count).collect();
        Self { file: file.into(), end, slots, mask: count - 1, spare: Window::default() }
    }

    pub(crate) fn file(&self) -> &FileRange {
        &self.file
    }

    /// Drops all bytes, because the file has changed, and sets its end.
    pub(crate) fn reset(&mut self, end: u64) {
        self.end = end;
        self.slots.iter_mut().for_each(Window::forget);
        self.spare.forget();
    }

    /// Returns the number of bytes that the windows take.
    pub(crate) fn held(&self) -> usize {
        self.slots.iter().map(|window| window.buffer.capacity()).sum::<usize>() + self.spare.buffer.capacity()
    }

    /// Frees the memory of all windows. They are filled again when they are needed.
    pub(crate) fn release(&mut self) {
        self.slots.fill_with(Window::default);
        self.spare = Window::default();
    }

    /// Finds an offset below the end. A miss close to `here` fills a window, and other misses cause a small read.
    #[inline]
    pub(crate) fn find(&mut self, offset: u64, here: u64) -> io::Result<WindowSlot> {
        let slot = (offset >> CHUNK_BITS) as usize & self.mask;
        match self.slots.get(slot) {
            Some(window) if window.holds(offset) => Ok(WindowSlot(slot)),
            _ => self.read(offset, slot, here),
        }
    }

    #[cold]
    fn read(&mut self, offset: u64, slot: usize, here: u64) -> io::Result<WindowSlot> {
        // A window that is further away evicts one that is closer.
        let far = offset.abs_diff(here) > CHUNK * self.slots.len() as u64;
        let Some(window) = self.slots.get_mut(slot).filter(|_| !far) else { return self.next(offset) };
        let start = offset & !(CHUNK - 1);
        let len = self.end.saturating_sub(start).min(CHUNK + OVERLAP);
        window.fill(&self.file, start, len as usize)?;
        window.reach = CHUNK.min(window.len as u64);
        Ok(WindowSlot(slot))
    }

    /// Finds an offset in the last small read, or makes another.
    pub(crate) fn next(&mut self, offset: u64) -> io::Result<WindowSlot> {
        if self.spare.holds(offset) { Ok(WindowSlot(usize::MAX)) } else { self.fresh(offset) }
    }

    /// Makes a small read, past the windows, of bytes that a writer may have changed.
    pub(crate) fn fresh(&mut self, offset: u64) -> io::Result<WindowSlot> {
        let left = self.end.saturating_sub(offset);
        let len = left.min(SMALL_READ as u64);
        self.spare.fill(&self.file, offset, len as usize)?;
        // Before the end of the file, the last offsets lack the whole view.
        let blind = if len == left { 0 } else { VIEW_MIN as u64 - 1 };
        self.spare.reach = (self.spare.len as u64).saturating_sub(blind);
        Ok(WindowSlot(usize::MAX))
    }

    /// Returns the bytes from an offset that was found on: at least [`VIEW_MIN`] of them, or all up to the end.
    #[inline]
    pub(crate) fn view(&self, WindowSlot(slot): WindowSlot, offset: u64) -> &[u8] {
        self.slots.get(slot).unwrap_or(&self.spare).view(offset)
    }

    /// Returns exactly `len` bytes from an offset on. The caller makes sure that they end within the file. Bytes in the
    /// last small read are not read again.
    pub(crate) fn exact(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let at = offset.wrapping_sub(self.spare.start);
        if at.checked_add(len as u64).is_none_or(|end| end > self.spare.len as u64) {
            self.spare.fill(&self.file, offset, len)?;
            // The bytes after these have not been read, so this is no view.
            self.spare.reach = 0;
            if self.spare.len < len {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.spare.view(offset).get(..len).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
