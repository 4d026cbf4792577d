//! The bodies that this run read, in a temporary file without a name; it is made when the first one is there.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};

/// Bodies are written in pieces of this size: with smaller ones most of the time goes into beginnings of pages.
const BUFFER_BYTES: usize = 256 << 10;

/// The file, once there is something in it.
#[derive(Debug, Default)]
pub(super) struct Spill {
    file: Option<BufWriter<File>>,
    n_bytes: u64,
    /// Whether it was read, so that its end has to be looked for before the next write.
    was_read: bool,
}

impl Spill {
    /// Adds a body, and returns where it begins.
    pub(super) fn push(&mut self, body: &[u8]) -> io::Result<u64> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self
                .file
                .insert(BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile().map_err(in_folder)?)),
        };
        if std::mem::take(&mut self.was_read) {
            file.seek(SeekFrom::Start(self.n_bytes))?;
        }
        file.write_all(body).map_err(in_folder)?;
        let offset = self.n_bytes;
        self.n_bytes += body.len() as u64;
        Ok(offset)
    }

    /// The file, set to where a body begins.
    pub(super) fn at(&mut self, offset: u64) -> io::Result<&mut File> {
        let Some(file) = &mut self.file else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "nothing was kept"));
        };
        file.flush().map_err(in_folder)?;
        self.was_read = true;
        let file = file.get_mut();
        file.seek(SeekFrom::Start(offset))?;
        Ok(file)
    }
}

/// Says where temporary files are: the folder is chosen by the environment.
fn in_folder(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("in `{}`: {error}", std::env::temp_dir().display()))
}
