//! The Dockerfile, and what of the tree it gets to see.
//!
//! Docker is not run. Looked at is: that the file can be parsed; that its stages refer to each
//! other and to files that are there; that .dockerignore leaves Cargo a whole workspace and the
//! programs all their sources, and nothing that is large or private; that Rust is the pinned one; that
//! the image has the programs, the user and the place that the chart expects. Not looked at is: that
//! the images it starts from exist, and that its commands run through.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use globset::GlobBuilder;
use parse_dockerfile::{Dockerfile, Instruction, Source, Stage};
use serde_json::Value;

use crate::support::{helm::text_of, project, rendered::Rendered};

const PROGRAMS: [&str; 3] = ["flashsale-api", "flashsale-operator", "flashsale-load"];

/// What a COPY copies: from which stage, what, and where to.
struct Copied {
    stage: Option<String>,
    sources: Vec<String>,
    to: String,
}

fn copied(stage: &Stage<'_, '_>) -> Vec<Copied> {
    let copy = |instruction: &Instruction<'_>| {
        let Instruction::Copy(copy) = instruction else {
            return None;
        };
        let mut options = copy.options.iter();
        let from = options.find(|option| option.name.value == "from");
        let sources = copy.src.iter().map(|source| match source {
            Source::Path(path) => path.value.to_string(),
            other => panic!("expected a path, found {other:?}"),
        });
        Some(Copied {
            stage: from.map(|from| from.value.as_ref().unwrap().value.to_string()),
            sources: sources.collect(),
            to: copy.dest.value.to_string(),
        })
    };
    stage.instructions.iter().filter_map(copy).collect()
}

/// The text of all commands of a stage.
fn commands(stage: &Stage<'_, '_>) -> String {
    let run = |instruction: &Instruction<'_>| match instruction {
        Instruction::Run(run) => match &run.arguments {
            parse_dockerfile::Command::Shell(shell) => Some(shell.value.to_owned()),
            other => panic!("expected a command of a shell, found {other:?}"),
        },
        _ => None,
    };
    stage.instructions.iter().filter_map(run).collect()
}

fn parsed(text: &str) -> Dockerfile<'_> {
    parse_dockerfile::parse(text).unwrap_or_else(|error| panic!("Dockerfile: {error}"))
}

/// The files that a build gets to see, by their paths.
fn context() -> BTreeSet<String> {
    let rules = project::text(".dockerignore");
    let rules: Vec<_> = rules
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (kept, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (true, pattern),
                None => (false, line),
            };
            // As Docker reads it: from the root, and a star stays within a folder.
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            (kept, glob.unwrap().compile_matcher())
        })
        .collect();
    let files = files_of_the_tree("");
    let kept = |file: &&str| {
        // The last rule that names the file or a folder above it decides.
        let rules = rules.iter().rev();
        let mut deciding = rules.filter(|(_, rule)| {
            Path::new(file)
                .ancestors()
                .filter(|path| *path != Path::new(""))
                .any(|path| rule.is_match(path))
        });
        deciding.next().is_none_or(|(kept, _)| *kept)
    };
    let files = files.iter().map(String::as_str);
    files.filter(kept).map(str::to_owned).collect()
}

/// The files of a folder that are in Git, or would be with the next commit.
fn files_of_the_tree(folder: &str) -> Vec<String> {
    let git = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
        ])
        .arg(project::root().join(folder))
        .current_dir(project::root())
        .output();
    let git = git.expect("Git tells which files there are: install it");
    let files = text_of(git).expect("Git tells which files there are: use a clone");
    let files = files.lines().map(str::to_owned);
    files
        .filter(|file| project::root().join(file).is_file())
        .collect()
}

#[test]
fn the_image_has_the_programs_that_the_chart_starts_and_no_root() {
    let text = project::text("Dockerfile");
    let dockerfile = parsed(&text);
    let stages: Vec<_> = dockerfile.stages().collect();
    let [build, image] = &stages[..] else {
        panic!("expected two stages, found {}", stages.len());
    };
    assert_eq!(image.from.image.value, "scratch");
    let built = build
        .from
        .as_
        .as_ref()
        .map(|(_, name)| name.value.to_string());
    let copies = copied(image);
    for copy in &copies {
        assert_eq!(copy.stage, built, "{:?}", copy.sources);
    }
    let programs = copies
        .iter()
        .find(|copy| copy.to == "/usr/local/bin/")
        .unwrap();
    let [folder] = &programs.sources[..] else {
        panic!("expected one folder, found {:?}", programs.sources);
    };
    let made = format!("mkdir {}", folder.trim_end_matches('/'));
    assert!(commands(build).contains(&made), "{made}");
    // Without these no certificate of a Redis or Postgres is trusted.
    assert!(copies.iter().any(|copy| copy.to == "/etc/ssl/certs/"));

    let user = image.instructions.iter().find_map(|each| match each {
        Instruction::User(user) => Some(user.arguments.value.to_string()),
        _ => None,
    });
    let chart = Rendered::with(&[]);
    for (_, pod) in chart.pods() {
        let security = &pod["securityContext"];
        let expected = format!("{}:{}", security["runAsUser"], security["runAsGroup"]);
        assert_eq!(user.as_ref(), Some(&expected));
        let command = pod["containers"][0]["command"][0].as_str().unwrap();
        let program = command.strip_prefix("/usr/local/bin/").unwrap();
        assert!(PROGRAMS.contains(&program), "{program}");
    }
    // There is no shell in it that a command could be given to.
    let shells = image.instructions.iter().filter(|each| {
        matches!(
            each,
            Instruction::Run(_) | Instruction::Cmd(_) | Instruction::Entrypoint(_)
        )
    });
    assert_eq!(shells.count(), 0);
}

