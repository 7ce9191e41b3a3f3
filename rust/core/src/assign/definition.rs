//! What a code is, without any haste. Everything faster is held against this.

/// The squared distance that decides: differences, squares and sum in f64, in index order.
#[must_use]
pub fn distance(residual: &[f32], word: &[f32]) -> f64 {
    let mut sum = 0.0;
    for (&value, &word) in residual.iter().zip(word) {
        let difference = f64::from(value) - f64::from(word);
        sum += difference * difference;
    }
    sum
}

/// The nearest of `codes`, given in ascending order, and its distance: the lowest of equals.
///
/// The first of the codes if all distances are infinite.
pub(super) fn nearest_of(
    residual: &[f32],
    words: &[f32],
    codes: impl IntoIterator<Item = usize>,
) -> (usize, f64) {
    let dim = residual.len();
    let mut codes = codes
        .into_iter()
        .map(|code| (code, distance(residual, &words[code * dim..][..dim])));
    let first = codes.next().expect("at least one code");
    codes.fold(first, |best, next| if next.1 < best.1 { next } else { best })
}
