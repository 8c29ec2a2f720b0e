use std::process::ExitCode;

use trihound::environment::{CacheName, load_config};
use trihound_krb5::{Config, Principal};

use crate::caches;
use crate::outcome::{Failure, complain, finish};

/// MIT's `kdestroy` options.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::ENVIRONMENT)]
pub(crate) struct Arguments {
    /// The credential cache (default: KRB5CCNAME, then krb5.conf).
    #[arg(short = 'c', value_name = "CACHE")]
    cache: Option<String>,
    /// All caches of the collection that the cache is in.
    #[arg(short = 'A', conflicts_with = "principal")]
    all: bool,
    /// The cache of this principal in the collection.
    #[arg(short = 'p', value_name = "PRINCIPAL")]
    principal: Option<String>,
    /// Say nothing when there is no cache, nor of other caches.
    #[arg(short = 'q')]
    quiet: bool,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    finish("kdestroy", destroy(arguments))
}

fn destroy(arguments: &Arguments) -> Result<(), Failure> {
    let config = load_config()?;
    let name = caches::choose(arguments.cache.as_deref(), &config)?;
    if arguments.all {
        return destroy_all(&name, &config);
    }
    let name = match &arguments.principal {
        None => name,
        Some(principal) => {
            let principal = Principal::parse(principal, config.default_realm.as_deref())?;
            caches::of_principal(&name, &config, &principal)?
        }
    };
    let destroyed = caches::open(&name, &config)?.destroy()?;
    if arguments.quiet {
        return Ok(());
    }
    // As with MIT's kdestroy, no cache is what was wanted: told, but no failure.
    if !destroyed {
        complain(format_args!(
            "kdestroy: No credentials cache found while destroying cache {name}"
        ));
    }
    if arguments.principal.is_none() && !caches::collection(&name, &config)?.list()?.is_empty() {
        complain("Other credential caches present, use -A to destroy all");
    }
    Ok(())
}

/// Destroys what can be destroyed, and tells each failure.
fn destroy_all(name: &CacheName, config: &Config) -> Result<(), Failure> {
    let mut result = Ok(());
    for name in caches::collection(name, config)?.list()? {
        let destroyed = caches::open(&name, config)
            .and_then(|cache| Ok(cache.destroy()?))
            .map_err(|failure| failure.context(&name));
        if let Err(failure) = destroyed
            && let Err(earlier) = std::mem::replace(&mut result, Err(failure))
        {
            complain(format_args!("kdestroy: {earlier}"));
        }
    }
    result
}
