//! Everything one simulated disk is, behind one lock, and the one door all operations go through.

use super::directory::Directory;
use super::fault::{power_cut, Faults, SimError, Verdict};
use super::inode::{Change, Inode};
use super::record::{Effect, Operation, Recording};
use super::{Observer, SimOptions};
use crate::env_sim::Rng;
use std::io;
use std::sync::Arc;

/// See the module.
pub(super) struct State {
    pub(super) capacity: u64,
    pub(super) can_store: bool,
    pub(super) directory: Directory,
    pub(super) next_inode: u64,
    /// Number of the last operation.
    pub(super) operations: u64,
    pub(super) faults: Faults,
    pub(super) recording: Option<Recording>,
    pub(super) observer: Option<Arc<dyn Observer>>,
    rng: Rng,
}

/// An operation on its way: what is to happen, and to which file.
pub(super) struct Request<'a> {
    pub(super) call: &'static str,
    pub(super) name: Arc<str>,
    /// `None` for the directory itself.
    pub(super) inode: Option<&'a Arc<Inode>>,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) needs_space: bool,
    pub(super) effect: Effect,
}

impl State {
    pub(super) fn new(options: SimOptions) -> State {
        State {
            capacity: options.file_capacity.max(4096).next_power_of_two(),
            can_store: true,
            directory: Directory::default(),
            next_inode: 1,
            operations: 0,
            faults: Faults::default(),
            recording: None,
            observer: None,
            rng: Rng::new(options.seed),
        }
    }

    /// A disk like this one, but with that directory and nothing ordered, recorded or observed.
    pub(super) fn descend(&self, directory: Directory) -> State {
        State {
            capacity: self.capacity,
            can_store: self.can_store,
            directory,
            next_inode: self.next_inode,
            operations: 0,
            faults: Faults::default(),
            recording: None,
            observer: None,
            rng: self.rng.clone(),
        }
    }

    /// Numbers the operation, lets it happen as far as the ordered failures allow, and records it.
    pub(super) fn perform(&mut self, request: Request<'_>) -> io::Result<()> {
        self.faults.check_power()?;
        self.operations += 1;
        let (effect, result) = match self.faults.judge(self.operations, request.needs_space) {
            Verdict::Works => (request.effect, Ok(())),
            Verdict::Fails(error) => self.fail(request.effect, request.inode, error),
            Verdict::PowerCut { partway: false } => (Effect::Nothing, Err(power_cut())),
            Verdict::PowerCut { partway: true } => (self.part_of(request.effect, request.inode), Err(power_cut())),
        };
        self.apply(&effect, request.inode, &request.name);
        if let Some(recording) = &mut self.recording {
            recording.operations.push(Operation {
                number: self.operations,
                call: request.call,
                name: request.name,
                inode: request.inode.map_or(0, |inode| inode.id),
                offset: request.offset,
                len: request.len,
                failed: result.is_err(),
                effect,
            });
        }
        result
    }

    /// Applies a recorded operation, whatever is ordered here.
    pub(super) fn replay(&mut self, operation: &Operation, inode: Option<&Arc<Inode>>) {
        self.operations = operation.number;
        // Images taken from a replay make files of their own, which must not be mistaken for these.
        self.next_inode = self.next_inode.max(operation.inode + 1);
        self.apply(&operation.effect, inode, &operation.name);
    }

    fn apply(&mut self, effect: &Effect, inode: Option<&Arc<Inode>>, name: &Arc<str>) {
        match (effect, inode) {
            (Effect::Change(change), Some(inode)) => inode.apply(change),
            (Effect::Sync, Some(inode)) => inode.sync(),
            (Effect::SyncFailed, Some(inode)) => inode.fail_sync(self.operations),
            (Effect::Create, Some(inode)) => self.directory.create(inode),
            (Effect::Rename(from), Some(inode)) => self.directory.rename(from.clone(), name.clone(), inode),
            (Effect::Remove, _) => self.directory.remove(name.clone()),
            (Effect::SyncDir, _) => self.directory.sync(),
            (Effect::SyncDirFailed, _) => self.directory.fail_sync(),
            (Effect::Nothing, _) => {}
            // A replay does not have the files that had no name left when recording began; they are
            // in no crash state.
            (_, None) => {}
        }
    }

    /// What still happens of an operation that fails: a write may be done in part.
    fn fail(&mut self, effect: Effect, inode: Option<&Arc<Inode>>, error: SimError) -> (Effect, io::Result<()>) {
        let rest = match effect {
            Effect::Sync => Effect::SyncFailed,
            Effect::SyncDir => Effect::SyncDirFailed,
            Effect::Change(Change::Write { .. } | Change::Grow(_)) if self.rng.chance(0.5) => {
                self.part_of(effect, inode)
            }
            _ => Effect::Nothing,
        };
        (rest, Err(error.to_io()))
    }

    /// A part of an operation, perhaps none of it and perhaps all.
    fn part_of(&mut self, effect: Effect, inode: Option<&Arc<Inode>>) -> Effect {
        let rng = &mut self.rng;
        match effect {
            Effect::Change(Change::Write { offset, data, atom }) => match part_of_length(rng, data.len()) {
                0 => Effect::Nothing,
                n => Effect::Change(Change::Write { offset, data: data[..n].into(), atom }),
            },
            Effect::Change(Change::Grow(len)) => {
                let old = inode.map_or(0, |inode| inode.content.lock().len);
                // File systems grow by blocks.
                let grown = old + rng.below((len - old).div_ceil(4096) + 1) * 4096;
                Effect::Change(Change::Grow(grown.min(len)))
            }
            Effect::Change(Change::Cut(_)) | Effect::Create | Effect::Remove | Effect::Rename(_) if rng.chance(0.5) => {
                effect
            }
            _ => Effect::Nothing,
        }
    }
}

/// Some of a length; often all of it, since what fails may be no more than the answer.
fn part_of_length(rng: &mut Rng, length: usize) -> usize {
    match rng.below(4) {
        0 => length,
        _ => rng.below(length as u64 + 1) as usize,
    }
}
