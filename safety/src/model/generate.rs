//! A list of operations from a seed.
//!
//! ```text
//!   mood   mixed   a few ids in three collections, everything that there is to call
//!          grow    hundreds of small documents, so that leaves split
//!          thin    nearly all of them deleted, so that leaves merge and blocks are half empty
//!          churn   the same ones written again and again, so that records move
//!          keys    mostly keyspaces: put, deleted one by one and by the range, so that runs are merged
//! ```
//!
//! 30 % of the transactions do not commit.

use super::ops::{Body, Call, End, Key, Name, Op, Space, Spot, NAMES, NO_NAME, WAVE};
use nyro::testing::Rng;

const ROLLED_BACK: f64 = 0.3;
/// Ids of the collection that grows and shrinks.
const WAVE_IDS: u64 = 700;

#[derive(Clone, Copy)]
enum Mood {
    Mixed,
    Grow,
    Thin,
    Churn,
    Keys,
}

struct Generator {
    rng: Rng,
    stamp: u32,
    mood: Mood,
    /// How far the ids of the wave have come.
    grown: u64,
}

/// A list of so many operations.
pub fn list(seed: u64, length: usize) -> Vec<Op> {
    let mut generator = Generator { rng: Rng::new(seed), stamp: 0, mood: Mood::Mixed, grown: 0 };
    let mut ops: Vec<Op> = (0..length).map(|_| generator.op()).collect();
    ops.push(Op::Compare);
    ops.push(Op::Verify);
    ops
}

impl Generator {
    fn op(&mut self) -> Op {
        if self.rng.chance(0.01) {
            self.mood = *self.rng.pick(&[Mood::Mixed, Mood::Mixed, Mood::Grow, Mood::Thin, Mood::Churn, Mood::Keys]);
        }
        match self.rng.below(1000) {
            0..=449 => self.transaction(),
            450..=849 => Op::Call(self.call()),
            850..=899 => self.looking(),
            900..=939 => self.many(),
            940..=974 => self.held(),
            975..=988 => self.quiet(),
            989..=993 => self.busy(),
            994 => Op::Compact,
            995 => Op::Verify,
            996..=997 => Op::Reopen,
            _ => Op::Die,
        }
    }

    fn transaction(&mut self) -> Op {
        let end = match self.rng.chance(ROLLED_BACK) {
            false => *self.rng.pick(&[End::Commit, End::Commit, End::CommitCall]),
            true => *self.rng.pick(&[End::RollBack, End::RollBack, End::RollBackCall, End::Forget, End::Panic]),
        };
        let most = match self.mood {
            Mood::Mixed => 10,
            _ => 24,
        };
        Op::Transaction((0..1 + self.rng.below(most)).map(|_| self.call()).collect(), end)
    }

    fn looking(&mut self) -> Op {
        let of = self.name();
        match self.rng.below(10) {
            0 => Op::Names,
            1..=2 => Op::Count(of),
            3..=6 => Op::GetMany(of, (0..self.rng.below(20)).map(|_| self.key(of)).collect()),
            _ => {
                let take = if self.rng.chance(0.05) { 5000 } else { self.rng.below(30) as usize };
                Op::Scan { of, go_on: self.rng.chance(0.6), take }
            }
        }
    }

    fn many(&mut self) -> Op {
        let to = self.name();
        let most = if self.rng.chance(0.05) { 70 } else { 8 };
        let documents = (0..self.rng.below(most)).map(|_| (self.key_or_none(to), self.body())).collect();
        match self.rng.below(4) {
            0 => Op::InsertMany { to, documents, ordered: true, atomic: false },
            1 => Op::InsertMany { to, documents, ordered: false, atomic: false },
            2 => Op::InsertMany { to, documents, ordered: self.rng.chance(0.5), atomic: true },
            _ => Op::PutMany(to, documents),
        }
    }

    /// A snapshot is held over some hundred operations and some checkpoints.
    fn held(&mut self) -> Op {
        match self.rng.below(6) {
            0..=1 => Op::Hold,
            2..=4 => Op::Look(self.rng.below(8) as usize),
            _ => Op::LetGo(self.rng.below(8) as usize),
        }
    }

    fn quiet(&mut self) -> Op {
        match self.rng.below(8) {
            0..=2 => Op::Checkpoint,
            3..=4 => Op::Background,
            5..=6 => Op::Sync,
            _ if self.rng.chance(0.3) => Op::WarmUp,
            _ => Op::Compare,
        }
    }

