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
    /// A value of a row is NaN or infinite. Clean or drop the row before quantizing it.
    NotFinite {
        /// The name of the argument.
        what: &'static str,
        /// The first row that holds such a value.
        row: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { what, expected, got } => {
                write!(
                    f,
                    "`{what}` has {got} elements, but its shape asks for {expected}"
                )
            }
            Self::NotFinite { what, row } => write!(
                f,
                "row {row} of `{what}` holds NaN or infinity; every value must be finite: clean or drop that row"
            ),
        }
    }
}

impl std::error::Error for Error {}
