use std::process::ExitCode;

use crate::caches::CacheFile;
use crate::outcome::{Failure, finish};

/// MIT's `kdestroy` options.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The credential cache (default: KRB5CCNAME, then krb5.conf).
    #[arg(short = 'c', value_name = "CACHE")]
    cache: Option<String>,
    /// All caches of the collection; with FILE caches that is the default one.
    #[arg(short = 'A')]
    all: bool,
    /// Say nothing when there is no cache.
    #[arg(short = 'q')]
    quiet: bool,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    finish("kdestroy", destroy(arguments))
}

fn destroy(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.all && arguments.cache.is_some() {
        return Err(Failure::new(
            "-A destroys every cache, so it does not go with -c",
        ));
    }
    let cache = CacheFile::choose(arguments.cache.as_deref())?;
    // As with MIT's kdestroy, no cache is what was wanted: told, but no failure.
    if !cache.destroy()? && !arguments.quiet && !arguments.all {
        eprintln!("kdestroy: there was no credential cache {cache}");
    }
    Ok(())
}
