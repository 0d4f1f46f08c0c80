//! A file seen through a few cached windows, filled with `pread`. It knows nothing of what the bytes mean.
//!
//! Entries are read in order, and each stands just behind the DATA that is new with it. So a window of 64 KiB serves
//! some hundred entries, and what is far from them is read in small pieces that push no window out.

use std::io;

use crate::file_range::FileRange;

const CHUNK_BITS: u32 = 16;
/// Windows begin at multiples of this.
const CHUNK: u64 = 1 << CHUNK_BITS;
/// What a window holds beyond its chunk, so that what begins in the chunk is as a rule in one piece.
const OVERLAP: u64 = 4 << 10;
/// How much a small read takes.
const SMALL: usize = 4 << 10;
/// How far from where the reader is at a window is worth its reading.
const NEAR: u64 = 1 << 20;
/// What a buffer that held something huge is cut back to.
const KEPT: usize = 1 << 20;

/// A view holds at least so many bytes from its offset on, unless the file ends before.
pub(crate) const VIEW_MIN: usize = 256;

/// A piece of the file in memory.
#[derive(Default)]
struct Window {
    /// Offset of its first byte.
    start: u64,
    /// For how many offsets from there on it has the view.
    reach: u64,
    /// How much of the buffer is the file's. Beyond, it is what was read before.
    len: usize,
    buffer: Vec<u8>,
}

impl Window {
    #[inline]
    fn holds(&self, offset: u64) -> bool {
        offset.wrapping_sub(self.start) < self.reach
    }

    /// The bytes from `offset` on. The offset is one that it holds.
    #[inline]
    fn view(&self, offset: u64) -> &[u8] {
        self.buffer.get(offset.wrapping_sub(self.start) as usize..self.len).unwrap_or_default()
    }

    fn forget(&mut self) {
        self.reach = 0;
        self.len = 0;
    }

    /// Fills it with `wanted` bytes, or with what the file has of them.
    fn fill(&mut self, file: &FileRange, start: u64, wanted: usize) -> io::Result<()> {
        self.forget();
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        } else if self.buffer.len() > KEPT && wanted <= KEPT {
            self.buffer.truncate(KEPT);
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

/// Which window holds an offset; good until the next read.
#[derive(Clone, Copy)]
pub(crate) struct WindowSlot(usize);

/// The windows of one file.
pub(crate) struct Windows {
    file: FileRange,
    /// Where the file ends for the reader. What is behind is never read.
    end: u64,
    /// The chunk of a number has its place in the slot that the number's low bits say.
    slots: Vec<Window>,
    mask: usize,
    /// For what is far, and for what is too long for a window.
    spare: Window,
}

impl Windows {
    /// As many windows as asked for, rounded down to a power of two. Their buffers come with their first use.
    pub(crate) fn new(file: impl Into<FileRange>, end: u64, windows: usize) -> Self {
        let count = 1 << windows.max(1).ilog2();
        let slots = std::iter::repeat_with(Window::default).take(count).collect();
        Self { file: file.into(), end, slots, mask: count - 1, spare: Window::default() }
    }

    pub(crate) fn file(&self) -> &FileRange {
        &self.file
    }

    /// Forgets what was read, because the file has changed, and takes over its end.
    pub(crate) fn reset(&mut self, end: u64) {
        self.end = end;
        self.slots.iter_mut().for_each(Window::forget);
        self.spare.forget();
    }

    /// Finds an offset below the end, or reads it: in a window if it is close to `here`, in a small piece otherwise.
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
        let far = offset.abs_diff(here) > NEAR;
        let Some(window) = self.slots.get_mut(slot).filter(|_| !far) else { return self.next(offset) };
        let start = offset & !(CHUNK - 1);
        let len = self.end.saturating_sub(start).min(CHUNK + OVERLAP);
        window.fill(&self.file, start, len as usize)?;
        window.reach = CHUNK.min(window.len as u64);
        Ok(WindowSlot(slot))
    }

    /// Finds what the last small read holds, or makes another.
    pub(crate) fn next(&mut self, offset: u64) -> io::Result<WindowSlot> {
        if self.spare.holds(offset) { Ok(WindowSlot(usize::MAX)) } else { self.fresh(offset) }
    }

    /// Reads a small piece, whether or not a window has it: of what a writer may have changed since.
    pub(crate) fn fresh(&mut self, offset: u64) -> io::Result<WindowSlot> {
        let left = self.end.saturating_sub(offset);
        let len = left.min(SMALL as u64);
        self.spare.fill(&self.file, offset, len as usize)?;
        // Short of the end, its last offsets do not have the whole view.
        let blind = if len == left { 0 } else { VIEW_MIN as u64 - 1 };
        self.spare.reach = (self.spare.len as u64).saturating_sub(blind);
        Ok(WindowSlot(usize::MAX))
    }

    /// The bytes from the offset on that was found at the place: at least [`VIEW_MIN`] of them or all there are.
    #[inline]
    pub(crate) fn view(&self, WindowSlot(slot): WindowSlot, offset: u64) -> &[u8] {
        self.slots.get(slot).unwrap_or(&self.spare).view(offset)
    }

    /// Exactly `len` bytes from the offset on, of which the caller has made sure that they end within the file. What
    /// the last small read holds is not read again.
    pub(crate) fn exact(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let at = offset.wrapping_sub(self.spare.start);
        if at.checked_add(len as u64).is_none_or(|end| end > self.spare.len as u64) {
            self.spare.fill(&self.file, offset, len)?;
            // It is no view: what follows is somebody else's.
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
