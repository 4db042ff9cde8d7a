//! Runs work on many databases, limited overall and per server.

use std::collections::{BTreeMap, VecDeque};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use crate::fleet::{Limits, Member};

/// What to do after a database is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    Continue,
    /// Start no further one, and wait for those running.
    Stop,
    /// Continue, and retry this one after the others.
    Again,
}

/// Does the work on each database; returns those that were not started.
///
/// `done` is called as each one finishes, and decides how to continue.
pub async fn for_each_member<'f, T, F>(
    members: &[&'f Member],
    limits: Limits,
    work: impl Fn(&'f Member) -> F,
    mut done: impl FnMut(&'f Member, T) -> NextStep,
) -> Vec<&'f Member>
where
    F: Future<Output = T>,
{
    let mut servers: BTreeMap<String, usize> = BTreeMap::new();
    let mut waiting: VecDeque<(&'f Member, usize)> = VecDeque::new();
    for member in members {
        let number = servers.len();
        waiting.push_back((member, *servers.entry(member.server()).or_insert(number)));
    }
    // Indexed by the server's number; thousands of databases are searched each time one finishes.
    let mut busy = vec![0; servers.len()];
    let mut running = FuturesUnordered::new();
    let mut stopped = false;
    loop {
        while !stopped && running.len() < limits.concurrency {
            let free = |(_, server): &(&Member, usize)| busy[*server] < limits.per_server;
            let next = waiting.iter().position(free);
            let Some((member, server)) = next.and_then(|at| waiting.remove(at)) else {
                break;
            };
            busy[server] += 1;
            let task = work(member);
            running.push(async move { (member, server, task.await) });
        }
        let Some((member, server, result)) = running.next().await else {
            return waiting.into_iter().map(|(member, _)| member).collect();
        };
        busy[server] -= 1;
        match done(member, result) {
            NextStep::Continue => {}
            NextStep::Stop => stopped = true,
            NextStep::Again => waiting.push_back((member, server)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::target::Target;
    use std::cell::Cell;
    use std::time::Duration;

    fn members() -> Vec<Member> {
        (0..12)
            .map(|at| Member {
                name: format!("m{at}"),
                target: Target::parse(&format!("postgres://h{}/m{at}", at % 3)).unwrap(),
                tenant: None,
                attributes: BTreeMap::new(),
            })
            .collect()
    }

    const LIMITS: Limits = Limits {
        concurrency: 5,
        per_server: 2,
        failures: 0,
        retries: 0,
        patience: Duration::ZERO,
    };

    #[tokio::test]
    async fn concurrency_limits_are_kept() {
        let members = members();
        let refs: Vec<&Member> = members.iter().collect();
        let (now, most) = (Cell::new(0), Cell::new(0));
        let on_first = Cell::new(0);
        let mut ended = Vec::new();
        let left = for_each_member(
            &refs,
            LIMITS,
            async |member: &Member| {
                let first = member.server().starts_with("h0");
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                if first {
                    on_first.set(on_first.get() + 1);
                    assert!(on_first.get() <= 2);
                }
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
                now.set(now.get() - 1);
                if first {
                    on_first.set(on_first.get() - 1);
                }
            },
            |member, ()| {
                ended.push(member.name.clone());
                NextStep::Continue
            },
        )
        .await;
        assert!(left.is_empty());
        assert_eq!(most.get(), 5);
        ended.sort();
        ended.dedup();
        assert_eq!(ended.len(), 12);
    }

    #[tokio::test]
    async fn a_stop_starts_no_other_and_retries_come_last() {
        let members = members();
        let refs: Vec<&Member> = members.iter().collect();
        let mut seen = Vec::new();
        let left = for_each_member(
            &refs,
            Limits {
                concurrency: 1,
                ..LIMITS
            },
            async |_: &Member| (),
            |member, ()| {
                seen.push(member.name.clone());
                match seen.len() {
                    1 => NextStep::Again,
                    13 => unreachable!("nothing is begun after the stop"),
                    12 => NextStep::Stop,
                    _ => NextStep::Continue,
                }
            },
        )
        .await;
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].name, "m0");
    }
}
