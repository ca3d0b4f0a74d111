//! Bytes on their way, in buffers that a worker's sessions share.
//!
//! A session holds a buffer only while bytes are on their way through it, so an idle client costs
//! none, and the buffer that was used last, still in the processor's cache, is used next.

use std::cell::{Cell, RefCell};

/// What one read asks for, and what a buffer holds before it grows: large enough that a COPY is
/// moved in few system calls.
pub const BUFFER_BYTES: usize = 64 * 1024;

/// Most idle buffers that a worker keeps: 8 MiB.
const IDLE_MAX: usize = 128;

thread_local! {
    static IDLE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    /// For messages that are composed before they are appended.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A run of bytes: filled at its end, taken from its start.
///
/// Empty ones own no memory.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// The bytes that have not been taken.
    #[inline]
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The same, to be changed in place.
    #[inline]
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// How many bytes have not been taken.
    #[inline]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Nothing is left to take.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Takes `n` bytes away from the start; hands the memory back when nothing is left.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        self.start += n;
        debug_assert!(self.start <= self.end, "more taken than there was");
        if self.start == self.end {
            self.release();
        }
    }

    /// Room to read into, at the end of what is filled; at least one byte.
    ///
    /// Moves the filled bytes to the front when that makes room, else doubles the memory.
    #[inline]
    pub fn room(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = IDLE.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; BUFFER_BYTES]);
        } else if self.end == self.bytes.len() {
            self.make_room();
        }
        &mut self.bytes[self.end..]
    }

    #[cold]
    fn make_room(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        } else {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
    }

    /// There is room for a read without growing.
    pub fn has_room(&self) -> bool {
        self.len() < self.bytes.len().max(BUFFER_BYTES)
    }

    /// Says that `n` bytes of [`room`](Self::room) were filled.
    #[inline]
    pub fn fill(&mut self, n: usize) {
        self.end += n;
        debug_assert!(self.end <= self.bytes.len(), "filled beyond the room");
        if self.start == self.end {
            self.release();
        }
    }

    /// Appends `bytes`, growing as needed.
    pub fn extend(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.room_for(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Room for so many bytes, at the end of what is filled.
    #[inline]
    fn room_for(&mut self, bytes: usize) -> &mut [u8] {
        if self.room().len() < bytes {
            self.grow_for(bytes);
        }
        &mut self.bytes[self.end..]
    }

    #[cold]
    fn grow_for(&mut self, bytes: usize) {
        while self.room().len() < bytes {
            let grown = (self.len() + bytes).next_power_of_two().max(BUFFER_BYTES);
            self.make_room();
            if self.bytes.len() < grown {
                self.bytes.resize(grown, 0);
            }
        }
    }

    /// Appends all of these, one behind the other.
    pub fn extend_parts<const N: usize>(&mut self, parts: [&[u8]; N]) {
        let len = parts.iter().map(|part| part.len()).sum();
        let mut room = self.room_for(len);
        for part in parts {
            let (place, rest) = room.split_at_mut(part.len());
            place.copy_from_slice(part);
            room = rest;
        }
        self.end += len;
    }

    /// Appends what `write` writes.
    #[inline(never)]
    pub fn extend_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut written = SCRATCH.take();
        write(&mut written);
        self.extend(&written);
        if written.capacity() <= BUFFER_BYTES {
            written.clear();
            SCRATCH.set(written);
        }
    }

    /// Cuts `len` bytes out, from `at` bytes behind the start.
    #[inline(never)]
    pub fn cut(&mut self, at: usize, len: usize) {
        let from = self.start + at;
        self.bytes.copy_within(from + len..self.end, from);
        self.end -= len;
        if self.start == self.end {
            self.release();
        }
    }

    /// Puts `new` in the place of `len` bytes, from `at` bytes behind the start.
    pub fn replace(&mut self, at: usize, len: usize, new: &[u8]) {
        let after = self.filled()[at + len..].to_vec();
        self.end = self.start + at;
        self.extend(new);
        self.extend(&after);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.release();
    }

    fn release(&mut self) {
        self.start = 0;
        self.end = 0;
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.len() == BUFFER_BYTES {
            // The thread's store may be gone when its runtime is dropped; then the memory is freed.
            let _ = IDLE.try_with(|idle| {
                let mut idle = idle.borrow_mut();
                if idle.len() < IDLE_MAX {
                    idle.push(bytes);
                }
            });
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let mut buffer = Buffer::default();
        buffer.extend(b"hello");
        buffer.consume(2);
        buffer.room()[..2].copy_from_slice(b"!!");
        buffer.fill(2);
        assert_eq!(buffer.filled(), b"llo!!");
        buffer.cut(1, 2);
        assert_eq!(buffer.filled(), b"l!!");
        buffer.replace(1, 1, b"???");
        assert_eq!(buffer.filled(), b"l???!");
        buffer.replace(1, 4, b"!!");
        assert_eq!(buffer.filled(), b"l!!");
        buffer.consume(3);
        assert!(buffer.is_empty());
    }

    #[test]
    fn parts_follow_each_other_wherever_the_buffer_ends() {
        for (taken, filled) in [(0, 3), (10, BUFFER_BYTES - 2), (0, BUFFER_BYTES - 2)] {
            let mut buffer = Buffer::default();
            buffer.extend(&vec![7; filled]);
            buffer.consume(taken.min(filled - 1));
            let before = buffer.len();
            buffer.extend_parts([b"one", b"", b"two", b"!"]);
            assert_eq!(buffer.filled()[before..], *b"onetwo!", "{filled} bytes, {taken} of them taken");
            assert!(buffer.filled()[..before].iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn an_empty_buffer_owns_no_memory() {
        let mut buffer = Buffer::default();
        buffer.extend(b"x");
        buffer.consume(1);
        assert_eq!(buffer.bytes.capacity(), 0);
        buffer.room();
        buffer.fill(0);
        assert_eq!(buffer.bytes.capacity(), 0);
    }

    #[test]
    fn a_buffer_grows_beyond_its_first_size() {
        let mut buffer = Buffer::default();
        let long = vec![7; BUFFER_BYTES + 1];
        buffer.extend(&long);
        buffer.consume(1);
        buffer.extend(&long);
        assert_eq!(buffer.len(), 2 * long.len() - 1);
    }
}
