//! The error type of the crate: every variant carries what was expected and what was given.

use std::fmt;

/// Result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error, with the expected value, the given one and the rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A buffer's length does not fit the shape it was announced with. Pass a buffer of `expected` elements.
    Length {
        /// The name of the argument.
        what: &'static str,
        /// Number of elements of the shape.
        expected: usize,
        /// Number of elements given.
        got: usize,
    },
    /// A number is not in the range that makes sense. Pass one from `min` to `max`.
    Range {
        /// The name of the number.
        what: &'static str,
        /// The given value.
        got: usize,
        /// The least that makes sense.
        min: usize,
        /// The most that makes sense; `usize::MAX` stands for no limit.
        max: usize,
    },
    /// Whoever watched the work said to stop it.
    Stopped,
    /// A buffer could not be allocated. Ask for less, or in parts.
    Memory {
        /// Its size; `usize::MAX` if it does not fit the address space.
        bytes: usize,
    },
    /// A state that this crate excludes: a defect of the crate, or a damaged file that was trusted.
    Internal {
        /// Message and place of the panic.
        message: String,
    },
    /// This CPU lacks the instructions of a kernel. Take one of [`crate::Kernel::available`].
    Kernel {
        /// The name of the kernel.
        name: &'static str,
    },
    /// A value of a row is NaN or infinite. Clean or drop the row before quantizing it.
    NotFinite {
        /// The name of the argument.
        what: &'static str,
        /// The first row that holds such a value.
        row: usize,
    },
    /// A layout has no levels or too many. Give 1 to [`crate::sid::MAX_LEVELS`].
    LevelCount {
        /// Number of levels given.
        got: usize,
    },
    /// A level of a layout has no codes, or more than a 16-bit token can name. Give 1 to 65536.
    LevelSize {
        /// The level.
        level: usize,
        /// Its given size.
        got: i64,
    },
    /// A layout takes more bits than two words have. Use fewer levels or fewer codes.
    TooWide {
        /// Number of bits its levels take together.
        bits: u32,
    },
    /// Keys came in another number of words than the layout takes.
    KeyWords {
        /// Number of words the layout takes.
        expected: usize,
        /// Number of words the keys have.
        got: usize,
    },
    /// A packed Semantic ID has bits set beyond the layout's. It was packed under another layout, or is damaged.
    KeyRange {
        /// The first such row.
        row: usize,
        /// Number of bits the layout takes.
        bits: u32,
    },
    /// A token is not one of its level's codes.
    TokenRange {
        /// The first row that holds such a token.
        row: usize,
        /// The level of the token.
        level: usize,
        /// The token.
        token: i64,
        /// Number of codes the level has.
        size: u32,
    },
    /// A prefix or an n-gram is longer than a Semantic ID, or an n-gram is empty.
    Depth {
        /// Number of levels the layout has.
        levels: usize,
        /// Number of tokens requested.
        got: usize,
    },
    /// States have read all levels; nothing can come next. Ask for their items.
    Complete {
        /// Number of levels the layout has.
        levels: usize,
    },
    /// A row number that a batch of states does not have.
    RowRange {
        /// Where it stands among the row numbers.
        at: usize,
        /// The row number.
        row: i64,
        /// Number of rows.
        rows: usize,
    },
    /// An item is not in the trie.
    UnknownItem {
        /// The first row that asks for such an item.
        row: usize,
        /// The item.
        item: i64,
    },
    /// An item that is to be added is in the trie already. Remove it in the same batch, or give the new one another number.
    ItemExists {
        /// The first row that adds such an item.
        row: usize,
        /// The item.
        item: u32,
    },
    /// Two items would share a Semantic ID where each must have its own. Give one of them another.
    SharedKey {
        /// The item that was to come.
        item: u32,
        /// The other.
        other: u32,
    },
    /// A batch does not fall into groups as it was said to.
    Groups {
        /// Number of rows the batch has.
        rows: usize,
        /// Given number of rows per group.
        rows_per_group: usize,
        /// The rule that is broken.
        problem: &'static str,
    },
    /// Offsets of ragged rows do not ascend from 0 to the number of values.
    Offsets {
        /// The name of the argument.
        what: &'static str,
        /// The number of values.
        values: usize,
    },
    /// More items than positions of 32 bits can tell apart.
    TooManyItems {
        /// Number of items given.
        got: usize,
    },
    /// Keys that must come in order did not. Sort them, and the items of equal keys.
    KeyOrder {
        /// The number of the key that is out of order, among all.
        row: u64,
    },
    /// An item came with two Semantic IDs. Give each item once.
    RepeatedItem {
        /// The item.
        item: u32,
    },
    /// A file is not a trie of ours, or is damaged.
    Format {
        /// Expected and given content.
        problem: String,
    },
    /// A file is not an inference file, or is damaged. Export the model again.
    Model {
        /// Expected and given content.
        problem: String,
    },
    /// The system refused to read or write a file.
    Io {
        /// The file.
        path: String,
        /// The kind of refusal.
        kind: std::io::ErrorKind,
        /// The number of the error where the system gave one, such as 28 for a full disk.
        code: Option<i32>,
        /// Message of the system.
        message: String,
    },
    /// An embedding table cannot have so many rows. Give 1 to 2^63 - 1.
    Rows {
        /// Number of rows requested.
        got: u64,
    },
    /// A name is no kind of n-gram.
    GramKind {
        /// Its first 80 characters.
        got: String,
    },
    /// There is no window, and so no n-gram.
    NoWindows,
    /// A window of an n-gram is empty, or reaches beyond the last level.
    Window {
        /// Its first level.
        start: usize,
        /// Number of levels it has.
        length: usize,
        /// Number of levels the layout has.
        levels: usize,
    },
    /// A candidate has no vector. Leave it out, or pass vectors of the whole catalogue.
    Candidate {
        /// The first list that holds such a candidate.
        row: usize,
        /// The item.
        item: i32,
        /// Number of items that have vectors.
        items: usize,
    },
    /// A model cannot represent items that it was not trained on. Train it again on the new catalogue.
    Fixed,
    /// A model does not offer a ranking. Take one of those it offers.
    Scoring {
        /// The name of the ranking.
        got: &'static str,
        /// The names of those that it offers.
        offered: Vec<&'static str>,
    },
    /// A weight or a threshold is not from 0 to 1.
    Share {
        /// The name of the number.
        what: &'static str,
        /// The given value, as text.
        got: String,
    },
    /// A text is not a Semantic ID such as `12-200-7-0`.
    SidText {
        /// Its first 80 characters.
        text: String,
    },
}

