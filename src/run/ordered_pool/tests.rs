use super::*;

/// Returns the squares of the numbers up to `count`, with `at_once` numbers in the pool.
fn squares(threads: usize, count: u64, at_once: usize) -> Vec<u64> {
    let pool = (threads > 1).then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    let work = |number: &mut u64| {
        // Work times vary.
        std::thread::sleep(std::time::Duration::from_micros(*number % 7 * 20));
        *number *= *number;
    };
    OrderedPool::run(pool.as_ref(), work, |ordered| {
        let (mut next, mut free, mut squares) = (0, at_once, Vec::new());
        loop {
            while let Some(square) = ordered.take_first() {
                squares.push(square);
                free += 1;
            }
            if next < count && free > 0 {
                ordered.push(next);
                (next, free) = (next + 1, free - 1);
            } else if !ordered.help_or_wait(work) {
                return squares;
            }
        }
    })
}

#[test]
fn what_is_handed_out_comes_back_in_its_order() {
    let expected: Vec<u64> = (0..300).map(|number| number * number).collect();
    for (threads, at_once) in [(1, 1), (1, 3), (2, 1), (2, 2), (2, 8), (5, 3), (3, 300)] {
        assert_eq!(squares(threads, 300, at_once), expected, "{threads} threads, {at_once} at once");
    }
}

#[test]
fn nothing_is_handed_out() {
    assert_eq!(squares(2, 0, 4), Vec::<u64>::new());
}

#[test]
fn what_is_still_out_at_the_end_is_left() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let taken = OrderedPool::run(
        Some(&pool),
        |number: &mut u64| *number += 1,
        |ordered| {
            (0..100).for_each(|number| ordered.push(number));
            ordered.help_or_wait(|number| *number += 1).then(|| ordered.take_first())
        },
    );
    assert!(matches!(taken, Some(None | Some(1))), "{taken:?}");
}
