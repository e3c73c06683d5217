//! What decides how a program comes out: its version, the compiler, what the linker sets.

use std::{fs, path::Path};

use super::groups::Group;
use crate::ServersError;

/// What decides how a program comes out.
pub(super) struct Recipe {
    /// The version of its programs, as in `v1.36.3`.
    pub(super) version: String,
    /// The oldest Go that compiles it.
    pub(super) go: (u32, u32),
    /// What the linker sets.
    pub(super) linker: String,
    hash: u64,
}

impl Recipe {
    pub(super) fn read(group: &Group, source: &Path) -> Result<Self, ServersError> {
        let read = |file: &str| {
            let file = source.join(file);
            fs::read_to_string(&file).map_err(ServersError::io(format!("read {}", file.display())))
        };
        let (module, sums) = (read("go.mod")?, read("go.sum")?);
        let malformed = |what: &str| ServersError::GoBuild {
            program: group.name.to_owned(),
            expected: format!("{} to name {what}", source.join("go.mod").display()),
            log: String::new(),
        };
        let version = required(&module, group.module).ok_or_else(|| malformed(group.module))?;
        let go = module
            .lines()
            .find_map(|line| go_version(line.strip_prefix("go ")?))
            .ok_or_else(|| malformed("a version of Go"))?;
        let linker = linker_flags(group, version, &module);
        // Where the program is put together here and not by its authors.
        let own = read("main.go").ok();
        let mut texts = vec![module.as_str(), &sums, &linker];
        texts.extend(own.as_deref());
        let hash = fnv1a(&texts);
        Ok(Self {
            version: version.to_owned(),
            go,
            linker,
            hash,
        })
    }

    pub(super) fn key(&self, group: &Group) -> String {
        format!("{}-{}-{:016x}", group.name, self.version, self.hash)
    }
}

/// The version of a module in the text of a `go.mod`.
fn required<'a>(text: &'a str, module: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split(' ');
        (words.next() == Some(module)).then(|| words.next())?
    })
}

/// The linker writes the version into a program; without it the program prints none.
fn linker_flags(group: &Group, version: &str, module: &str) -> String {
    let mut flags = vec!["-s".to_owned(), "-w".to_owned()];
    let mut set = |name: &str, value: &str| flags.push(format!("-X {name}={value}"));
    match group.name {
        "kubernetes" => {
            let base = "k8s.io/component-base/version";
            let mut parts = version.trim_start_matches('v').split('.');
            set(&format!("{base}.gitVersion"), version);
            set(
                &format!("{base}.gitMajor"),
                parts.next().unwrap_or_default(),
            );
            set(
                &format!("{base}.gitMinor"),
                parts.next().unwrap_or_default(),
            );
        }
        "helm" => {
            let helm = "helm.sh/helm/v3";
            set(&format!("{helm}/internal/version.version"), version);
            // The Kubernetes that charts are rendered for without a cluster: that of the
            // client library, whose versions are 0.x for 1.x.
            let client = required(module, "k8s.io/client-go").unwrap_or_default();
            let minor = client.split('.').nth(1).unwrap_or_default();
            for place in ["pkg/lint/rules", "pkg/chartutil"] {
                set(&format!("{helm}/{place}.k8sVersionMajor"), "1");
                set(&format!("{helm}/{place}.k8sVersionMinor"), minor);
            }
        }
        "metrics-server" => set("sigs.k8s.io/metrics-server/pkg/version.gitVersion", version),
        _ => {}
    }
    flags.join(" ")
}

/// `1.26.8`, `go1.26.8` or `go1.26rc1` as numbers.
pub(super) fn go_version(text: &str) -> Option<(u32, u32)> {
    let text = text.trim().trim_start_matches("go");
    let mut parts = text.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?;
    let digits = minor.find(|c: char| !c.is_ascii_digit());
    let minor = minor[..digits.unwrap_or(minor.len())].parse().ok()?;
    Some((major, minor))
}

/// FNV-1a: the name of a folder has to be the same with every compiler.
fn fnv1a(texts: &[&str]) -> u64 {
    texts
        .iter()
        .flat_map(|text| text.bytes().chain([0]))
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::go_programs::groups::{GROUPS, find};

    #[test]
    fn versions_of_go_are_read_as_go_and_modules_write_them() {
        assert_eq!(go_version("go1.26.8\n"), Some((1, 26)));
        assert_eq!(go_version("1.26.0"), Some((1, 26)));
        assert_eq!(go_version("go1.27rc1"), Some((1, 27)));
        assert_eq!(go_version("devel"), None);
    }

    #[test]
    fn a_program_says_the_version_that_its_module_pins() {
        let text = "require (\n\tk8s.io/client-go v0.36.2 // indirect\n\thelm.sh/helm/v3 v3.9.1\n)";
        let (helm, _) = find("helm").unwrap();
        let flags = linker_flags(helm, required(text, helm.module).unwrap(), text);
        assert!(flags.contains("version.version=v3.9.1"), "{flags}");
        assert!(flags.contains("k8sVersionMinor=36"), "{flags}");
        assert_eq!(required(text, "helm.sh/helm"), None);
    }

    #[test]
    fn every_group_has_a_folder_that_names_its_module_and_its_programs() {
        for group in GROUPS {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/go");
            let source = source.join(group.name);
            let recipe = Recipe::read(group, &source).unwrap();
            assert!(recipe.version.starts_with('v'), "{}", recipe.version);
            let module = fs::read_to_string(source.join("go.mod")).unwrap();
            let own = module.lines().find_map(|line| line.strip_prefix("module "));
            for (_, package) in group.programs {
                if own == Some(package) {
                    assert!(source.join("main.go").is_file(), "{package}");
                    continue;
                }
                let tool = module
                    .lines()
                    .any(|line| line.trim().trim_start_matches("tool ") == *package);
                assert!(tool, "{package} is no tool of {}", group.name);
            }
        }
    }
}
