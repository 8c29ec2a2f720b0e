//! Changes to a keytab file in place, as MIT's programs make them.
//!
//! MIT opens a keytab, locks what it opened, and writes into it: were another file put under the name
//! meanwhile, its entry would be lost with the old one. So the file stays, and what is written is
//! ordered such that it can be read at every moment: a new entry counts once its size is there, which
//! is written last; a deleted one is gone with its sign.

use std::ops::Range;

use trihound_secret::SecretBytes;

use super::format::{HEADER, Layout, Version, write_entry};
use super::{KeytabEntry, KeytabError};

/// What to change in a keytab file.
#[derive(Debug, Default)]
pub struct KeytabEdit {
    /// Entries to add. All of them appear at once.
    pub add: Vec<KeytabEntry>,
    /// Entries to delete, as indexes into [`super::Keytab::entries`] of the same file. They go after
    /// the others have come, one after the other.
    pub remove: Vec<usize>,
}

/// Bytes to write at a place of the file.
#[derive(Debug)]
pub struct KeytabWrite {
    /// Where, from the beginning of the file.
    pub offset: usize,
    /// What.
    pub bytes: SecretBytes,
}

/// Where a set of new entries goes.
enum Slot {
    /// A hole: offset of its size, and the bytes behind that.
    Hole {
        offset: usize,
        length: usize,
        /// Whether it is several in a row, which are to be made one before anything else.
        merged: bool,
    },
    /// Behind the last entry. Where a size of zero ends the entries, that many bytes without meaning
    /// follow it.
    End {
        offset: usize,
        left_over: Option<usize>,
    },
}

impl KeytabEdit {
    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }

    /// The writes that bring the change about in a file of these bytes; empty bytes make a new file.
    ///
    /// They come in stages, each of which has to be on the disk before the next begins; whenever the
    /// work ends, the file is a keytab without the new entries, or with all of them, and with some of
    /// the deleted ones or none. The deleted keys are overwritten in the last stage.
    ///
    /// # Errors
    ///
    /// [`KeytabError`] for a damaged file, an entry that does not fit, an index that is not there.
    pub fn plan(&self, bytes: &[u8]) -> Result<Vec<Vec<KeytabWrite>>, KeytabError> {
        let fresh = Version::WRITTEN.header();
        let is_new = bytes.is_empty();
        let layout = Layout::of(if is_new { &fresh } else { bytes })?;
        let mut stages = Vec::new();
        if is_new {
            stages.push(vec![write_at(0, &fresh)]);
        }
        if !self.add.is_empty() {
            self.plan_additions(&layout, bytes.len().max(HEADER), &mut stages)?;
        }
        if !self.remove.is_empty() {
            self.plan_deletions(&layout, &mut stages)?;
        }
        Ok(stages)
    }

    fn plan_additions(
        &self,
        layout: &Layout<'_>,
        file_length: usize,
        stages: &mut Vec<Vec<KeytabWrite>>,
    ) -> Result<(), KeytabError> {
        let version = layout.version;
        let mut records = Vec::with_capacity(self.add.len());
        for (index, entry) in self.add.iter().enumerate() {
            records.push(write_entry(entry, index, version)?);
        }
        // All but the first size, which makes them count.
        let needed = records
            .iter()
            .map(|record| record.len().saturating_add(4))
            .fold(0, usize::saturating_add)
            .saturating_sub(4);
        let (offset, trailer) = match find_slot(layout, file_length, needed) {
            Slot::Hole {
                offset,
                length,
                merged,
            } => {
                if merged {
                    // The sizes inside may be overwritten once nobody goes by them any more.
                    stages.push(vec![write_at(offset, &version.hole(length, 0)?)]);
                }
                (offset, behind_in_hole(version, length, needed)?)
            }
            Slot::End {
                offset,
                left_over: Some(left_over),
            } => (offset, Trailer::zeros(behind_at_end(left_over, needed))),
            Slot::End {
                offset,
                left_over: None,
            } => {
                // What is set aside ends the entries as long as its size is zero.
                stages.push(vec![write_at(offset, &[0; 4])]);
                (offset, Trailer::zeros(0))
            }
        };
        let (size, body) = assemble(version, &records, &trailer)?;
        stages.push(vec![KeytabWrite {
            offset: offset.saturating_add(4),
            bytes: body,
        }]);
        stages.push(vec![write_at(offset, &size)]);
        Ok(())
    }

    fn plan_deletions(
        &self,
        layout: &Layout<'_>,
        stages: &mut Vec<Vec<KeytabWrite>>,
    ) -> Result<(), KeytabError> {
        let live: Vec<_> = layout.live().collect();
        let mut signs = Vec::with_capacity(self.remove.len());
        let mut zeros = Vec::with_capacity(self.remove.len());
        for &index in &self.remove {
            let block = live.get(index).ok_or(KeytabError::NoSuchEntry {
                index,
                entries: live.len(),
            })?;
            signs.push(write_at(
                block.offset,
                &layout.version.hole(block.length, index)?,
            ));
            zeros.push(KeytabWrite {
                offset: block.offset.saturating_add(4),
                bytes: SecretBytes::zeroed(block.length),
            });
        }
        stages.push(signs);
        stages.push(zeros);
        Ok(())
    }
}

