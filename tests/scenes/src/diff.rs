//! What was expected beside what came out, line by line.

/// Lines that only `expected` has are marked `-`, lines that only `found` has `+`.
pub(crate) fn diff(expected: &[String], found: &[String]) -> String {
    let common = common_lengths(expected, found);
    let (mut row, mut column) = (0, 0);
    let mut text = String::new();
    let mut put = |mark: char, line: &str| text.push_str(&format!("    {mark} {line}\n"));
    loop {
        match (expected.get(row), found.get(column)) {
            (Some(old), Some(new)) if old == new => {
                put(' ', old);
                (row, column) = (row + 1, column + 1);
            }
            (Some(old), new)
                if new.is_none() || common[row + 1][column] >= common[row][column + 1] =>
            {
                put('-', old);
                row += 1;
            }
            (_, Some(new)) => {
                put('+', new);
                column += 1;
            }
            (_, None) => break,
        }
    }
    text
}

/// `lengths[i][j]` is the length of the longest common subsequence of `old[i..]` and `new[j..]`.
fn common_lengths(old: &[String], new: &[String]) -> Vec<Vec<usize>> {
    let mut lengths = vec![vec![0; new.len() + 1]; old.len() + 1];
    for row in (0..old.len()).rev() {
        for column in (0..new.len()).rev() {
            lengths[row][column] = if old[row] == new[column] {
                lengths[row + 1][column + 1] + 1
            } else {
                lengths[row + 1][column].max(lengths[row][column + 1])
            };
        }
    }
    lengths
}