    /// Its documents are not large: no checkpoint may become due inside of one.
    fn busy(&mut self) -> Op {
        let mut op = Op::Busy((0..1 + self.rng.below(12)).map(|_| self.call()).collect());
        op.each_body(&mut |body| body.size = body.size.min(400));
        op
    }

    fn call(&mut self) -> Call {
        match self.mood {
            Mood::Mixed if self.rng.chance(0.15) => self.of_keys(),
            Mood::Keys if self.rng.chance(0.9) => self.of_keys(),
            Mood::Mixed | Mood::Keys => self.mixed(),
            _ if self.rng.chance(0.1) => self.mixed(),
            Mood::Grow => {
                self.grown = (self.grown + 1) % WAVE_IDS;
                let key = Some(Key::Int(1000 + self.grown as i64));
                Call::Put(WAVE, key, Body { size: self.rng.below(40) as u32, ..self.body() })
            }
            Mood::Thin => Call::Delete(WAVE, self.key(WAVE)),
            Mood::Churn if self.rng.chance(0.3) => Call::Delete(WAVE, self.key(WAVE)),
            Mood::Churn => {
                Call::Put(WAVE, Some(self.key(WAVE)), Body { size: 40 + self.rng.below(300) as u32, ..self.body() })
            }
        }
    }

    fn mixed(&mut self) -> Call {
        let of = self.name();
        let key = self.key(of);
        match self.rng.below(400) {
            0..=99 => Call::Put(of, self.key_or_none(of), self.body()),
            100..=149 => Call::Insert(of, self.key_or_none(of), self.body()),
            150..=199 => Call::Replace(of, key, self.body()),
            200..=269 => Call::Delete(of, key),
            270..=339 => Call::Get(of, key),
            340..=359 => Call::Contains(of, key),
            360..=364 => Call::PutBadId(of.min(2)),
            365..=369 => Call::ReplaceOther(of.min(2), key),
            370..=379 => Call::Create(of),
            380..=393 => Call::Rename(of, self.name()),
            394..=397 if of == WAVE => Call::Get(of, key),
            _ => Call::Drop(of),
        }
    }

    fn of_keys(&mut self) -> Call {
        let of: Space = [0, 0, 0, 1, 1, 2][self.rng.below(6) as usize];
        let spot = self.spot();
        match self.rng.below(300) {
            0..=129 => Call::KeyPut(of, spot, self.body()),
            130..=169 => Call::KeyDelete(of, spot),
            170..=179 => {
                // Mostly a few keys.
                let other =
                    if self.rng.below(4) > 0 { Spot(spot.0 + 6 * self.rng.below(6) as u16) } else { self.spot() };
                Call::KeyRange(of, spot, other)
            }
            180 if self.rng.below(2) == 0 => Call::KeyClear(of),
            181 if self.rng.below(2) == 0 => Call::KeyDrop(of),
            182..=239 => Call::KeyGet(of, spot),
            240..=289 => Call::KeyScan(of, spot, self.rng.chance(0.5), 1 + self.rng.below(20) as u8),
            290..=299 => Call::KeyEnds(of),
            _ => Call::KeyPut(of, spot, self.body()),
        }
    }

    fn spot(&mut self) -> Spot {
        Spot(self.rng.below(240) as u16)
    }

    fn name(&mut self) -> Name {
        match self.rng.below(100) {
            0 => NO_NAME,
            1..=30 => 0,
            31..=60 => 1,
            61..=70 => 2,
            71..=90 => WAVE,
            _ => NAMES.len() as Name - 2,
        }
    }

    fn key_or_none(&mut self, of: Name) -> Option<Key> {
        (self.rng.below(5) > 0).then(|| self.key(of))
    }

    fn key(&mut self, of: Name) -> Key {
        if of == WAVE && self.rng.chance(0.9) {
            return Key::Int(1000 + self.rng.below(WAVE_IDS) as i64);
        }
        let n = self.rng.below(24);
        match self.rng.below(12) {
            0 => Key::Int(-(n as i64)),
            1 => Key::Int(i64::MIN + n as i64),
            2..=3 => Key::Text(n as u16),
            4 => Key::Long(n as u16 % 3),
            5 => Key::Bytes(n as u16),
            6 if self.rng.chance(0.01) => Key::Last,
            _ => Key::Int(n as i64),
        }
    }

    fn body(&mut self) -> Body {
        self.stamp += 1;
        let size = match self.rng.below(1000) {
            0 => 20_000 + self.rng.below(60_000),
            1..=6 => 4_000 + self.rng.below(9_000),
            7..=30 => self.rng.below(2_000),
            _ => self.rng.below(80),
        };
        Body { stamp: self.stamp, size: size as u32 }
    }
}
