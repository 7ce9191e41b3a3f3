//! Inference files: safetensors with a checksum, read without a copy.
//!
//! The file is a valid safetensors file: 8 bytes of header length, a JSON header, then the arrays. `__metadata__` holds
//! `format` (`sidkit-inference-1`), `config` (JSON, as text) and `xxh3`, 16 hexadecimal digits: the XXH3 of the file with
//! these digits as zeros. Arrays stand in the order of the header without holes, each at a multiple of 64 bytes, so that
//! none has to be copied.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytemuck::Zeroable;
use memmap2::Mmap;
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::Xxh3;

use crate::array::{Array, Number};
use crate::error::{Error, Result};
use crate::files::{io_error, replace};

const FORMAT: &str = "sidkit-inference-1";
/// Before the digits of the checksum in the header.
const SUM: &[u8] = br#""xxh3":""#;
const DIGITS: usize = 16;
const ALIGN: usize = 64;
/// Longest header: names and shapes of arrays take a few kilobytes.
const MOST_HEADER: usize = 1 << 20;

/// A number type of safetensors.
pub trait Stored: bytemuck::Pod {
    /// Its name in headers.
    const DTYPE: &'static str;
}

macro_rules! stored {
    ($($type:ty: $name:literal),*) => { $( impl Stored for $type { const DTYPE: &'static str = $name; } )* };
}

stored!(u8: "U8", u16: "U16", u32: "U32", u64: "U64", i64: "I64", f32: "F32");

/// An array to write.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    dtype: &'static str,
    shape: [usize; 2],
    dimensions: usize,
    /// The numbers in the order of bytes of this CPU.
    bytes: &'a [u8],
    /// Bytes of a number.
    size: usize,
}

impl<'a> Tensor<'a> {
    /// An array of one dimension.
    #[must_use]
    pub fn flat<T: Stored>(values: &'a [T]) -> Self {
        Self {
            dtype: T::DTYPE,
            shape: [values.len(), 1],
            dimensions: 1,
            bytes: bytemuck::cast_slice(values),
            size: size_of::<T>(),
        }
    }

    /// An array of rows of `dim` values.
    #[must_use]
    pub fn rows<T: Stored>(values: &'a [T], dim: usize) -> Self {
        Self {
            shape: [values.len() / dim.max(1), dim],
            dimensions: 2,
            ..Self::flat(values)
        }
    }

    /// The numbers as files hold them.
    fn little_endian(&self) -> Cow<'a, [u8]> {
        if cfg!(target_endian = "little") || self.size == 1 {
            return Cow::Borrowed(self.bytes);
        }
        let numbers = self.bytes.chunks_exact(self.size);
        numbers.flat_map(|number| number.iter().rev().copied()).collect()
    }
}

/// Writes an inference file, whole or not at all: the configuration, a JSON object, and named arrays.
///
/// # Errors
/// [`Error::Model`] if the configuration is no JSON object, or its header is too long; [`Error::Io`] if the system refuses.
pub fn write(path: &Path, config: &str, arrays: &[(&str, Tensor<'_>)]) -> Result<()> {
    let parsed: Value = serde_json::from_str(config).map_err(|error| model(error.to_string()))?;
    if !parsed.is_object() {
        return Err(model(format!(
            "expected a JSON object as configuration, got {config:.80}"
        )));
    }
    let (header, sum_at) = header(config, arrays)?;
    let mut whole = Whole::create(path).map_err(|error| io_error(path, &error))?;
    let mut sum = Xxh3::new();
    let mut put = |bytes: &[u8]| {
        sum.update(bytes);
        whole.file.write_all(bytes)
    };
    let mut written = || -> io::Result<()> {
        put(&header)?;
        let mut at = 0_usize;
        for (_, array) in arrays {
            put(&vec![0; padding(at)])?;
            at += padding(at) + array.bytes.len();
            put(&array.little_endian())?;
        }
        Ok(())
    };
    written().map_err(|error| io_error(path, &error))?;
    let digits = format!("{:016x}", sum.digest());
    whole
        .finish(sum_at as u64, digits.as_bytes())
        .map_err(|error| io_error(path, &error))
}

/// Zeros before the next array.
fn padding(at: usize) -> usize {
    at.next_multiple_of(ALIGN) - at
}

/// The length and the JSON of the header, padded, and where the digits of the checksum stand.
fn header(config: &str, arrays: &[(&str, Tensor<'_>)]) -> Result<(Vec<u8>, usize)> {
    let mut entries = Map::new();
    let mut at = 0_usize;
    let mut pads = 0;
    for (name, array) in arrays {
        if padding(at) > 0 {
            // Without holes, as safetensors asks: what is between two arrays is an array, too.
            let end = at + padding(at);
            entries.insert(format!("padding.{pads}"), entry("U8", &[end - at], at..end));
            (at, pads) = (end, pads + 1);
        }
        let end = at + array.bytes.len();
        let shape = &array.shape[..array.dimensions];
        entries.insert((*name).to_owned(), entry(array.dtype, shape, at..end));
        at = end;
    }
    let metadata = json!({ "format": FORMAT, "config": config, "xxh3": "0".repeat(DIGITS) });
    entries.insert("__metadata__".to_owned(), metadata);
    let mut text = Value::Object(entries).to_string();
    text.push_str(&" ".repeat((8 + text.len()).next_multiple_of(ALIGN) - 8 - text.len()));
    if text.len() > MOST_HEADER {
        return Err(model(format!(
            "expected a header of at most {MOST_HEADER} bytes, got {}",
            text.len()
        )));
    }
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    let sum_at = digits_at(&bytes).ok_or_else(|| model("a header without a checksum".to_owned()))?;
    Ok((bytes, sum_at))
}

fn entry(dtype: &str, shape: &[usize], place: Range<usize>) -> Value {
    json!({ "dtype": dtype, "shape": shape, "data_offsets": [place.start, place.end] })
}

/// Where the digits of the checksum stand: behind the last `"xxh3":"` of the header.
fn digits_at(header: &[u8]) -> Option<usize> {
    let at = header.windows(SUM.len()).rposition(|window| window == SUM)? + SUM.len();
    (at + DIGITS <= header.len()).then_some(at)
}

/// A file that appears under its name once it is complete.
struct Whole<'a> {
    path: &'a Path,
    temporary: std::path::PathBuf,
    file: File,
}

impl<'a> Whole<'a> {
    fn create(path: &'a Path) -> io::Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = File::create(&temporary)?;
        Ok(Self {
            path,
            temporary,
            file,
        })
    }

    fn finish(mut self, at: u64, digits: &[u8]) -> io::Result<()> {
        io::Seek::seek(&mut self.file, io::SeekFrom::Start(at))?;
        self.file.write_all(digits)?;
        self.file.sync_all()?;
        replace(&self.temporary, self.path)
    }
}

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        // After the rename there is nothing to remove; what is left of a failed write is of no use.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

/// The arrays of an inference file that is being read.
pub(super) struct Tensors {
    map: Arc<Mmap>,
    /// The first byte of the arrays.
    start: usize,
    entries: BTreeMap<String, Entry>,
    trusted: bool,
    pub(super) config: Value,
}

struct Entry {
    dtype: String,
    shape: Vec<usize>,
    place: Range<usize>,
}

impl Tensors {
    /// Maps the file at `path`, and checks its header, and unless `trusted` its checksum.
    pub(super) fn open(path: &Path, trusted: bool) -> Result<Self> {
        let open = || -> io::Result<Mmap> {
            let file = File::open(path)?;
            // SAFETY: the file is mapped read-only, and every access is bounds-checked. `write` never changes a file in place;
            // whoever does so while it is mapped breaks the contract of `Model::open`.
            unsafe { Mmap::map(&file) }
        };
        let map = open().map_err(|error| match error.kind() {
            // An empty file cannot be mapped.
            io::ErrorKind::InvalidInput => model("the file is empty".to_owned()),
            _ => io_error(path, &error),
        })?;
        let length = map.first_chunk().map_or(0, |&bytes| u64::from_le_bytes(bytes));
        let header = usize::try_from(length)
            .ok()
            .filter(|&length| length <= MOST_HEADER)
            .and_then(|length| map.get(8..8 + length))
            .ok_or_else(|| model("it does not begin as one; is it a file of another kind?".to_owned()))?;
        let start = 8 + header.len();
        let Ok(Value::Object(mut entries)) = serde_json::from_slice(header) else {
            return Err(model(
                "expected a JSON object as header, got something else".to_owned(),
            ));
        };
        let metadata = entries.remove("__metadata__").unwrap_or_default();
        if metadata["format"] != FORMAT {
            return Err(model(format!(
                "expected the format `{FORMAT}`, got {:.80}; export the model again",
                metadata["format"].to_string()
            )));
        }
        if !trusted {
            verify(&map, start)?;
        }
        let config = metadata["config"].as_str().unwrap_or_default();
        let config =
            serde_json::from_str(config).map_err(|error| model(format!("its configuration: {error}")))?;
        let entries = places(entries, map.len() - start)?;
        Ok(Self {
            map: Arc::new(map),
            start,
            entries,
            trusted,
            config,
        })
    }

    /// True if there is an array of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The shape of an array, which must have two dimensions.
    pub(super) fn rows(&self, name: &str) -> Result<(usize, usize)> {
        match self.entry(name)?.shape[..] {
            [rows, dim] => Ok((rows, dim)),
            ref shape => Err(model(format!("`{name}`: expected 2 dimensions, got {shape:?}"))),
        }
    }

    /// The number of values of an array.
    pub(super) fn length(&self, name: &str) -> Result<usize> {
        Ok(self.entry(name)?.shape.iter().product())
    }

    /// An array, which must have this shape.
    pub(super) fn take<T: Number + Stored>(&self, name: &str, shape: &[usize]) -> Result<Array<T>> {
        let entry = self.entry(name)?;
        if entry.dtype != T::DTYPE || entry.shape != shape {
            return Err(model(format!(
                "`{name}`: expected {} of shape {shape:?}, got {} of shape {:?}",
                T::DTYPE,
                entry.dtype,
                entry.shape
            )));
        }
        let place = self.start + entry.place.start..self.start + entry.place.end;
        Ok(Array::mapped(&self.map, place))
    }

    /// As [`Tensors::take`], of finite numbers.
    pub(super) fn take_finite(&self, name: &str, shape: &[usize]) -> Result<Array<f32>> {
        let array: Array<f32> = self.take(name, shape)?;
        // Infinity times zero is NaN, and NaN stays.
        let finite = |part: &[f32]| part.iter().fold(f32::zeroed(), |sum, value| sum + value * 0.0) == 0.0;
        if !self.trusted && !array.chunks(1 << 12).all(finite) {
            return Err(model(format!(
                "`{name}`: expected finite numbers, got NaN or infinity"
            )));
        }
        Ok(array)
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        self.entries
            .get(name)
            .ok_or_else(|| model(format!("expected an array `{name}`, got none")))
    }
}

/// Fails unless the checksum is that of the header.
fn verify(bytes: &[u8], start: usize) -> Result<()> {
    let at = digits_at(&bytes[..start]).ok_or_else(|| model("expected a checksum, got none".to_owned()))?;
    let mut sum = Xxh3::new();
    sum.update(&bytes[..at]);
    sum.update(&[b'0'; DIGITS]);
    sum.update(&bytes[at + DIGITS..]);
    let found = format!("{:016x}", sum.digest());
    if found.as_bytes() == &bytes[at..at + DIGITS] {
        return Ok(());
    }
    Err(model(format!(
        "expected the checksum {}, got {found}; the file is truncated or damaged",
        String::from_utf8_lossy(&bytes[at..at + DIGITS])
    )))
}

/// The arrays of a header, each as long as its type and shape say, and within `total` bytes.
fn places(entries: Map<String, Value>, total: usize) -> Result<BTreeMap<String, Entry>> {
    let number = |value: &Value| usize::try_from(value.as_u64()?).ok();
    let read = |value: &Value| -> Option<Entry> {
        let dtype = value.get("dtype")?.as_str()?.to_owned();
        let shape = value.get("shape")?.as_array()?;
        let shape = shape.iter().map(number).collect::<Option<Vec<_>>>()?;
        let [start, end] = &value.get("data_offsets")?.as_array()?[..] else {
            return None;
        };
        let (start, end) = (number(start)?, number(end)?);
        let width = match dtype.as_str() {
            "U8" => 1,
            "U16" => 2,
            "U32" | "F32" => 4,
            "U64" | "I64" => 8,
            _ => return None,
        };
        let bytes = shape
            .iter()
            .try_fold(width, |bytes: usize, &axis| bytes.checked_mul(axis))?;
        (start.checked_add(bytes)? == end && end <= total).then_some(Entry {
            dtype,
            shape,
            place: start..end,
        })
    };
    entries
        .into_iter()
        .map(|(name, value)| match read(&value) {
            Some(entry) => Ok((name, entry)),
            None => Err(model(format!("`{name}` does not fit the file"))),
        })
        .collect()
}

pub(super) fn model(problem: String) -> Error {
    Error::Model { problem }
}
