//! The images of the development cluster, each made of programs of this machine and of the
//! shared libraries that they need, and of nothing else: there is no registry to build on.
//!
//! An image is made and imported again only where one of its files has changed.

mod contents;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result};
use flashsale_servers::{Launch, postgres_programs, redis_server};

use self::contents::{Contents, in_path};
use crate::{
    project::{self, Profile},
    session::Session,
};

/// Certificate authorities for TLS to Redis and Postgres, as Debian keeps them.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What runs in a container of an image unless its pod says otherwise.
struct Image {
    name: &'static str,
    contents: Contents,
    user: u32,
    path: String,
    /// Empty where every pod names its program.
    entrypoint: &'static [&'static str],
}

/// Builds the product and makes the images `localhost/{flashsale,redis,postgres,pause}:dev`.
/// `folder` is for work and for what is remembered of images that `import`, which is given
/// an OCI archive, has taken.
pub fn build_and_import(
    session: &Session,
    folder: &Path,
    import: &dyn Fn(&Path) -> Result<()>,
) -> Result<()> {
    project::build_product_in(session, Profile::Dist)?;
    let folder = folder.join("images");
    fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    let images = [pause()?, redis()?, postgres()?, flashsale()?];
    let count = images.len();
    for (index, image) in images.iter().enumerate() {
        let imported = folder.join(format!("{}.imported", image.name));
        let key = image.key()?;
        if fs::read_to_string(&imported).is_ok_and(|old| old == key) {
            continue;
        }
        let begun = Instant::now();
        session.say(format_args!(
            "Making the image localhost/{}:dev ({} of {count})",
            image.name,
            index + 1
        ));
        let archive = make(session, &folder, image)
            .with_context(|| format!("could not make the image {}", image.name))?;
        import(&archive).with_context(|| format!("could not import the image {}", image.name))?;
        fs::remove_file(&archive).context("could not remove an imported archive")?;
        // Last, so that an import that was broken off is done again.
        fs::write(&imported, key).context("could not note an imported image")?;
        println!("    {:.1} s", begun.elapsed().as_secs_f64());
    }
    Ok(())
}

/// What tells the product's image, as it was imported last, from others of its name.
pub fn imported(folder: &Path) -> Result<String> {
    let file = folder.join("images/flashsale.imported");
    let key =
        fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
    Ok(key.split(' ').next().unwrap_or_default().to_owned())
}

/// Holds a pod's namespaces open. Nothing is asked of it but to stay.
fn pause() -> Result<Image> {
    let mut contents = Contents::default();
    contents.program(in_path("sleep")?);
    Ok(Image {
        name: "pause",
        contents,
        user: 65535,
        path: "/usr/bin".into(),
        entrypoint: &["/usr/bin/sleep", "infinity"],
    })
}

/// Redis, and what `k8s/dev/redis-join.sh` calls.
fn redis() -> Result<Image> {
    let mut contents = Contents::default();
    contents.program_as(redis_server()?, "/usr/bin/redis-server");
    for program in [
        "redis-cli",
        "sh",
        "getent",
        "timeout",
        "sleep",
        "wc",
        "rm",
        "test",
    ] {
        contents.program_as(in_path(program)?, Path::new("/usr/bin").join(program));
    }
    contents.user("redis", 999);
    Ok(Image {
        name: "redis",
        contents,
        user: 999,
        path: "/usr/bin".into(),
        entrypoint: &[],
    })
}

