//! Makes a failing list small.
//!
//! ```text
//!   cut behind the failure -> drop halves, quarters, .. single operations -> parts of operations
//!                          -> plainer operations, options, sizes                -> again, until nothing helps
//! ```
//!
//! Every step keeps a list that fails, in whatever way.

use super::ops::Op;
use super::setup::Setup;
use std::time::{Duration, Instant};

/// A list that fails, the setups that it fails with, and what is wrong.
pub struct Case<F> {
    pub ops: Vec<Op>,
    pub setups: Vec<Setup>,
    pub failure: F,
}

/// Says what is wrong with a list, and at which operation; `None` if nothing is.
pub type Fails<'f, F> = &'f mut dyn FnMut(&[Op], &[Setup]) -> Option<(usize, F)>;

/// Makes the case as small as it becomes in that time.
pub fn shrink<F>(case: Case<F>, time: Duration, fails: Fails<'_, F>) -> Case<F> {
    let mut shrinking = Shrinking { case, fails, until: Instant::now() + time };
    loop {
        let before = (shrinking.case.ops.clone(), shrinking.case.setups.clone());
        shrinking.drop_operations();
        shrinking.drop_parts();
        shrinking.plainer_setups();
        shrinking.plainer_operations();
        shrinking.smaller_documents();
        let now = (&shrinking.case.ops, &shrinking.case.setups);
        if (&before.0, &before.1) == now || shrinking.over() {
            return shrinking.case;
        }
    }
}

struct Shrinking<'f, F> {
    case: Case<F>,
    fails: Fails<'f, F>,
    until: Instant,
}

