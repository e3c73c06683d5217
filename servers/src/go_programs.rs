//! Programs written in Go that no Debian package brings new enough: Kubernetes, etcd,
//! Helm and CoreDNS, built from the modules that `tools/go` pins.
//!
//! Promises:
//! - They are kept outside the tree, in `$FLASHSALE_CACHE` or `flashsale` in the user's
//!   cache folder, under their version and a hash of what they are built from. What is
//!   there is whole: a build is moved into place when it is done.
//! - One program is built at a time, by one process; others wait for it.
//! - A build ends with the program that asked for it, and says on standard error what it
//!   is doing as long as it takes.

use std::{
    env,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{Guard, Launch, ServersError, in_path};

/// On two slow cores the API server takes ten minutes from an empty cache.
const BUILD_LIMIT: Duration = Duration::from_secs(3600);
const TELL_EVERY: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(50);

/// Modules that are built from one `go.mod`.
struct Group {
    /// Its folder in `tools/go`.
    name: &'static str,
    /// The module whose version is that of its programs.
    module: &'static str,
    /// Its programs and their packages.
    programs: &'static [(&'static str, &'static str)],
}

const GROUPS: &[Group] = &[
    Group {
        name: "kubernetes",
        module: "k8s.io/kubernetes",
        programs: &[
            ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            (
                "kube-controller-manager",
                "k8s.io/kubernetes/cmd/kube-controller-manager",
            ),
            ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
            ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
            ("kubeadm", "k8s.io/kubernetes/cmd/kubeadm"),
            ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
            ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
        ],
    },
    Group {
        name: "etcd",
        module: "go.etcd.io/etcd/server/v3",
        programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
    },
    Group {
        name: "helm",
        module: "helm.sh/helm/v3",
        programs: &[("helm", "helm.sh/helm/v3/cmd/helm")],
    },
    Group {
        name: "starlark",
        module: "go.starlark.net",
        programs: &[("starlark", "go.starlark.net/cmd/starlark")],
    },
    Group {
        name: "coredns",
        module: "github.com/coredns/coredns",
        programs: &[("coredns", "flashsale.dev/tools/coredns")],
    },
    Group {
        name: "metrics-server",
        module: "sigs.k8s.io/metrics-server",
        programs: &[(
            "metrics-server",
            "sigs.k8s.io/metrics-server/cmd/metrics-server",
        )],
    },
];

/// The file of a program of `tools/go`, such as `kube-apiserver`, `etcd`, `kubectl` or
/// `helm`; builds it first where it is not in the cache, which takes minutes.
///
/// # Errors
/// An unknown name, Go missing or too old, a build that fails, or a cache that cannot be
/// written.
pub fn go_program(name: &str) -> Result<PathBuf, ServersError> {
    let (group, package) = find(name)?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
        .join("tools/go")
        .join(group.name);
    let recipe = Recipe::read(group, &source)?;
    let cache = cache_folder()?.join("go");
    let folder = cache.join(recipe.key(group));
    let program = folder.join(name);
    if program.is_file() {
        return Ok(program);
    }
    fs::create_dir_all(&folder).map_err(ServersError::io(format!("make {}", folder.display())))?;
    let go = find_go(&source, recipe.go)?;
    let lock = cache.join("lock");
    let lock = File::create(&lock).map_err(ServersError::io(format!(
        "make the lock {}",
        lock.display()
    )))?;
    wait_for(&lock, name)?;
    // Another process may have built it in the meantime.
    if !program.is_file() {
        build(name, package, &go, &source, &recipe, &lock, &program)?;
    }
    Ok(program)
}

fn find(name: &str) -> Result<(&'static Group, &'static str), ServersError> {
    let all = || GROUPS.iter().flat_map(|group| group.programs);
    GROUPS
        .iter()
        .find_map(|group| {
            let mut programs = group.programs.iter();
            let (_, package) = programs.find(|(program, _)| *program == name)?;
            Some((group, *package))
        })
        .ok_or_else(|| ServersError::GoProgramUnknown {
            name: name.to_owned(),
            known: all().map(|(program, _)| *program).collect(),
        })
}

/// What decides how a program comes out.
struct Recipe {
    /// The version of its programs, as in `v1.36.3`.
    version: String,
    /// The oldest Go that compiles it.
    go: (u32, u32),
    /// What the linker sets.
    linker: String,
    hash: u64,
}

impl Recipe {
    fn read(group: &Group, source: &Path) -> Result<Self, ServersError> {
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

    fn key(&self, group: &Group) -> String {
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

/// Programs say of which version they are only where the linker is told.
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
fn go_version(text: &str) -> Option<(u32, u32)> {
    let text = text.trim().trim_start_matches("go");
    let mut parts = text.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?;
    let digits = minor.find(|c: char| !c.is_ascii_digit());
    let minor = minor[..digits.unwrap_or(minor.len())].parse().ok()?;
    Some((major, minor))
}

fn find_go(source: &Path, oldest: (u32, u32)) -> Result<PathBuf, ServersError> {
    let expected = format!("Go {}.{} or later", oldest.0, oldest.1);
    // Where Go's own archive is unpacked to; a login shell may not have it in PATH.
    let unpacked = PathBuf::from("/usr/local/go/bin/go");
    let go = in_path("go")
        .or_else(|| unpacked.is_file().then_some(unpacked))
        .ok_or_else(|| ServersError::Go {
            expected: expected.clone(),
            found: "no program `go`".into(),
        })?;
    // In the module's folder: Go may fetch the toolchain that the module asks for.
    let output = Command::new(&go)
        .args(["env", "GOVERSION"])
        .env("GOWORK", "off")
        .current_dir(source)
        .output()
        .map_err(ServersError::io(format!("run {}", go.display())))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if go_version(&said).is_some_and(|version| version >= oldest) {
        return Ok(go);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(ServersError::Go {
        expected,
        found: format!("`{}{}` ({})", said.trim(), errors.trim(), go.display()),
    })
}

fn wait_for(lock: &File, name: &str) -> Result<(), ServersError> {
    let begun = Instant::now();
    let mut told = None;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => {
                return Err(ServersError::io("lock the cache of Go programs")(error));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        if begun.elapsed() > BUILD_LIMIT {
            return Err(ServersError::GoBuild {
                program: name.to_owned(),
                expected: format!(
                    "another process to finish its build within {} s",
                    BUILD_LIMIT.as_secs()
                ),
                log: String::new(),
            });
        }
        let due = told.is_none_or(|last: Instant| last.elapsed() >= TELL_EVERY);
        if due && begun.elapsed() >= Duration::from_secs(1) {
            told = Some(Instant::now());
            eprintln!("Waiting for another process that builds Go programs, to build {name}");
        }
        thread::sleep(PAUSE);
    }
}

fn build(
    name: &str,
    package: &str,
    go: &Path,
    source: &Path,
    recipe: &Recipe,
    lock: &File,
    program: &Path,
) -> Result<(), ServersError> {
    let begun = Instant::now();
    let version = &recipe.version;
    eprintln!("Building {name} {version} with Go; minutes the first time, then it is kept");
    // Holds the lock until the compiler has ended, also where this program is killed.
    let guard = Guard::holding(lock)?;
    let partial = program.with_file_name(format!("{name}.partial"));
    guard.remove_at_end(&partial)?;
    let launch = Launch::new("go build", go)
        .args([
            "build",
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            "-v",
        ])
        .arg("-ldflags")
        .arg(&recipe.linker)
        .arg("-o")
        .arg(&partial)
        .arg(package)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .without_env(["GOFLAGS".into()])
        .folder(source);
    let mut process = guard.launch(&launch)?;
    let failed = |expected: String, log: String| ServersError::GoBuild {
        program: name.to_owned(),
        expected,
        log,
    };
    let status = loop {
        if let Some(status) = process.wait(TELL_EVERY) {
            break status;
        }
        let seconds = begun.elapsed().as_secs();
        if begun.elapsed() > BUILD_LIMIT {
            let expected = format!("`go build` to end within {} s", BUILD_LIMIT.as_secs());
            return Err(failed(expected, process.log_tail(20)));
        }
        // It names each package that it compiles or, the first time, each module it fetches.
        let now = match process.log_tail(1) {
            last if last.is_empty() => "at the beginning or linking".to_owned(),
            last => format!("at {last}"),
        };
        eprintln!("  building {name}: {seconds} s, now {now}");
    };
    if !status.success() {
        let expected = format!("`go build {package}` to succeed, it ended with {status}");
        return Err(failed(expected, process.log_tail(20)));
    }
    fs::rename(&partial, program).map_err(ServersError::io(format!(
        "move {} into place",
        program.display()
    )))?;
    eprintln!("Built {name} {version} in {} s", begun.elapsed().as_secs());
    Ok(())
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

/// `$FLASHSALE_CACHE`, or `flashsale` in the user's cache folder: what takes long to make and
/// is kept between runs. Nobody has made it yet.
///
/// # Errors
/// [`ServersError::NoCache`].
pub fn cache_folder() -> Result<PathBuf, ServersError> {
    let from = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    from("FLASHSALE_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|folder| folder.join("flashsale")))
        .or_else(|| from("HOME").map(|home| home.join(".cache/flashsale")))
        .map(|folder| std::path::absolute(&folder).unwrap_or(folder))
        .ok_or(ServersError::NoCache)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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

    #[test]
    fn an_unknown_program_is_refused_with_the_known_ones() {
        let error = go_program("kube-api").unwrap_err().to_string();
        assert!(error.contains("kube-apiserver"), "{error}");
    }
}
