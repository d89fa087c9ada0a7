//! Owns where journals are: a file of the file system, or a file of a disk by its name.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::disk::Disk;

/// Where a journal is.
#[derive(Debug)]
pub enum Place {
    /// A file of the file system, whose directory exists.
    Path(PathBuf),
    /// A file of a disk, by its name.
    Disk(Box<dyn Disk>, String),
}

/// Where the journals of an actor are, by name; asked again in each of its lives.
#[derive(Clone)]
pub struct Shelf(Arc<Opener>);

/// Finds the place of a file by its name.
type Opener = dyn Fn(&str) -> io::Result<Place> + Send + Sync;

impl Shelf {
    /// Journals that `place` finds by name.
    pub fn new(place: impl Fn(&str) -> io::Result<Place> + Send + Sync + 'static) -> Self {
        Self(Arc::new(place))
    }

    /// Journals in a directory, which is made when it is first needed.
    #[must_use]
    pub fn directory(directory: PathBuf) -> Self {
        Self::new(move |name| {
            std::fs::create_dir_all(&directory)?;
            Ok(Place::Path(directory.join(name)))
        })
    }

    /// Where the journal of a name is.
    ///
    /// # Errors
    /// The place cannot be made.
    pub fn place(&self, name: &str) -> io::Result<Place> {
        (self.0)(name)
    }
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shelf")
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<&PathBuf> for Place {
    fn from(path: &PathBuf) -> Self {
        Self::Path(path.clone())
    }
}

impl<D: Disk> From<(D, &str)> for Place {
    fn from((disk, name): (D, &str)) -> Self {
        Self::Disk(Box::new(disk), name.to_owned())
    }
}
