//! What an image holds: programs with the shared libraries that they need, files and folders.
//!
//! The tree is laid out as Debian's is: `/bin`, `/lib` and `/lib64` are links into `/usr`.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, symlink},
    },
    path::{Component, Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// See the module.
#[derive(Default)]
pub struct Contents {
    /// Files to copy, by their place in the image.
    files: BTreeMap<PathBuf, PathBuf>,
    /// Those of them whose shared libraries come along.
    linked: Vec<PathBuf>,
    /// Lines of /etc/passwd and /etc/group.
    users: Vec<(&'static str, u32)>,
}

impl Contents {
    /// A program or shared library, at the place that it has here.
    pub fn program(&mut self, program: PathBuf) {
        self.program_as(program.clone(), program);
    }

    /// A program or shared library, at a place of its own.
    pub fn program_as(&mut self, program: PathBuf, place: impl Into<PathBuf>) {
        self.linked.push(program.clone());
        self.files.insert(place.into(), program);
    }

    /// A file, at the place that it has here.
    pub fn file(&mut self, file: PathBuf) {
        self.files.insert(file.clone(), file);
    }

    /// All files of a folder, at the places that they have here.
    pub fn folder(&mut self, folder: impl Into<PathBuf>) -> Result<()> {
        let mut folders = vec![folder.into()];
        while let Some(folder) = folders.pop() {
            for path in entries(&folder)? {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    self.file(path);
                }
            }
        }
        Ok(())
    }

    /// An entry in /etc/passwd: some programs ask for the name of the user that they run as.
    pub fn user(&mut self, name: &'static str, id: u32) {
        self.users.push((name, id));
    }

    /// Changes whenever a file of it does.
    pub fn fingerprint(&self) -> Result<u64> {
        // It differs between releases of Rust too: then an image is made once more.
        let mut hasher = DefaultHasher::new();
        self.users.hash(&mut hasher);
        for (place, file) in self.with_libraries()? {
            let facts = fs::metadata(&file).with_context(|| missing(&file))?;
            let modified = (facts.mtime(), facts.mtime_nsec());
            (place, facts.len(), modified, facts.mode()).hash(&mut hasher);
        }
        Ok(hasher.finish())
    }

    /// Copies all of it below `root`, which is made.
    pub fn copy_to(&self, root: &Path) -> Result<()> {
        let doing = || format!("could not lay out an image in {}", root.display());
        for folder in ["bin", "lib", "lib64", "sbin"] {
            fs::create_dir_all(root.join("usr").join(folder)).with_context(doing)?;
            symlink(Path::new("usr").join(folder), root.join(folder)).with_context(doing)?;
        }
        for (place, file) in self.with_libraries()? {
            let copy = below(root, &place);
            if let Some(folder) = copy.parent() {
                fs::create_dir_all(folder).with_context(doing)?;
            }
            fs::copy(&file, &copy).with_context(|| {
                format!("could not copy {} to {}", file.display(), copy.display())
            })?;
        }
        let etc = root.join("etc");
        fs::create_dir_all(&etc).with_context(doing)?;
        let users = self.users.iter();
        let users: String = users
            .map(|(name, id)| format!("{name}:x:{id}:{id}::/:/bin/sh\n"))
            .collect();
        let groups = self.users.iter();
        let groups: String = groups
            .map(|(name, id)| format!("{name}:x:{id}:\n"))
            .collect();
        for (name, text) in [
            ("passwd", users.as_str()),
            ("group", &groups),
            ("nsswitch.conf", "hosts: files dns\n"),
        ] {
            fs::write(etc.join(name), text).with_context(doing)?;
        }
        Ok(())
    }

    fn with_libraries(&self) -> Result<BTreeMap<PathBuf, PathBuf>> {
        let mut files = self.files.clone();
        for library in libraries_of(&self.linked)? {
            files.insert(library.clone(), library);
        }
        Ok(files)
    }
}

/// The shared libraries in a folder.
pub fn libraries_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = entries(folder)?;
    found.retain(|path| path.extension().is_some_and(|extension| extension == "so"));
    Ok(found)
}

