use std::process::ExitCode;

use trihound::environment::load_config;
use trihound_krb5::Principal;

use crate::caches;
use crate::outcome::{Failure, complain, finish};

/// MIT's `kswitch` options.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::ENVIRONMENT)]
#[group(required = true, multiple = false)]
pub(crate) struct Arguments {
    /// The cache that is to be the primary one of its collection.
    #[arg(short = 'c', value_name = "CACHE")]
    cache: Option<String>,
    /// The principal whose cache is to be the primary one.
    #[arg(short = 'p', value_name = "PRINCIPAL")]
    principal: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    finish("kswitch", switch(arguments))
}

fn switch(arguments: &Arguments) -> Result<(), Failure> {
    let config = load_config()?;
    let name = caches::choose(arguments.cache.as_deref(), &config)?;
    let name = match &arguments.principal {
        None => name,
        Some(principal) => {
            let principal = Principal::parse(principal, config.default_realm.as_deref())?;
            caches::of_principal(&name, &config, &principal)?
        }
    };
    let cache = caches::open(&name, &config)?;
    let collection = caches::collection(cache.name(), &config)?;
    if !collection.can_switch() {
        // As MIT's kswitch, which ends with 0: the one cache there is, is the primary one.
        complain(format_args!(
            "kswitch: {name} is in no collection with a primary cache; KRB5CCNAME or -c chooses such a one"
        ));
        return Ok(());
    }
    caches::read(&*cache, &name, &config)?;
    Ok(collection.switch_to(cache.name())?)
}