/// What follows new entries in the room that they were given.
struct Trailer {
    /// Bytes that become part of the last entry; who reads it passes over what follows the version.
    padding: usize,
    /// The size of the hole that is left.
    hole: Option<[u8; 4]>,
    /// Zeros that nobody reads but as the end.
    zeros: usize,
}

impl Trailer {
    fn zeros(zeros: usize) -> Self {
        Self {
            padding: 0,
            hole: None,
            zeros,
        }
    }
}

/// The rest of a hole is a hole again, if it has room for a size and at least one byte.
fn behind_in_hole(version: Version, length: usize, needed: usize) -> Result<Trailer, KeytabError> {
    let spare = length.saturating_sub(needed);
    Ok(match spare.checked_sub(4) {
        None | Some(0) => Trailer {
            padding: spare,
            hole: None,
            zeros: 0,
        },
        Some(left) => Trailer {
            padding: 0,
            hole: Some(version.hole(left, 0)?),
            zeros: 0,
        },
    })
}

/// Where something without meaning is left behind the new entries, a size of zero keeps it so; all of
/// it is overwritten, as it may be the beginning of a key that was never finished.
fn behind_at_end(left_over: usize, needed: usize) -> usize {
    match left_over.checked_sub(needed) {
        None | Some(0) => 0,
        Some(rest) => rest.max(4),
    }
}

/// The first size, and all that follows it.
fn assemble(
    version: Version,
    records: &[SecretBytes],
    trailer: &Trailer,
) -> Result<([u8; 4], SecretBytes), KeytabError> {
    let capacity = records
        .iter()
        .map(|record| record.len().saturating_add(4))
        .fold(trailer.padding, usize::saturating_add)
        .saturating_add(trailer.zeros);
    let mut body = Vec::with_capacity(capacity);
    let mut first = [0; 4];
    let last = records.len().saturating_sub(1);
    for (index, record) in records.iter().enumerate() {
        let padding = if index == last { trailer.padding } else { 0 };
        let size = version.size(record.len().saturating_add(padding), index)?;
        if index == 0 {
            first = size;
        } else {
            body.extend_from_slice(&size);
        }
        body.extend_from_slice(record.expose());
        body.resize(body.len().saturating_add(padding), 0);
    }
    body.extend_from_slice(trailer.hole.as_ref().map_or(&[][..], |size| &size[..]));
    body.resize(body.len().saturating_add(trailer.zeros), 0);
    Ok((first, SecretBytes::from(body)))
}

/// The first hole, or holes in a row, with room for that many bytes; else the end.
fn find_slot(layout: &Layout<'_>, file_length: usize, needed: usize) -> Slot {
    let mut run: Option<Range<usize>> = None;
    let mut holes: usize = 0;
    for block in &layout.blocks {
        if !block.is_hole() {
            run = None;
            holes = 0;
            continue;
        }
        let start = run.map_or(block.offset, |run| run.start);
        run = Some(start..block.end());
        holes = holes.saturating_add(1);
        let length = block.end().saturating_sub(start).saturating_sub(4);
        if length >= needed && i32::try_from(length).is_ok() {
            return Slot::Hole {
                offset: start,
                length,
                merged: holes > 1,
            };
        }
    }
    Slot::End {
        offset: layout.end,
        left_over: file_length
            .checked_sub(layout.end)
            .and_then(|behind| behind.checked_sub(4)),
    }
}

fn write_at(offset: usize, bytes: &[u8]) -> KeytabWrite {
    KeytabWrite {
        offset,
        bytes: SecretBytes::from(bytes),
    }
}