/// A program of this machine.
pub fn in_path(name: &str) -> Result<PathBuf> {
    flashsale_servers::in_path(name)
        .with_context(|| format!("expected the program `{name}` in PATH, found none"))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let doing = || format!("could not list {}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(doing)? {
        paths.push(entry.with_context(doing)?.path());
    }
    Ok(paths)
}

/// What the dynamic loader would load for `programs`, itself included.
fn libraries_of(programs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut libraries = Vec::new();
    for program in programs {
        let output = Command::new("ldd").arg(program).output();
        let output = output.context("could not run ldd")?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        let is_static = errors.contains("not a dynamic executable");
        anyhow::ensure!(
            is_static || output.status.success(),
            "`ldd {}` ended with {}: {errors}",
            program.display(),
            output.status
        );
        libraries.extend(loaded(&printed).with_context(|| missing(program))?);
    }
    Ok(libraries)
}

/// The files that a list of `ldd` names.
fn loaded(list: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for line in list.lines().map(str::trim) {
        anyhow::ensure!(
            !line.ends_with("not found"),
            "expected all shared libraries, found `{line}`"
        );
        let file = line.split_once(" => ").map_or(line, |(_, file)| file);
        // Other lines name what the kernel brings.
        if file.starts_with('/') {
            files.push(file.split(" (").next().unwrap_or(file).into());
        }
    }
    Ok(files)
}

/// `place`, an absolute path, below `root`; what steps upwards stays below it too.
fn below(root: &Path, place: &Path) -> PathBuf {
    let mut path = root.to_owned();
    for part in place.components() {
        match part {
            Component::Normal(name) => path.push(std::ffi::OsStr::from_bytes(name.as_bytes())),
            Component::ParentDir if path != root => drop(path.pop()),
            _ => {}
        }
    }
    path
}

fn missing(file: &Path) -> String {
    format!("could not put {} into an image", file.display())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use flashsale_servers::Guard;

    #[test]
    fn lists_of_ldd_are_read_as_it_prints_them() {
        let list = "\tlinux-vdso.so.1 (0x00007fdafa088000)\n\
                    \tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007fdaf9f77000)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007fdafa08a000)\n";
        let files = loaded(list).unwrap();
        let expected = [
            "/lib/x86_64-linux-gnu/libm.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(files, expected.map(PathBuf::from));
        assert_eq!(
            loaded("\tstatically linked\n").unwrap(),
            [""; 0].map(PathBuf::from)
        );
        let error = loaded("\tlibx.so => not found").unwrap_err().to_string();
        assert!(error.contains("libx.so"), "{error}");
    }

    #[test]
    fn a_place_stays_below_the_root() {
        let root = Path::new("/image");
        assert_eq!(
            below(root, Path::new("/usr/bin/x")),
            Path::new("/image/usr/bin/x")
        );
        assert_eq!(below(root, Path::new("/../../x")), Path::new("/image/x"));
    }

    #[test]
    fn a_copied_program_runs_on_what_was_copied_with_it() {
        let guard = Guard::new().unwrap();
        let root = guard.folder().join("root");
        let mut contents = Contents::default();
        contents.program_as(in_path("cat").unwrap(), "/usr/bin/cat");
        contents.user("somebody", 999);
        let before = contents.fingerprint().unwrap();
        contents.copy_to(&root).unwrap();
        assert_eq!(contents.fingerprint().unwrap(), before);
        let libraries = libraries_of(&contents.linked).unwrap();
        let loader = libraries
            .iter()
            .find(|file| file.to_string_lossy().contains("/ld-"));
        let libc = libraries
            .iter()
            .find(|file| file.ends_with("libc.so.6"))
            .unwrap();
        // The copied loader, told to look nowhere but in the copied tree.
        let output = Command::new(below(&root, loader.unwrap()))
            .arg("--inhibit-cache")
            .arg("--library-path")
            .arg(below(&root, libc.parent().unwrap()))
            .arg(root.join("bin/cat"))
            .arg(root.join("etc/passwd"))
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(printed, "somebody:x:999:999::/:/bin/sh\n");

        contents.file("/etc/hostname".into());
        assert_ne!(contents.fingerprint().unwrap(), before);
    }
}