/// Postgres, and what `k8s/dev/postgres-start.sh` calls.
fn postgres() -> Result<Image> {
    // Debian's own folder, not a link to a program in it: Postgres finds its other files by it.
    let programs = postgres_programs()?.join("postgres").canonicalize();
    let programs = programs.context("could not look for Postgres")?;
    let home = programs.ancestors().nth(2).unwrap_or(Path::new("/"));
    let version = home.file_name().unwrap_or_default();
    let share = Path::new("/usr/share/postgresql").join(version);
    anyhow::ensure!(
        home.parent() == Some(Path::new("/usr/lib/postgresql")) && share.is_dir(),
        "expected Debian's PostgreSQL in /usr/lib/postgresql and its files in {}, \
         found the program {}; take yours out of PATH for this command",
        share.display(),
        programs.display()
    );
    let mut contents = Contents::default();
    for program in ["postgres", "initdb", "pg_ctl"] {
        contents.program(home.join("bin").join(program));
    }
    for program in ["sh", "rm", "mv"] {
        contents.program_as(in_path(program)?, Path::new("/usr/bin").join(program));
    }
    for library in contents::libraries_in(&home.join("lib"))? {
        // It would bring all of LLVM along.
        if !library.ends_with("llvmjit.so") {
            contents.program(library);
        }
    }
    contents.folder(share)?;
    // Debian's Postgres has no time zones of its own, and initdb wants a locale.
    contents.folder("/usr/share/zoneinfo")?;
    contents.folder("/usr/lib/locale/C.utf8")?;
    contents.user("postgres", 999);
    Ok(Image {
        name: "postgres",
        contents,
        user: 999,
        path: format!("{}:/usr/bin", home.join("bin").display()),
        entrypoint: &[],
    })
}

/// What the Dockerfile makes, of the programs that Cargo has built here.
fn flashsale() -> Result<Image> {
    let mut contents = Contents::default();
    for name in ["flashsale-api", "flashsale-operator", "flashsale-load"] {
        let program = project::program(Profile::Dist, name)?;
        contents.program_as(program, Path::new("/usr/local/bin").join(name));
    }
    contents.file(AUTHORITIES.into());
    Ok(Image {
        name: "flashsale",
        contents,
        user: 65532,
        path: "/usr/local/bin".into(),
        entrypoint: &[],
    })
}

impl Image {
    /// Changes with everything that the image is made of.
    fn key(&self) -> Result<String> {
        Ok(format!(
            "{:016x} {} {} {:?}",
            self.contents.fingerprint()?,
            self.user,
            self.path,
            self.entrypoint
        ))
    }
}

/// Makes the OCI archive of an image and returns its file.
fn make(session: &Session, folder: &Path, image: &Image) -> Result<PathBuf> {
    let root = session
        .guard()
        .folder()
        .join(format!("image-{}", image.name));
    image.contents.copy_to(&root)?;
    let archive = folder.join(format!("{}.tar", image.name));
    let _ = fs::remove_file(&archive);
    // All in the temporary folder: what is broken off leaves nothing.
    let storage = session.guard().folder().join("buildah");
    let buildah = |command: &str, args: &[&str]| {
        session.run(
            Launch::new(format!("buildah-{command}"), "buildah")
                .arg("--root")
                .arg(storage.join("storage"))
                .arg("--runroot")
                .arg(storage.join("run"))
                .args(["--storage-driver", "vfs", command])
                .args(args),
        )
    };
    let (name, user) = (image.name, image.user.to_string());
    let path = format!("PATH={}", image.path);
    buildah("from", &["--name", name, "scratch"])?;
    let root_text = root.display().to_string();
    buildah(
        "copy",
        &["--quiet", "--chown", "0:0", name, &root_text, "/"],
    )?;
    let mut config = vec!["--user", &user, "--env", &path];
    let entrypoint = serde_json::to_string(image.entrypoint)?;
    if !image.entrypoint.is_empty() {
        config.extend(["--entrypoint", &entrypoint]);
    }
    config.push(name);
    buildah("config", &config)?;
    let destination = format!("oci-archive:{}:localhost/{name}:dev", archive.display());
    buildah("commit", &["--quiet", name, &destination])?;
    buildah("rm", &[name])?;
    // Hundreds of megabytes that the next image need not share the disk with.
    fs::remove_dir_all(&root).context("could not remove the contents of an image")?;
    Ok(archive)
}
