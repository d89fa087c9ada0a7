//! Owns the port to stable storage: named files in one directory, and its real form, [`FileDisk`].
//!
//! The log and the snapshots touch files only through [`Disk`], so that the crash tests drive the same code on a
//! simulated disk. Refuses names that leave the directory.

#[cfg(any(test, feature = "simulation"))]
pub mod sim;

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Longest file name taken.
const NAME_LEN_MAX: usize = 64;

/// Bytes that a disk writes whole or not at all.
pub const SECTOR_LEN: usize = 512;

/// Most bytes of an overwrite.
pub const OVERWRITE_LEN_MAX: usize = SECTOR_LEN;

/// Files of one directory. Bytes are durable after [`Disk::sync`] of their file, names after [`Disk::sync_dir`].
pub trait Disk: std::fmt::Debug + Send + Sync + 'static {
    /// The names of all files, sorted.
    ///
    /// # Errors
    /// As the file system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// The length of a file in bytes.
    ///
    /// # Errors
    /// As the file system says.
    fn len(&self, name: &str) -> io::Result<u64>;

    /// Creates an empty file.
    ///
    /// # Errors
    /// `AlreadyExists`, or as the file system says.
    fn create(&mut self, name: &str) -> io::Result<()>;

    /// Writes all of `bytes` at the end of a file.
    ///
    /// # Errors
    /// As the file system says; a part of `bytes` may have been written.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, over what is there and beyond the end of the file.
    ///
    /// # Errors
    /// As the file system says; some sectors of `bytes` may have been written.
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Lengthens a file with zeros to `len`: writes into that room change no length, which makes their syncs cheaper.
    ///
    /// # Errors
    /// As the file system says; the file may be of any length up to `len`.
    fn reserve(&mut self, name: &str, len: u64) -> io::Result<()>;

    /// Replaces the first bytes of a file by `bytes`, at most [`OVERWRITE_LEN_MAX`]: whole or not at all.
    ///
    /// # Errors
    /// As the file system says.
    fn overwrite(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Fills `buffer` from `offset` on; fewer bytes than asked for mean the end of the file.
    ///
    /// # Errors
    /// As the file system says.
    fn read(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Makes the bytes and the length of a file durable.
    ///
    /// # Errors
    /// As the file system says; what was not yet durable may be lost even if a later call succeeds.
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Cuts a file to `len` bytes.
    ///
    /// # Errors
    /// As the file system says.
    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the file system says.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Gives a file another name, replacing the file that has it.
    ///
    /// # Errors
    /// As the file system says.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Makes creations, removals and new names durable.
    ///
    /// # Errors
    /// As the file system says.
    fn sync_dir(&mut self) -> io::Result<()>;
}

/// A disk of any kind.
impl Disk for Box<dyn Disk> {
    fn list(&self) -> io::Result<Vec<String>> {
        (**self).list()
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        (**self).len(name)
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        (**self).create(name)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        (**self).append(name, bytes)
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write_at(name, offset, bytes)
    }

    fn reserve(&mut self, name: &str, len: u64) -> io::Result<()> {
        (**self).reserve(name, len)
    }

    fn overwrite(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        (**self).overwrite(name, bytes)
    }

    fn read(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read(name, offset, buffer)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        (**self).sync(name)
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        (**self).truncate(name, len)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        (**self).remove(name)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        (**self).rename(from, to)
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        (**self).sync_dir()
    }
}

/// A directory of the real file system. Keeps the files that were appended to and overwritten last open.
#[derive(Debug)]
pub struct FileDisk {
    directory: PathBuf,
    handle: File,
    writing: Option<(String, File)>,
    overwriting: Option<(String, File)>,
}

impl FileDisk {
    /// Opens a directory; creates it, readable by its owner only, and makes its name durable.
    ///
    /// # Errors
    /// As the file system says.
    pub fn open(directory: &Path) -> io::Result<Self> {
        match std::fs::DirBuilder::new().mode(0o700).create(directory) {
            Ok(()) => sync_parent(directory)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Self::existing(directory)
    }

    /// The directory of a file, which has to exist, and the file's name in it.
    ///
    /// # Errors
    /// There is no such directory, or as the file system says.
    pub fn of_file(path: &Path) -> io::Result<(Self, String)> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(ErrorKind::InvalidInput)?;
        Ok((Self::existing(parent_of(path))?, name.to_owned()))
    }

    fn existing(directory: &Path) -> io::Result<Self> {
        let handle = File::open(directory)?;
        Ok(Self { directory: directory.to_owned(), handle, writing: None, overwriting: None })
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let is_plain = !name.starts_with('.')
            && (1..=NAME_LEN_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        if is_plain {
            Ok(self.directory.join(name))
        } else {
            Err(io::Error::new(ErrorKind::InvalidInput, format!("`{name}` is not a plain file name")))
        }
    }

    /// The open file for writing, opened on first use.
    fn writing(&mut self, name: &str) -> io::Result<&File> {
        if self.writing.as_ref().is_none_or(|(open, _)| open != name) {
            let file = OpenOptions::new().read(true).write(true).open(self.path(name)?)?;
            self.writing = Some((name.to_owned(), file));
        }
        self.writing.as_ref().map(|(_, file)| file).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn forget(&mut self, name: &str) {
        self.writing.take_if(|(open, _)| open == name);
        self.overwriting.take_if(|(open, _)| open == name);
    }
}

/// Makes the name of a new or renamed file durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(parent_of(path))?.sync_all()
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Disk for FileDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        Ok(std::fs::metadata(self.path(name)?)?.len())
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        let path = self.path(name)?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        self.writing = Some((name.to_owned(), file));
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let file = self.writing(name)?;
        file.write_all_at(bytes, file.metadata()?.len())
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writing(name)?.write_all_at(bytes, offset)
    }

    fn reserve(&mut self, name: &str, len: u64) -> io::Result<()> {
        let len = i64::try_from(len).map_err(|_| ErrorKind::InvalidInput)?;
        Ok(nix::fcntl::posix_fallocate(self.writing(name)?, 0, len)?)
    }

    fn overwrite(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > OVERWRITE_LEN_MAX {
            return Err(ErrorKind::InvalidInput.into());
        }
        // Beside the file that is written to, so that neither is opened again and again.
        if self.overwriting.as_ref().is_none_or(|(open, _)| open != name) {
            let file = OpenOptions::new().write(true).open(self.path(name)?)?;
            self.overwriting = Some((name.to_owned(), file));
        }
        self.overwriting.as_ref().map_or(Ok(()), |(_, file)| file.write_all_at(bytes, 0))
    }

    fn read(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.writing {
            Some((open, file)) if open == name => read_at(file, offset, buffer),
            _ => read_at(&File::open(self.path(name)?)?, offset, buffer),
        }
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.writing(name)?.sync_data()
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        self.writing(name)?.set_len(len)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.forget(name);
        std::fs::remove_file(self.path(name)?)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.forget(from);
        self.forget(to);
        std::fs::rename(self.path(from)?, self.path(to)?)
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_and_directory_are_private_and_hold_what_was_written() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("log");
        let mut disk = FileDisk::open(&directory).unwrap();
        disk.create("a.seg").unwrap();
        disk.append("a.seg", b"one").unwrap();
        disk.append("a.seg", b"two").unwrap();
        disk.sync("a.seg").unwrap();
        disk.truncate("a.seg", 4).unwrap();
        disk.append("a.seg", b"!").unwrap();
        disk.overwrite("a.seg", b"O").unwrap();
        disk.reserve("a.seg", 4_096).unwrap();
        disk.write_at("a.seg", 5, b"?").unwrap();
        disk.rename("a.seg", "b.seg").unwrap();
        disk.sync_dir().unwrap();

        let disk = FileDisk::open(&directory).unwrap();
        let mut bytes = [1; 8];
        assert_eq!(disk.read("b.seg", 0, &mut bytes).unwrap(), 8);
        assert_eq!(&bytes, b"Onet!?\0\0");
        assert_eq!(disk.list().unwrap(), ["b.seg"]);
        assert_eq!(disk.len("b.seg").unwrap(), 4_096);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&directory), mode(&directory.join("b.seg"))), (0o700, 0o600));
    }

    #[test]
    fn a_name_that_leaves_the_directory_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let mut disk = FileDisk::open(parent.path()).unwrap();
        for name in ["", "..", "../x", "a/b", ".hidden", &"x".repeat(65)] {
            assert_eq!(disk.create(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
        }
    }
}
