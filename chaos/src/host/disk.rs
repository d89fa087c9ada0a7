//! Owns disks that can lose their power: a file system in a file, on a loop device, mounted where a node keeps its data.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{
    HostError,
    inventory::{Inventory, Thing},
    processes, tool,
};

/// What takes the room on a disk that is full.
const BALLAST: &str = "BALLAST";
/// The block of the file system: what is free of less is not usable.
const SMALLEST_PIECE: usize = 1024;

/// A mounted file system of its own.
#[derive(Debug, Clone)]
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    /// Makes a file system of `size_mib` and mounts it at `mount`, which is made; image, device and mount are recorded
    /// first.
    ///
    /// # Errors
    /// The system refuses.
    pub fn create(
        inventory: &Inventory,
        image: PathBuf,
        mount: PathBuf,
        size_mib: u64,
    ) -> Result<Self, HostError> {
        let failed = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| HostError::Io { doing, path, source }
        };
        let file = fs::File::create_new(&image).map_err(failed("make", &image))?;
        file.set_len(size_mib * 1024 * 1024).map_err(failed("make", &image))?;
        fs::create_dir_all(&mount).map_err(failed("make", &mount))?;
        tool::run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), image.as_os_str()])?;
        inventory.record(Thing::LoopDevice { image: image.clone() })?;
        inventory.record(Thing::Mount { path: mount.clone() })?;
        let disk = Self { image, mount };
        let device = tool::run("losetup", &["--find".as_ref(), "--show".as_ref(), disk.image.as_os_str()])?;
        disk.mount_device(device.trim())?;
        Ok(disk)
    }

    /// Takes the last block that is free.
    ///
    /// # Errors
    /// The disk fails in another way than by being full.
    pub fn fill(&self) -> Result<(), HostError> {
        let path = self.mount.join(BALLAST);
        let failed = |source| HostError::Io { doing: "fill", path: path.clone(), source };
        let mut ballast = fs::File::create(&path).map_err(failed)?;
        let mut piece = vec![0x5a; 1024 * 1024];
        while piece.len() >= SMALLEST_PIECE {
            match ballast.write_all(&piece).and_then(|()| ballast.sync_data()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => piece.truncate(piece.len() / 2),
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// Gives back what [`Self::fill`] took.
    ///
    /// # Errors
    /// The disk fails.
    pub fn empty(&self) -> Result<(), HostError> {
        let path = self.mount.join(BALLAST);
        fs::remove_file(&path).map_err(|source| HostError::Io { doing: "remove", path, source })
    }

    /// Takes the power away: nothing reaches the disk any more, and what was not flushed never will. Nobody may act on
    /// what a flush says meanwhile: ext4 may report one as done that its shutdown undid.
    ///
    /// # Errors
    /// The system refuses.
    pub fn cut_power(&self) -> Result<(), HostError> {
        tool::run("xfs_io", &["-x".as_ref(), "-c".as_ref(), "shutdown".as_ref(), self.mount.as_os_str()])?;
        Ok(())
    }

    /// Brings the file system back as it is on the disk; whatever used it must have ended.
    ///
    /// # Errors
    /// The system refuses.
    pub fn restore_power(&self) -> Result<(), HostError> {
        unmount(&self.mount)?;
        for device in devices(&self.image)? {
            self.mount_device(&device)?;
        }
        Ok(())
    }

    fn mount_device(&self, device: &str) -> Result<(), HostError> {
        tool::run("mount", &["-t".as_ref(), "ext4".as_ref(), device.as_ref(), self.mount.as_os_str()])?;
        Ok(())
    }
}

/// Unmounts a file system when nobody holds it any more; one that is not mounted is no error.
pub(super) fn unmount(path: &Path) -> Result<(), HostError> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let is_mounted = mounts.lines().any(|line| line.split(' ').nth(1) == path.to_str());
    if is_mounted {
        processes::outlast(|| tool::run("umount", &[path]))?;
    }
    Ok(())
}

/// Takes the loop devices off a file; a file without one is no error.
pub(super) fn detach(image: &Path) -> Result<(), HostError> {
    if image.exists() {
        for device in devices(image)? {
            tool::run("losetup", &["--detach", &device])?;
        }
    }
    Ok(())
}

fn devices(image: &Path) -> Result<Vec<String>, HostError> {
    let shown = tool::run(
        "losetup",
        &[
            "--noheadings".as_ref(),
            "--output".as_ref(),
            "NAME".as_ref(),
            "--associated".as_ref(),
            image.as_os_str(),
        ],
    )?;
    Ok(shown.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
}
