//! The log.

use super::*;
use crate::engine::frame::{KeyOp, Op, Reader};
use crate::log::{self, FrameView, Lsn, ReplayStart};

/// Most frames of a segment that are listed.
const MOST_FRAMES: usize = 100_000;

impl File {
    pub(super) fn log(&self) -> Result<LogReport> {
        let start = self.meta.as_ref().map(|meta| LogStart {
            clean: meta.clean,
            epoch: meta.epoch,
            lsn: meta.lsn,
            chain: meta.chain,
            commit: meta.commit,
        });
        let mut report = LogReport { wanted: start, segments: Vec::new(), end: None };
        for (epoch, sequence) in log::segments(&self.disk, &self.name)? {
            let (mut frames, mut more_frames) = (Vec::new(), 0);
            let view =
                log::inspect_segment(
                    &self.disk,
                    &self.name,
                    (epoch, sequence),
                    self.identity,
                    &mut |view| match frames.len() < MOST_FRAMES {
                        true => frames.push(frame(&view)),
                        false => more_frames += 1,
                    },
                );
            // One that is removed meanwhile is none.
            let Ok(view) = view else { continue };
            report.segments.push(SegmentReport {
                name: view.name,
                epoch,
                sequence,
                file_bytes: view.file_bytes,
                start_lsn: view.start.as_ref().ok().map(|(lsn, _)| lsn.0),
                header_fault: view.start.err(),
                frames,
                more_frames,
                frames_end: view.frames_end,
                bytes_behind: view.bytes_behind,
            });
        }
        if let Some(meta) = self.meta.as_ref().filter(|meta| !meta.clean) {
            let start =
                ReplayStart { identity: meta.identity, epoch: meta.epoch, lsn: Lsn(meta.lsn), chain: meta.chain };
            report.end = Some(self.end(&start));
        }
        Ok(report)
    }

    fn end(&self, start: &ReplayStart) -> LogEnd {
        let (mut lsn, mut commits, mut last_commit) = (start.lsn.0, 0, None);
        let replayed = log::replay(&self.disk, &self.name, start, &mut |frame| {
            (lsn, last_commit) = (frame.end.0, Some(frame.commit));
            commits += 1;
            Ok(())
        });
        match replayed {
            Ok(end) => LogEnd { lsn: end.end.0, commits, last_commit, dropped_bytes: end.dropped_bytes, error: None },
            Err(e) => LogEnd { lsn, commits, last_commit, dropped_bytes: 0, error: Some(e) },
        }
    }
}

fn frame(view: &FrameView<'_>) -> FrameReport {
    let checksum = match view.expected == view.got {
        true => Checksum::Good,
        false => Checksum::Bad { expected: view.expected, got: view.got },
    };
    let mut report = FrameReport {
        offset: view.offset,
        kind: view.kind,
        lsn: view.lsn.0,
        bytes: view.bytes,
        commit: view.commit,
        claim: view.claim.0,
        checksum,
        follows: view.follows,
        first_ordinal: 0,
        puts: 0,
        deletes: 0,
        key_puts: 0,
        key_deletes: 0,
        range_deletes: 0,
        drops: 0,
        damage: None,
    };
    if let Some(payload) = view.payload {
        report.damage = count(&mut report, payload).err();
    }
    report
}

fn count(report: &mut FrameReport, payload: &[u8]) -> Result<()> {
    let mut reader = Reader::new(payload, report.commit)?;
    report.first_ordinal = reader.first_ordinal();
    while let Some(op) = reader.next()? {
        match op {
            Op::Put { .. } => report.puts += 1,
            Op::Delete { .. } => report.deletes += 1,
            Op::DropTree { .. } => report.drops += 1,
            Op::Key { op, .. } => match op {
                KeyOp::Put(..) => report.key_puts += 1,
                KeyOp::Delete(..) => report.key_deletes += 1,
                KeyOp::DeleteRange(..) => report.range_deletes += 1,
            },
        }
    }
    Ok(())
}
