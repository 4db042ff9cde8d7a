//! Sorts steps by their dependencies; among independent steps the given rank decides.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// Returns the indexes of `ranks` in order: for each `(first, second)` in `edges` the first comes before the second.
///
/// Cycles are broken at edges that are `soft`. Without one, the step of the lowest rank in the cycle
/// comes first: better a statement that the server rejects than one that is never shown.
pub(super) fn topological_sort<R: Ord>(
    ranks: &[R],
    edges: &BTreeSet<(usize, usize)>,
    soft: &BTreeSet<(usize, usize)>,
) -> Vec<usize> {
    let mut edges = edges.clone();
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); ranks.len()];
    let mut waiting = vec![0usize; ranks.len()];
    for (first, second) in &edges {
        followers[*first].push(*second);
        waiting[*second] += 1;
    }
    let mut ready: BinaryHeap<Reverse<(&R, usize)>> = (0..ranks.len())
        .filter(|index| waiting[*index] == 0)
        .map(|index| Reverse((&ranks[index], index)))
        .collect();
    let mut done = vec![false; ranks.len()];
    let mut order = Vec::with_capacity(ranks.len());
    while order.len() < ranks.len() {
        let next = if let Some(Reverse((_, index))) = ready.pop() {
            index
        } else {
            let circle = circle(&edges, &done);
            let mut freed = false;
            for (second, first) in circle.iter().zip(circle.iter().cycle().skip(1)) {
                let edge = (*first, *second);
                if soft.contains(&edge) && edges.remove(&edge) {
                    freed = true;
                    followers[*first].retain(|follower| follower != second);
                    waiting[*second] -= 1;
                    if waiting[*second] == 0 {
                        ready.push(Reverse((&ranks[*second], *second)));
                    }
                }
            }
            if freed {
                continue;
            }
            let first = circle.into_iter().min_by_key(|index| &ranks[*index]);
            first.expect("what is left waits in a circle")
        };
        if done[next] {
            continue;
        }
        done[next] = true;
        order.push(next);
        for follower in &followers[next] {
            waiting[*follower] = waiting[*follower].saturating_sub(1);
            if waiting[*follower] == 0 && !done[*follower] {
                ready.push(Reverse((&ranks[*follower], *follower)));
            }
        }
    }
    order
}

/// Finds a cycle among the remaining steps, each of which waits for another of them.
fn circle(edges: &BTreeSet<(usize, usize)>, done: &[bool]) -> Vec<usize> {
    let mut waits_for: Vec<Option<usize>> = vec![None; done.len()];
    for (first, second) in edges {
        if !done[*first] && !done[*second] {
            waits_for[*second].get_or_insert(*first);
        }
    }
    let start = done.iter().position(|done| !done);
    let mut path: Vec<usize> = Vec::new();
    let mut next = start;
    while let Some(step) = next {
        if let Some(seen) = path.iter().position(|other| *other == step) {
            return path.split_off(seen);
        }
        path.push(step);
        next = waits_for[step];
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_comes_after_what_it_waits_for() {
        let none = BTreeSet::new();
        let check = |edges: &[(usize, usize)], expected: &[usize]| {
            let edges = edges.iter().copied().collect();
            assert_eq!(topological_sort(&["a", "b", "c"], &edges, &none), expected);
        };
        check(&[], &[0, 1, 2]);
        check(&[(2, 0)], &[1, 2, 0]);
        check(&[(2, 1), (1, 0)], &[2, 1, 0]);
        // No step of a cycle is lost.
        check(&[(0, 1), (1, 0)], &[2, 0, 1]);
        // A step that waits for a cycle is not part of it.
        check(&[(1, 2), (2, 1), (1, 0)], &[1, 0, 2]);
    }

    #[test]
    fn a_circle_is_broken_where_it_is_soft() {
        let edges = [(0, 1), (1, 2), (2, 0)].into_iter().collect();
        let check = |soft: (usize, usize), expected: &[usize]| {
            let soft = [soft].into_iter().collect();
            assert_eq!(topological_sort(&["a", "b", "c"], &edges, &soft), expected);
        };
        check((2, 0), &[0, 1, 2]);
        check((0, 1), &[1, 2, 0]);
        check((1, 2), &[2, 0, 1]);
    }
}
