//! Python's `list.sort`: stable, and any comparison may fail.
//!
//! The standard library's sorts cannot be used: a comparison cannot fail there, and they may panic if `<` is not an order,
//! as with NaN or sets. Up to 63 items are compared in CPython's order, so that items without an order end up in the same
//! place, or fail with the same message. Longer lists take some comparisons that CPython saves.

/// Sorts the items. After an error all items are still there, in some order. `less` need not be an order.
pub fn sort<T: Clone, E>(
    items: &mut [T],
    less: &mut impl FnMut(&T, &T) -> Result<bool, E>,
) -> Result<(), E> {
    let shortest = shortest_run(items.len());
    let mut runs = vec![];
    let mut start = 0;
    while start < items.len() {
        let rest = &mut items[start..];
        let sorted = run(rest, less)?;
        let length = sorted.max(shortest.min(rest.len()));
        insert(&mut rest[..length], sorted, less)?;
        start += length;
        runs.push(length);
    }
    while runs.len() > 1 {
        let mut start = 0;
        let mut longer = vec![];
        for pair in runs.chunks(2) {
            let length = pair.iter().sum();
            merge(&mut items[start..start + length], pair[0], less)?;
            start += length;
            longer.push(length);
        }
        runs = longer;
    }
    Ok(())
}

/// Returns a length that makes the number of runs a power of two, or a little less.
fn shortest_run(mut length: usize) -> usize {
    let mut rest = 0;
    while length >= 64 {
        rest |= length & 1;
        length >>= 1;
    }
    length + rest
}

/// Returns how many items from the start are in order. Descending ones are reversed first.
fn run<T, E>(
    items: &mut [T],
    less: &mut impl FnMut(&T, &T) -> Result<bool, E>,
) -> Result<usize, E> {
    if items.len() < 2 {
        return Ok(items.len());
    }
    let down = less(&items[1], &items[0])?;
    let mut length = 2;
    while length < items.len() && less(&items[length], &items[length - 1])? == down {
        length += 1;
    }
    if down {
        items[..length].reverse();
    }
    Ok(length)
}

/// Moves each item to its place among those before it. The first `sorted` are in order already.
fn insert<T, E>(
    items: &mut [T],
    sorted: usize,
    less: &mut impl FnMut(&T, &T) -> Result<bool, E>,
) -> Result<(), E> {
    for next in sorted..items.len() {
        let (mut low, mut high) = (0, next);
        while low < high {
            let middle = low + (high - low) / 2;
            if less(&items[next], &items[middle])? {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        items[low..=next].rotate_right(1);
    }
    Ok(())
}

/// Merges two runs, of which the first ends at `middle`.
fn merge<T: Clone, E>(
    items: &mut [T],
    middle: usize,
    less: &mut impl FnMut(&T, &T) -> Result<bool, E>,
) -> Result<(), E> {
    let mut merged = Vec::with_capacity(items.len());
    let (mut left, mut right) = (0, middle);
    while left < middle && right < items.len() {
        let next = if less(&items[right], &items[left])? {
            &mut right
        } else {
            &mut left
        };
        merged.push(items[*next].clone());
        *next += 1;
    }
    merged.extend_from_slice(&items[left..middle]);
    let length = merged.len();
    items[..length].clone_from_slice(&merged);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_stable_at_any_length() {
        let mut seed = 7u64;
        for length in (0..200).chain([1000, 4096]) {
            let mut items: Vec<(u64, usize)> = (0..length)
                .map(|index| {
                    seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
                    ((seed >> 33) % 50, index)
                })
                .collect();
            let mut expected = items.clone();
            expected.sort();
            let result: Result<(), ()> = sort(&mut items, &mut |a, b| Ok(a.0 < b.0));
            assert_eq!((result, items), (Ok(()), expected));
        }
    }

    #[test]
    fn loses_nothing_when_it_fails() {
        for limit in 1..10_000 {
            let mut items: Vec<usize> = (0..300).map(|index| index * 7919 % 300).collect();
            let mut left = limit;
            let result = sort(&mut items, &mut |a, b| {
                left -= 1;
                if left == 0 { Err(()) } else { Ok(a < b) }
            });
            assert_eq!(result.is_ok(), items.is_sorted(), "limit {limit}");
            let failed = result.is_err();
            items.sort();
            assert!(items.into_iter().eq(0..300));
            if !failed {
                return;
            }
        }
        panic!("that many comparisons");
    }
}
