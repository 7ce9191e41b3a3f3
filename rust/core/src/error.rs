//! One error type for the whole crate: every variant carries what was expected and what came.

use std::fmt;

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong, with both sides of the disagreement and the rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A buffer's length does not fit the shape it was announced with. Pass a buffer of `expected` elements.
    Length {
        /// The name of the argument.
        what: &'static str,
        /// How many elements the shape asks for.
        expected: usize,
        /// How many elements came.
        got: usize,
    },
    /// A number is not in the range that makes sense. Pass one from `min` to `max`.
    Range {
        /// The name of the number.
        what: &'static str,
        /// What came.
        got: usize,
        /// The least that makes sense.
        min: usize,
        /// The most that makes sense; `usize::MAX` stands for no limit.
        max: usize,
    },
    /// Whoever watched the work said to stop it.
    Stopped,
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
        /// How many levels came.
        got: usize,
    },
    /// A level of a layout has no codes, or more than a 16-bit token can name. Give 1 to 65536.
    LevelSize {
        /// The level.
        level: usize,
        /// How many codes it was said to have.
        got: i64,
    },
    /// A layout takes more bits than two words have. Use fewer levels or fewer codes.
    TooWide {
        /// How many bits its levels take together.
        bits: u32,
    },
    /// Keys came in another number of words than the layout takes.
    KeyWords {
        /// How many words the layout takes.
        expected: usize,
        /// How many words the keys have.
        got: usize,
    },
    /// A packed Semantic ID has bits set beyond the layout's. It was packed under another layout, or is damaged.
    KeyRange {
        /// The first such row.
        row: usize,
        /// How many bits the layout takes.
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
        /// How many codes the level has.
        size: u32,
    },
    /// A prefix or an n-gram is longer than a Semantic ID, or an n-gram is empty.
    Depth {
        /// How many levels the layout has.
        levels: usize,
        /// How many tokens were asked for.
        got: usize,
    },
    /// States have read all levels; nothing can come next. Ask for their items.
    Complete {
        /// How many levels the layout has.
        levels: usize,
    },
    /// A row number that a batch of states does not have.
    RowRange {
        /// Where it stands among the row numbers.
        at: usize,
        /// The row number.
        row: i64,
        /// How many rows there are.
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
        /// How many rows the batch has.
        rows: usize,
        /// How many rows each group was said to have.
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
        /// How many items came.
        got: usize,
    },
    /// An item came with two Semantic IDs. Give each item once.
    RepeatedItem {
        /// The item.
        item: u32,
    },
    /// A file is not a trie of ours, or is damaged.
    Format {
        /// What was expected and what came.
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
        /// What the system said.
        message: String,
    },
    /// An embedding table cannot have so many rows. Give 1 to 2^63 - 1.
    Rows {
        /// How many rows were asked for.
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
        /// How many levels it has.
        length: usize,
        /// How many levels the layout has.
        levels: usize,
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
                    "`{what}` has {got} elements, but its shape asks for {expected}"
                )
            }
            Self::Range {
                what,
                got,
                min,
                max: usize::MAX,
            } => {
                write!(f, "`{what}` is {got}, but must be at least {min}")
            }
            Self::Range { what, got, min, max } => {
                write!(f, "`{what}` is {got}, but must be from {min} to {max}")
            }
            Self::Stopped => write!(f, "the work was stopped before its end; nothing was made"),
            Self::Kernel { name } => {
                write!(f, "this CPU cannot run kernel {name:?}; available are")?;
                crate::Kernel::available().try_for_each(|kernel| write!(f, " {:?}", kernel.name()))
            }
            Self::NotFinite { what, row } => write!(
                f,
                "row {row} of `{what}` holds NaN or infinity; every value must be finite: clean or drop that row"
            ),
            Self::LevelCount { got } => {
                write!(f, "a layout has 1 to 128 levels, got {got}")
            }
            Self::LevelSize { level, got } => {
                write!(f, "level {level} has {got} codes; every level has 1 to 65536")
            }
            Self::TooWide { bits } => write!(
                f,
                "the levels take {bits} bits together, but at most 128 fit; use fewer levels or fewer codes"
            ),
            Self::KeyWords { expected, got } => {
                write!(
                    f,
                    "the layout packs into {expected} 64-bit words, but the keys have {got}"
                )
            }
            Self::KeyRange { row, bits } => write!(
                f,
                "row {row} has bits set beyond the {bits} of the layout; was it packed under another layout?"
            ),
            Self::TokenRange {
                row,
                level,
                token,
                size,
            } => write!(
                f,
                "row {row}, level {level}: token {token} is not below {size}, the number of codes of that level"
            ),
            Self::Depth { levels, got } => {
                write!(
                    f,
                    "{got} tokens are asked for, but the layout has {levels} levels"
                )
            }
            Self::Complete { levels } => write!(
                f,
                "the states have read all {levels} levels, nothing can come next; ask for their items"
            ),
            Self::RowRange { at, row, rows } => {
                write!(
                    f,
                    "`rows[{at}]` is {row}, but there are {rows} states: 0 to {rows} exclusive"
                )
            }
            Self::UnknownItem { row, item } => {
                write!(f, "row {row} asks for item {item}, which is not in the trie")
            }
            Self::ItemExists { row, item } => write!(
                f,
                "row {row} adds item {item}, which is in the trie already; remove it in the same batch to change its Semantic ID"
            ),
            Self::SharedKey { item, other } => write!(
                f,
                "items {item} and {other} would share a Semantic ID, but here every item has its own; give one of them another"
            ),
            Self::Groups {
                rows,
                rows_per_group,
                problem,
            } => write!(f, "{rows} rows in groups of {rows_per_group}: {problem}"),
            Self::Offsets { what, values } => write!(
                f,
                "the offsets of `{what}` must ascend from 0 to the number of its values, {values}"
            ),
            Self::TooManyItems { got } => {
                write!(f, "{got} items, but a trie holds at most {}", u32::MAX - 1)
            }
            Self::RepeatedItem { item } => {
                write!(
                    f,
                    "item {item} came twice, but an item has one Semantic ID; drop one of its rows"
                )
            }
            Self::Format { problem } => write!(f, "not a readable trie: {problem}"),
            Self::Io { path, message, .. } => write!(f, "`{path}`: {message}"),
            Self::Rows { got } => {
                write!(f, "an embedding table has 1 to 2^63 - 1 rows, got {got}")
            }
            Self::GramKind { got } => write!(
                f,
                "`{got}` is no kind of n-gram; take `unigram`, `bigram`, `trigram`, `4gram` and so on, `all` or `prefix`"
            ),
            Self::NoWindows => write!(f, "there is no window to cut n-grams with; give at least one"),
            Self::Window {
                start,
                length,
                levels,
            } => write!(
                f,
                "the window of {length} levels from level {start} on is empty or not within the {levels} levels"
            ),
            Self::SidText { text } => write!(
                f,
                "`{text}` is no Semantic ID; write tokens of 0 to 65535 joined by `-`, such as `12-200-7-0`"
            ),
        }
    }
}

impl std::error::Error for Error {}
