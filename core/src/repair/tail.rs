//! What was committed after the last checkpoint: the log, on top of what the file held.
//!
//! ```text
//!   frame --> checked whole --> collections and keyspaces it drops, names it gives --> its documents and keys, in order
//! ```
//!
//! Frames name trees by the numbers of the old file. Replaying what the file holds already does no harm: the last
//! change of an id is in the log then, too. So a file whose meta pages are lost gets its whole log replayed.

use super::basis::Basis;
use super::losses::Losses;
use super::report::RepairedLog;
use super::target::Target;
use super::Limits;
use crate::control::{Control, Progress};
use crate::document::canonical::{prepare, Prepared};
use crate::engine::frame::{KeyOp, Op, Reader};
use crate::engine::trees::{self, CATALOG};
use crate::error::{Error, Result};
use crate::file::disk::Disk;
use crate::file::page::PageNo;
use crate::log::{self, Lsn, ReplayStart};
use crate::record::key;

/// Replays the log that belongs to the file.
pub(super) fn replay(
    disk: &dyn Disk,
    name: &str,
    basis: &Basis,
    limits: &Limits,
    target: &mut Target<'_>,
    lost: &mut Losses,
    control: &mut Control<'_>,
) -> Result<RepairedLog> {
    let Some(identity) = basis.identity else {
        return Ok(missing(name, "without a meta page no log can be known to belong to the file"));
    };
    let first = || log::first_start(disk, name, identity);
    let start = match &basis.meta {
        Some(meta) if meta.clean && basis.is_certain() => return Ok(RepairedLog::NotNeeded),
        Some(meta) if basis.is_certain() => {
            Some(ReplayStart { identity, epoch: meta.epoch, lsn: Lsn(meta.lsn), chain: meta.chain })
        }
        _ => first(),
    };
    let Some(start) = start else {
        if basis.meta.as_ref().is_some_and(|meta| meta.clean) {
            return Ok(RepairedLog::NotNeeded);
        }
        return Ok(missing(name, "there is no log that belongs to the file"));
    };
    let mut replay = Replay { limits, target, lost, failure: None, commits: 0, last_commit: None };
    let end = log::replay(disk, name, &start, &mut |frame| {
        let step = control.step(Progress::new("log", replay.commits, 0, "commits"));
        if let Err(e) = step.and_then(|()| replay.check(frame.commit, frame.payload)) {
            return Err(replay.fail_if_stopped(e));
        }
        match replay.apply(frame.commit, frame.payload) {
            Ok(()) => Ok(()),
            Err(e) => {
                // An error of the new file ends the repair, not the log.
                replay.failure = Some(e.clone());
                Err(e)
            }
        }
    });
    let (commits, last_commit, failure) = (replay.commits, replay.last_commit, replay.failure.take());
    if let Some(e) = failure {
        return Err(e);
    }
    match end {
        Ok(_) => Ok(RepairedLog::Replayed { commits, last_commit }),
        Err(reason @ Error::LogMissing { .. }) if commits == 0 => Ok(RepairedLog::Missing { reason }),
        Err(reason) => {
            let at = match &reason {
                Error::Corrupt(damage) => damage.page,
                _ => 0,
            };
            lost.add_at(None, at, 0, "log", None, reason.clone());
            Ok(RepairedLog::Partly { commits, last_commit, reason })
        }
    }
}

fn missing(name: &str, reason: &str) -> RepairedLog {
    RepairedLog::Missing { reason: Error::LogMissing { name: format!("{name}-wal-"), reason: reason.to_owned() } }
}

struct Replay<'r, 'e> {
    limits: &'r Limits,
    target: &'r mut Target<'e>,
    lost: &'r mut Losses,
    /// Not of the log: the repair ends with it.
    failure: Option<Error>,
    commits: u64,
    last_commit: Option<u64>,
}

impl Replay<'_, '_> {
    fn fail_if_stopped(&mut self, e: Error) -> Error {
        if matches!(e, Error::Cancelled | Error::DeadlineExceeded) {
            self.failure = Some(e.clone());
        }
        e
    }

    /// Reads all of a frame before anything of it is done.
    fn check(&self, commit: u64, payload: &[u8]) -> Result<()> {
        let mut reader = Reader::new(payload, commit)?;
        while let Some(op) = reader.next()? {
            if let Op::Put { document, .. } = op {
                key::key_of(document).ok_or_else(|| crate::engine::frame::damaged(commit, 0))?;
            }
        }
        Ok(())
    }

    fn apply(&mut self, commit: u64, payload: &[u8]) -> Result<()> {
        self.each(commit, payload, &mut |replay, op| match op {
            Op::DropTree { tree } if tree != CATALOG => replay.target.drop_tree(tree),
            _ => Ok(()),
        })?;
        self.each(commit, payload, &mut |replay, op| match op {
            Op::Put { tree: CATALOG, document } => replay.name(commit, document),
            _ => Ok(()),
        })?;
        self.each(commit, payload, &mut |replay, op| match op {
            Op::Put { tree, document } if tree != CATALOG => replay.put(commit, tree, document),
            Op::Delete { tree, key } if tree != CATALOG => replay.target.delete(tree, key),
            Op::Key { tree, op } => replay.change_keys(commit, tree, op),
            _ => Ok(()),
        })?;
        self.commits += 1;
        self.last_commit = Some(commit);
        Ok(())
    }

    fn each(
        &mut self,
        commit: u64,
        payload: &[u8],
        change: &mut dyn FnMut(&mut Self, Op<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut reader = Reader::new(payload, commit)?;
        while let Some(op) = reader.next()? {
            change(self, op)?;
        }
        Ok(())
    }

    fn name(&mut self, commit: u64, document: &[u8]) -> Result<()> {
        let name = key::key_of(document).and_then(trees::name_of_key);
        match (name, trees::named_by_document(document)) {
            (Some(name), Ok((kind, tree)))
                if tree != CATALOG && trees::check_name(name).is_ok() && self.target.name(tree, name, kind)? => {}
            _ => {
                let e = crate::engine::frame::damaged(commit, 0);
                self.lost.add(Some(CATALOG), PageNo(commit), "name in the log", None, e);
            }
        }
        Ok(())
    }

    fn change_keys(&mut self, commit: u64, tree: u32, op: KeyOp<'_>) -> Result<()> {
        let length = if let KeyOp::Put(_, value) = op { value.len() } else { 0 };
        let limit = self.limits.document_bytes;
        let error = match length > limit {
            true => Error::ValueTooLarge { bytes: length as u64, limit: limit as u64 },
            false if tree != CATALOG && self.target.change_keys(tree, op)? => return Ok(()),
            false => crate::engine::frame::damaged(commit, 0),
        };
        self.lost.add(Some(tree), PageNo(commit), "key in the log", None, error);
        Ok(())
    }

    fn put(&mut self, commit: u64, tree: u32, document: &[u8]) -> Result<()> {
        match prepare(document, self.limits.document_bytes) {
            Ok(Prepared::AsIs(document)) => self.target.put(tree, document),
            Ok(Prepared::Rewritten(document)) => self.target.put(tree, &document),
            Ok(Prepared::MissingId) => Ok(()),
            Err(e) => {
                self.lost.add(Some(tree), PageNo(commit), "document in the log", Some(1), e);
                Ok(())
            }
        }
    }
}
