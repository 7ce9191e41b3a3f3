//! Files that appear whole or not at all, and errors of the system.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::Error;

/// Gives a finished temporary file its name. A device or a pipe of this name is not replaced.
pub(crate) fn replace(temporary: &Path, path: &Path) -> io::Result<()> {
    // Links are followed, so that one to a device is refused too; a directory is refused by the rename.
    if fs::metadata(path).is_ok_and(|at| !at.is_file() && !at.is_dir()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "expected a file or a new path, got a device or a pipe",
        ));
    }
    fs::rename(temporary, path)
}

/// An error of the system at a path.
pub(crate) fn io_error(path: &Path, error: &io::Error) -> Error {
    Error::Io {
        path: path.display().to_string(),
        kind: error.kind(),
        code: error.raw_os_error(),
        message: error.to_string(),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_not_replaced() {
        let temporary = std::env::temp_dir().join(format!("sidkit-files-{}", std::process::id()));
        fs::write(&temporary, b"content").unwrap();
        let refused = replace(&temporary, Path::new("/dev/null")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        fs::remove_file(&temporary).unwrap();
    }
}
