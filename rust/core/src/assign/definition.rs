//! The definition of a code, as slow and simple as possible; faster code is tested against it.

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

/// [`distance`] of several pairs of residuals and codewords at a time, since one alone waits for its own sum.
pub(super) fn distances<const N: usize>(pairs: [(&[f32], &[f32]); N]) -> [f64; N] {
    let dim = pairs
        .iter()
        .map(|(residual, _)| residual.len())
        .min()
        .unwrap_or(0);
    let pairs = pairs.map(|(residual, word)| (&residual[..dim], &word[..dim]));
    let mut sums = [0.0; N];
    for d in 0..dim {
        for (sum, (residual, word)) in sums.iter_mut().zip(&pairs) {
            let difference = f64::from(residual[d]) - f64::from(word[d]);
            *sum += difference * difference;
        }
    }
    sums
}

/// Number of distances summed at a time.
pub(super) const TOGETHER: usize = 8;

/// The nearest of `codes`, given in ascending order: the lowest of equals.
///
/// The first of the codes if all distances are infinite.
pub(super) fn nearest_of(residual: &[f32], words: &[f32], codes: impl IntoIterator<Item = usize>) -> usize {
    let dim = residual.len();
    let mut codes = codes.into_iter().peekable();
    let mut best = (*codes.peek().expect("at least one code"), f64::INFINITY);
    while let Some(&first) = codes.peek() {
        // What is left over in the last group is its first code again, which cannot win a second time.
        let group = [(); TOGETHER].map(|()| codes.next().unwrap_or(first));
        let found = distances(group.map(|code| (residual, &words[code * dim..][..dim])));
        for (code, distance) in group.into_iter().zip(found) {
            if distance < best.1 {
                best = (code, distance);
            }
        }
    }
    best.0
}
