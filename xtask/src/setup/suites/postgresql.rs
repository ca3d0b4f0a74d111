//! PostgreSQL's own regression tests and its test of libpq's pipeline mode, of the very version of the server.
//!
//! Their sources are in Debian's source package, and the headers to compile them with in its package for extensions.
//! Debian's patches change none of these tests.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Place, file_in};
use crate::{
    setup::{Found, Need, fetch::Fetcher, postgres_binaries::Binaries},
    shell,
};

/// What of the sources is used.
const SOURCES: [&str; 3] = ["*/src/test/regress", "*/src/test/modules/libpq_pipeline", "*/src/interfaces/libpq/*.h"];

/// The regression tests load these of the server's own modules as well.
const MODULES: [&str; 2] = ["refint.so", "autoinc.so"];

/// As the server was compiled: its code counts on both.
const AS_THE_SERVER: [&str; 3] = ["-O2", "-fwrapv", "-fno-strict-aliasing"];

/// `pg_regress` with its tests, and `libpq_pipeline`.
pub struct PostgresSuites {
    /// Whether the rest is of use without them.
    pub optional: bool,
}

impl Need for PostgresSuites {
    fn name(&self) -> &'static str {
        "pg_regress"
    }

    fn find(&self) -> Result<Found, String> {
        let server = Server::installed().map_err(|error| format!("{error:#}"))?;
        Place::of("postgresql").find(&server.version)
    }

    fn obtain(&self) -> Result<()> {
        let server = Server::installed()?;
        let place = Place::of("postgresql");
        place.begin()?;
        let work = place.join("work");
        fs::create_dir(&work)?;
        let archive = Fetcher::for_archives_of(&server.package, &work)?;
        archive.fetch(&server.headers_package(), &server.version)?;
        archive.fetch_source(&server.source, &server.source_version)?;
        let kit = Kit { work, place: &place, server: &server };
        kit.unpack()?;
        kit.make_regress()?;
        kit.make_pipeline()?;
        fs::remove_dir_all(&kit.work)?;
        place.finish(&server.version)
    }

    fn packages(&self) -> Vec<String> {
        // Where the archive has moved on, only its present version's sources can be had; so the server moves on too.
        let server = Server::installed().map(|server| server.package).ok();
        server.into_iter().chain(["gcc", "libc6-dev", "bzip2", "xz-utils"].map(String::from)).collect()
    }

    fn advice(&self) -> &'static str {
        "The suites are taken from Debian's packages: use Debian, Ubuntu or a container with one of them"
    }

    fn optional(&self) -> bool {
        self.optional
    }
}

/// The server that the tests run, as a package.
struct Server {
    major: u32,
    folder: PathBuf,
    package: String,
    version: String,
    source: String,
    source_version: String,
}

impl Server {
    fn installed() -> Result<Self> {
        let binaries = Binaries::find()?;
        let package = format!("postgresql-{}", binaries.major);
        let format = "--showformat=${Version} ${source:Package} ${source:Version}";
        let known = shell::output(Command::new("dpkg-query").args(["--show", format, &package]));
        let known = known.with_context(|| format!("{} is no package's", binaries.folder.display()))?;
        let [version, source, source_version] = known.split(' ').collect::<Vec<_>>()[..] else {
            bail!("dpkg-query says {known:?} of {package}");
        };
        Ok(Self {
            major: binaries.major,
            folder: binaries.folder,
            version: version.into(),
            source: source.into(),
            source_version: source_version.into(),
            package,
        })
    }

    fn headers_package(&self) -> String {
        format!("postgresql-server-dev-{}", self.major)
    }

    /// Where the server looks for modules.
    fn modules(&self) -> Result<PathBuf> {
        shell::output(Command::new(self.folder.join("pg_config")).arg("--pkglibdir")).map(PathBuf::from)
    }
}

/// What the suites are made of, while they are made.
struct Kit<'a> {
    work: PathBuf,
    place: &'a Place,
    server: &'a Server,
}

impl Kit<'_> {
    fn unpack(&self) -> Result<()> {
        let headers = file_in(&self.work, &self.server.headers_package(), ".deb")?;
        shell::run(Command::new("dpkg-deb").arg("--extract").arg(headers).arg(self.work.join("headers")))?;
        let sources = file_in(&self.work, &self.server.source, ".orig.tar.")?;
        fs::create_dir(self.sources())?;
        let mut tar = Command::new("tar");
        tar.arg("--extract").arg("--file").arg(sources).arg("--directory").arg(self.sources());
        shell::run(tar.args(["--strip-components=1", "--wildcards"]).args(SOURCES))
    }

    fn sources(&self) -> PathBuf {
        self.work.join("sources")
    }

    fn compiler(&self) -> Command {
        let mut compiler = Command::new("gcc");
        let headers = format!("headers/usr/include/postgresql/{}/server", self.server.major);
        compiler.args(AS_THE_SERVER).arg("-I").arg(self.work.join(headers));
        compiler
    }

    /// The tests, the program that runs them, and the functions in C that they call.
    fn make_regress(&self) -> Result<()> {
        let tests = self.place.join("regress");
        fs::rename(self.sources().join("src/test/regress"), &tests)?;
        let modules = self.server.modules()?;
        let installed = modules.join("pgxs/src/test/regress/pg_regress");
        let unpacked = self.work.join("headers").join(installed.strip_prefix("/").unwrap_or(&installed));
        let program = [installed, unpacked].into_iter().find(|path| path.exists()).context("there is no pg_regress")?;
        fs::copy(program, self.place.join("pg_regress"))?;
        let library = self.place.join("lib");
        fs::create_dir(&library)?;
        for module in MODULES {
            fs::copy(modules.join(module), library.join(module)).with_context(|| format!("there is no {module}"))?;
        }
        let mut compiler = self.compiler();
        compiler.args(["-shared", "-fPIC", "-o"]).arg(library.join("regress.so"));
        shell::run(compiler.arg(tests.join("regress.c")))
    }

    fn make_pipeline(&self) -> Result<()> {
        let tests = self.place.join("libpq_pipeline");
        fs::rename(self.sources().join("src/test/modules/libpq_pipeline"), &tests)?;
        let archives = format!("headers/usr/lib/postgresql/{}/lib", self.server.major);
        let mut compiler = self.compiler();
        compiler.arg("-I").arg(self.sources().join("src/interfaces/libpq"));
        compiler.arg("-o").arg(tests.join("libpq_pipeline")).arg(tests.join("libpq_pipeline.c"));
        compiler.arg("-L").arg(self.work.join(archives)).args(["-lpgcommon", "-lpgport"]);
        // The library itself: the name without a version comes with another package.
        shell::run(compiler.arg(Path::new("-l:libpq.so.5")))
    }
}