/// What Cargo says about the workspace in a folder.
fn metadata(folder: &Path, flags: &[&str]) -> Result<Value, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(flags)
        .current_dir(folder);
    let text = text_of(metadata.output().expect("cargo runs"))?;
    Ok(serde_json::from_str(&text).unwrap())
}

#[test]
fn the_build_sees_a_whole_workspace() {
    let folder = tempfile::tempdir().unwrap();
    for file in context() {
        let to = folder.path().join(&file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(project::root().join(&file), to).unwrap();
    }
    let rustc = Command::new("rustc").arg("-vV").output();
    let rustc = text_of(rustc.expect("rustc runs")).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    let platform = format!("--filter-platform={}", host.unwrap());
    let workspace = metadata(folder.path(), &[&platform]).unwrap();
    let packages = workspace["packages"].as_array().unwrap();
    for program in PROGRAMS {
        let package = packages.iter().find(|package| package["name"] == program);
        let package = package.unwrap_or_else(|| panic!("no package {program}"));
        let mut targets = package["targets"].as_array().unwrap().iter();
        assert!(targets.any(|target| target["name"] == program && target["kind"][0] == "bin"));
    }
}

#[test]
fn the_build_sees_every_source_of_the_programs() {
    let context = context();
    let workspace = metadata(&project::root(), &["--no-deps"]).unwrap();
    let packages = workspace["packages"].as_array().unwrap();
    let mut needed: Vec<&str> = PROGRAMS.to_vec();
    let mut at = 0;
    while at < needed.len() {
        let package = packages
            .iter()
            .find(|package| package["name"] == needed[at]);
        for dependency in package.unwrap()["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            let ours = dependency["path"].is_string() && dependency["kind"].is_null();
            if ours && !needed.contains(&name) {
                needed.push(name);
            }
        }
        at += 1;
    }
    assert!(needed.len() > 3, "the programs share a library: {needed:?}");
    let folders = needed
        .iter()
        .map(|name| name.trim_start_matches("flashsale-"));
    // The library has the migrations in it.
    for folder in folders.chain(["migrations"]) {
        let of_tests = |file: &str| file.contains("/tests/") || file.contains("/examples/");
        let files = files_of_the_tree(folder);
        let mut seen = 0;
        for file in files.iter().filter(|file| !of_tests(file)) {
            seen += 1;
            let hidden = file.split('/').any(|part| part.starts_with('.'));
            assert!(hidden || context.contains(file), "{file} is left out");
        }
        assert!(seen >= 2, "{folder} has sources");
    }
}

#[test]
fn the_build_sees_nothing_that_it_does_not_need() {
    let context = context();
    for file in [
        "Cargo.toml",
        "Cargo.lock",
        "rust-toolchain.toml",
        ".cargo/config.toml",
    ] {
        assert!(context.contains(file), "{file}");
    }
    for part in [".git/", "target/", "charts/", "docs/", "k8s/", "crds/"] {
        let seen = context.iter().find(|file| file.starts_with(part));
        assert_eq!(seen, None, "{part}");
    }
    // .gitignore keeps these from this test, and nothing but .dockerignore from Docker.
    let rules = project::text(".dockerignore");
    assert!(rules.lines().any(|line| line == "target"));
    assert!(rules.lines().any(|line| line == ".*"), ".git and the like");
}

#[test]
fn the_build_has_the_rust_of_the_tree_and_builds_what_it_copies() {
    let text = project::text("Dockerfile");
    let dockerfile = parsed(&text);
    let build = dockerfile.stages().next().unwrap();
    let image = &build.from.image.value;
    let version = image
        .strip_prefix("rust:")
        .and_then(|tag| tag.split('-').next());
    // Any other would fetch a toolchain in every build, for the tree names this one.
    let pinned = project::text("rust-toolchain.toml");
    let mut lines = pinned.lines();
    let pinned = lines.find_map(|line| line.strip_prefix("channel = "));
    assert_eq!(
        version,
        pinned.map(|text| text.trim_matches('"')),
        "{image}"
    );
    let oldest = env!("CARGO_PKG_RUST_VERSION");
    assert!(version.unwrap().starts_with(oldest), "{image} {oldest}");
    let commands = commands(&build);
    assert!(commands.contains("cargo build --locked --profile dist"));
    assert!(commands.contains("/dist/$program"));
    let workspace = project::text("Cargo.toml");
    let (_, profile) = workspace.split_once("[profile.dist]\n").unwrap();
    let profile = profile.split("\n[").next().unwrap();
    for setting in ["lto = \"fat\"", "codegen-units = 1"] {
        assert!(profile.lines().any(|line| line == setting), "{setting}");
    }
    for program in PROGRAMS {
        assert!(commands.contains(&format!("-p {program}")), "{program}");
    }
    // An image from nothing has no C library to link with.
    assert!(commands.contains("target-feature=+crt-static"));
}
