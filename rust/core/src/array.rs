//! Arrays that are ours, or lie in a mapped file.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use memmap2::Mmap;

use crate::memory;
use crate::pages::Pages;

/// A number that a file holds in little-endian order.
pub(crate) trait Number: Pod + PartialEq + Send + Sync {
    /// The number with these bytes; `bytes` is as long as a number.
    fn read_le(bytes: &[u8]) -> Self;

    /// Appends the bytes of `numbers`.
    fn put_le(numbers: &[Self], bytes: &mut Vec<u8>);
}

macro_rules! number {
    ($($type:ty),*) => { $(
        impl Number for $type {
            fn read_le(bytes: &[u8]) -> Self {
                bytes.first_chunk().map_or(Zeroable::zeroed(), |&bytes| Self::from_le_bytes(bytes))
            }

            fn put_le(numbers: &[Self], bytes: &mut Vec<u8>) {
                if cfg!(target_endian = "little") {
                    bytes.extend_from_slice(bytemuck::cast_slice(numbers));
                } else {
                    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
                }
            }
        }
    )* };
}

number!(u8, u16, u32, u64, i64, f32);

/// A slice of numbers that never changes; copies share it.
#[derive(Clone)]
pub(crate) struct Array<T>(Place<T>);

#[derive(Clone)]
enum Place<T> {
    Owned(Arc<Vec<T>>),
    /// Owned memory that is never written to again.
    Pages(Arc<Pages>, PhantomData<T>),
    /// The bytes of the file that hold the numbers; aligned and in the machine's own order.
    Mapped(Arc<Mmap>, Range<usize>, PhantomData<T>),
}

impl<T: Number> Array<T> {
    /// Copies the numbers out of little-endian `bytes`.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        memory::check::<u8>(bytes.len());
        bytes
            .chunks_exact(size_of::<T>())
            .map(T::read_le)
            .collect::<Vec<_>>()
            .into()
    }

    /// So many numbers: zeros, and then what `fill` writes. Large arrays lie on large pages where the system has them, which
    /// take a tenth of the time to come by.
    pub(crate) fn filled(length: usize, fill: impl FnOnce(&mut [T])) -> Self {
        if let Some(mut pages) = Pages::new(length.saturating_mul(size_of::<T>())) {
            fill(bytemuck::cast_slice_mut(&mut pages));
            return Self(Place::Pages(Arc::new(pages), PhantomData));
        }
        let mut numbers = memory::filled(T::zeroed(), length);
        fill(&mut numbers);
        Self(Place::Owned(Arc::new(numbers)))
    }

    /// The numbers with others behind them.
    pub(crate) fn with(&self, more: &[T]) -> Self {
        Self::filled(self.len() + more.len(), |numbers| {
            let (former, new) = numbers.split_at_mut(self.len());
            former.copy_from_slice(self);
            new.copy_from_slice(more);
        })
    }

    /// The numbers in a range of a mapped file; a copy where the machine could not read them in place.
    pub(crate) fn mapped(file: &Arc<Mmap>, range: Range<usize>) -> Self {
        let in_place =
            cfg!(target_endian = "little") && bytemuck::try_cast_slice::<u8, T>(&file[range.clone()]).is_ok();
        if in_place {
            Self(Place::Mapped(Arc::clone(file), range, PhantomData))
        } else {
            Self::read(&file[range])
        }
    }
}

impl<T: Number> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Place::Owned(numbers) => numbers,
            Place::Pages(pages, _) => bytemuck::cast_slice(pages),
            Place::Mapped(file, range, _) => bytemuck::cast_slice(&file[range.clone()]),
        }
    }
}

impl<T: Number> From<Vec<T>> for Array<T> {
    /// Large arrays move to large pages where the system has them: reading here and there costs less when the processor need not
    /// look up the page as well.
    fn from(numbers: Vec<T>) -> Self {
        if let Some(mut pages) = Pages::new(size_of_val(&numbers[..])) {
            bytemuck::cast_slice_mut(&mut pages).copy_from_slice(&numbers);
            return Self(Place::Pages(Arc::new(pages), PhantomData));
        }
        Self(Place::Owned(Arc::new(numbers)))
    }
}

impl<T> Default for Array<T> {
    fn default() -> Self {
        Self(Place::Owned(Arc::default()))
    }
}

impl<T: Number> PartialEq for Array<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Number + Eq> Eq for Array<T> {}

impl<T: Number> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} numbers]", self.len())
    }
}