impl<F> Shrinking<'_, F> {
    fn over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Takes the list, cut behind its failure, if it fails.
    fn attempt(&mut self, mut ops: Vec<Op>, setups: Vec<Setup>) -> bool {
        if self.over() {
            return false;
        }
        let Some((at, failure)) = (self.fails)(&ops, &setups) else { return false };
        ops.truncate(at + 1);
        self.case = Case { ops, setups, failure };
        true
    }

    fn drop_operations(&mut self) {
        let mut chunk = self.case.ops.len().div_ceil(2);
        while chunk > 0 {
            let mut at = 0;
            while at < self.case.ops.len() {
                let mut ops = self.case.ops.clone();
                ops.drain(at..(at + chunk).min(ops.len()));
                if !self.attempt(ops, self.case.setups.clone()) {
                    at += chunk;
                }
            }
            chunk /= 2;
        }
    }

    fn drop_parts(&mut self) {
        let mut at = 0;
        while at < self.case.ops.len() {
            let mut chunk = self.case.ops[at].parts().div_ceil(2);
            while chunk > 0 {
                let mut from = 0;
                while at < self.case.ops.len() && from < self.case.ops[at].parts() {
                    let mut ops = self.case.ops.clone();
                    let to = (from + chunk).min(ops[at].parts());
                    ops[at] = ops[at].without(from..to);
                    if !self.attempt(ops, self.case.setups.clone()) {
                        from += chunk;
                    }
                }
                chunk /= 2;
            }
            at += 1;
        }
    }

    fn plainer_setups(&mut self) {
        let mut at = 0;
        while self.case.setups.len() > 1 && at < self.case.setups.len() {
            let mut setups = self.case.setups.clone();
            setups.remove(at);
            if !self.attempt(self.case.ops.clone(), setups) {
                at += 1;
            }
        }
        for at in 0..self.case.setups.len() {
            while self.case.setups[at].plainer().into_iter().any(|plainer| {
                let mut setups = self.case.setups.clone();
                setups[at] = plainer;
                self.attempt(self.case.ops.clone(), setups)
            }) {}
        }
    }

    fn plainer_operations(&mut self) {
        let mut at = 0;
        while at < self.case.ops.len() {
            let taken = self.case.ops[at].plainer().into_iter().any(|plainer| {
                let mut ops = self.case.ops.clone();
                ops[at] = plainer;
                self.attempt(ops, self.case.setups.clone())
            });
            if !taken {
                at += 1;
            }
        }
    }

    /// All sizes at once, then those of each operation.
    fn smaller_documents(&mut self) {
        let to_most = |op: &mut Op, most: u32| {
            let mut changed = false;
            op.each_body(&mut |body| {
                changed |= body.size > most;
                body.size = body.size.min(most);
            });
            changed
        };
        for most in [0, 100, 5000] {
            let mut ops = self.case.ops.clone();
            let mut changed = false;
            ops.iter_mut().for_each(|op| changed |= to_most(op, most));
            if changed && self.attempt(ops, self.case.setups.clone()) {
                break;
            }
        }
        for at in 0..self.case.ops.len() {
            for most in [0, 100, 5000] {
                let mut ops = self.case.ops.clone();
                if ops.get_mut(at).is_some_and(|op| to_most(op, most)) && self.attempt(ops, self.case.setups.clone()) {
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::generate;
    use crate::model::ops::{Body, Call, Key};
    use nyro::testing::Rng;
    use nyro::{Durability, ReadMode};

    /// A database in which a document deleted from the first collection comes back when it is opened again, where
    /// pages are read without a mapping.
    fn planted(ops: &[Op], setups: &[Setup]) -> Option<(usize, &'static str)> {
        if setups.iter().all(|setup| setup.read_mode == ReadMode::Mapped) {
            return None;
        }
        let (mut there, mut gone) = (false, false);
        for (at, op) in ops.iter().enumerate() {
            let calls = match op {
                Op::Call(call) => std::slice::from_ref(call),
                Op::Transaction(calls, end) if end.commits() => calls,
                Op::Reopen if gone => return Some((at, "it came back")),
                _ => continue,
            };
            for call in calls {
                match call {
                    Call::Put(0, Some(Key::Int(7)), _) => (there, gone) = (true, false),
                    Call::Delete(0, Key::Int(7)) if there => (there, gone) = (false, true),
                    _ => {}
                }
            }
        }
        None
    }

    #[test]
    fn a_list_of_thousands_shrinks_to_the_three_operations_that_matter() {
        let mut rng = Rng::new(3);
        let setup = Setup { read_mode: ReadMode::Pread, durability: Durability::Manual, ..Setup::random(&mut rng) };
        let setups = vec![Setup::random(&mut rng), setup];
        let (seed, ops) = (0..)
            .map(|seed| (seed, generate::list(seed, 3000)))
            .find(|(_, ops)| planted(ops, &setups).is_some())
            .expect("some list meets it");
        println!("seed {seed}");
        let (at, failure) = planted(&ops, &setups).expect("found above");
        assert!(at > 10);
        let shrunk = shrink(Case { ops, setups, failure }, Duration::from_secs(30), &mut planted);
        let kinds: Vec<&Op> = shrunk.ops.iter().collect();
        assert!(
            matches!(
                kinds[..],
                [
                    Op::Call(Call::Put(0, Some(Key::Int(7)), Body { size: 0, .. })),
                    Op::Call(Call::Delete(0, Key::Int(7))),
                    Op::Reopen
                ]
            ),
            "{kinds:?}"
        );
        assert_eq!(shrunk.failure, "it came back");
        let least = Setup { read_mode: ReadMode::Pread, ..Setup::default() };
        assert!(shrunk.setups == [least], "{:?}", shrunk.setups);
    }

    #[test]
    fn a_list_that_can_not_be_made_smaller_stays_as_it_is() {
        let ops = vec![Op::Hold, Op::Checkpoint, Op::Look(0)];
        let all = ops.clone();
        let mut fails = |ops: &[Op], _: &[Setup]| (ops == all).then_some((2, ()));
        let case = Case { ops: ops.clone(), setups: vec![Setup::default()], failure: () };
        assert!(shrink(case, Duration::from_secs(30), &mut fails).ops == ops);
    }
}