impl Error {
    /// Fails unless `got` is `expected`.
    pub(crate) fn check_length(what: &'static str, got: usize, expected: usize) -> Result<()> {
        if got == expected {
            return Ok(());
        }
        Err(Self::Length { what, expected, got })
    }

    /// Fails unless `got` is from `min` to `max`.
    pub(crate) fn check_range(what: &'static str, got: usize, min: usize, max: usize) -> Result<()> {
        if (min..=max).contains(&got) {
            return Ok(());
        }
        Err(Self::Range { what, got, min, max })
    }

    /// Fails unless `got` is from 0 to 1.
    pub(crate) fn check_share(what: &'static str, got: f64) -> Result<()> {
        if (0.0..=1.0).contains(&got) {
            return Ok(());
        }
        Err(Self::Share {
            what,
            got: got.to_string(),
        })
    }

    /// Fails with the first of the rows of `dim` values that holds NaN or infinity.
    pub(crate) fn check_finite(what: &'static str, dim: usize, values: &[f32]) -> Result<()> {
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(place) => Err(Self::NotFinite {
                what,
                row: place / dim,
            }),
        }
    }
}

impl fmt::Display for Error {
    #[expect(clippy::too_many_lines, reason = "one message a variant")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { what, expected, got } => {
                write!(
                    f,
                    "`{what}` has the wrong length: expected {expected} elements for its shape, got {got}"
                )
            }
            Self::Range {
                what,
                got,
                min,
                max: usize::MAX,
            } => {
                write!(f, "`{what}` is out of range: expected at least {min}, got {got}")
            }
            Self::Range { what, got, min, max } => {
                write!(f, "`{what}` is out of range: expected {min} to {max}, got {got}")
            }
            Self::Stopped => write!(
                f,
                "the work was stopped before it ended: expected to continue, got a stop. Nothing was made"
            ),
            Self::Memory { bytes: usize::MAX } => write!(
                f,
                "out of memory: expected a result that fits the address space, got more than 2^64 bytes. Ask for fewer results at once"
            ),
            Self::Memory { bytes } => write!(
                f,
                "out of memory: expected room for a buffer of {bytes} bytes, got none. Ask for fewer results at once"
            ),
            Self::Internal { message } => write!(
                f,
                "sidkit is in a state that should be impossible: expected no panic, got `{message}`. Please report this message and the call that led to it"
            ),
            Self::Kernel { name } => {
                write!(f, "this CPU cannot run kernel {name:?}: expected one of")?;
                crate::Kernel::available().try_for_each(|kernel| write!(f, " {:?}", kernel.name()))
            }
            Self::NotFinite { what, row } => write!(
                f,
                "row {row} of `{what}` is invalid: expected finite values, got NaN or infinity. Clean or drop the row"
            ),
            Self::LevelCount { got } => {
                write!(
                    f,
                    "the number of levels is out of range: expected 1 to 128, got {got}"
                )
            }
            Self::LevelSize { level, got } => {
                write!(
                    f,
                    "the size of level {level} is out of range: expected 1 to 65536, got {got}"
                )
            }
            Self::TooWide { bits } => write!(
                f,
                "the layout is too wide: expected levels of at most 128 bits together, got {bits}. Use fewer or smaller levels"
            ),
            Self::KeyWords { expected, got } => {
                write!(
                    f,
                    "the keys have the wrong width: expected {expected} 64-bit words for the layout, got {got}"
                )
            }
            Self::KeyRange { row, bits } => write!(
                f,
                "row {row} does not belong to the layout: expected {bits} bits, got more. Use the layout it was packed with"
            ),
            Self::TokenRange {
                row,
                level,
                token,
                size,
            } => write!(
                f,
                "row {row}, level {level}: the token is out of range: expected less than {size}, got {token}"
            ),
            Self::Depth { levels, got } => {
                write!(
                    f,
                    "the depth is out of range: expected at most {levels} levels, got {got}"
                )
            }
            Self::Complete { levels } => write!(
                f,
                "the states are complete: expected fewer than {levels} tokens. Ask for their items"
            ),
            Self::RowRange { at, row, rows } => {
                write!(
                    f,
                    "`rows[{at}]` is out of range: expected 0 to {rows} exclusive, the number of states, got {row}"
                )
            }
            Self::UnknownItem { row, item } => {
                write!(f, "row {row}: expected an item of the trie, got {item}")
            }
            Self::ItemExists { row, item } => write!(
                f,
                "row {row}: expected an item that is not in the trie, got {item}. Remove it in the same batch to change its Semantic ID"
            ),
            Self::SharedKey { item, other } => write!(
                f,
                "items share a Semantic ID: expected distinct ones, got one for items {item} and {other}. Change one of them"
            ),
            Self::Groups {
                rows,
                rows_per_group,
                problem,
            } => write!(f, "{rows} rows do not fit groups of {rows_per_group}: {problem}"),
            Self::Offsets { what, values } => write!(
                f,
                "the offsets of `{what}` are invalid: expected them to ascend from 0 to {values}, the number of values"
            ),
            Self::TooManyItems { got } => {
                write!(
                    f,
                    "too many items for a trie: expected at most {}, got {got}",
                    u32::MAX - 1
                )
            }
            Self::KeyOrder { row } => {
                write!(
                    f,
                    "row {row}: expected keys in ascending order, and ascending items under one key, got a smaller one. Sort them"
                )
            }
            Self::RepeatedItem { item } => {
                write!(
                    f,
                    "an item is repeated: expected one Semantic ID per item, got several for item {item}. Drop its other rows"
                )
            }
            Self::Format { problem } => write!(f, "not a readable trie: {problem}"),
            Self::Model { problem } => write!(f, "not a readable inference file: {problem}"),
            Self::Io { path, message, .. } => write!(f, "`{path}`: {message}"),
            Self::Rows { got } => {
                write!(
                    f,
                    "`num_embeddings` is out of range: expected 1 to 2^63 - 1, got {got}"
                )
            }
            Self::GramKind { got } => write!(
                f,
                "the kind of n-gram is unknown: expected `unigram`, `bigram`, `trigram`, `4gram` and so on, `all` or `prefix`, got `{got}`"
            ),
            Self::NoWindows => write!(f, "there are no n-grams: expected at least one window, got none"),
            Self::Window {
                start,
                length,
                levels,
            } => write!(
                f,
                "a window is out of range: expected one or more of {levels} levels, got {length} from level {start}"
            ),
            Self::Candidate { row, item, items } => write!(
                f,
                "list {row} of `items` is invalid: expected items below {items}, or -1 as padding, got {item}. Pass vectors of the whole catalogue"
            ),
            Self::Fixed => write!(
                f,
                "the model cannot recommend new items: expected one that composes vectors of tokens and content, got one with a vector per item. Train it again"
            ),
            Self::Scoring { got, offered } => write!(
                f,
                "the model has no scoring `{got}`: expected one of {}, got `{got}`",
                offered.join(", ")
            ),
            Self::Share { what, got } => {
                write!(
                    f,
                    "`{what}` is out of range: expected a number from 0 to 1, got {got}"
                )
            }
            Self::SidText { text } => write!(
                f,
                "a Semantic ID is malformed: expected tokens of 0 to 65535 joined by `-`, such as `12-200-7-0`, got `{text}`"
            ),
        }
    }
}

impl std::error::Error for Error {}
